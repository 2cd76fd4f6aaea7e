"""From a file to settings, or to every reason why not, each with its line."""

from __future__ import annotations

import io
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from sockwarden.errors import InputError
from sockwarden.kql.caret import line_and_column
from sockwarden.ownership import refuse_foreign
from sockwarden.rules.report import MAX_FLAWS, Flaw, locate, toml_flaw
from sockwarden.rules.schema import Array, Kind, Leaf, Problem, Table, check, wide_integers
from sockwarden.settings import index
from sockwarden.settings.config import Config
from sockwarden.settings.receivers import flaws
from sockwarden.toml_positions import KeyPath, Span, TooComplexError, positions

DEFAULT_FILE = Path("/etc/sockwarden/config.toml")
MAX_BYTES = 1 << 20
LEAST_STORE = 16 << 20
"""Bytes below which a store would hold next to nothing beside its own tables."""

LEAST_SPOOL = 1 << 20

_WORDS = {bool: "true or false", int: "a whole number", str: "text in quotes"}
_SOURCE_TODO = "See `sockwarden config show --defaults` for every key and its value."


class Loaded(msgspec.Struct, frozen=True):
    """Settings, the file they came from (None: no file, all defaults), and the line of each key that the file sets, by
    its dotted name.
    """

    config: Config
    path: Path | None
    lines: dict[str, int]


def load_config(path: Path | None = None) -> Config:
    """The settings of a file, by default of DEFAULT_FILE, which may be missing. InputError tells every error with its
    line. As root it refuses a file that others than root may write: it decides what root runs and where root writes.
    """
    return read_config(path).config


def read_config(path: Path | None = None) -> Loaded:
    """As `load_config`, with the place of each value."""
    origin = path or DEFAULT_FILE
    try:
        text = _read(origin)
    except FileNotFoundError:
        if path is None:
            return Loaded(Config(), None, {})
        raise InputError("there is no such file", where=str(origin), todo="Name a file that exists.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        todo = "Read it as root." if isinstance(error, PermissionError) else "Name a file that can be read."
        raise InputError("cannot read the configuration", where=str(origin), why=why, todo=todo) from None
    return parse_config(text, origin)


def parse_config(text: str, origin: Path) -> Loaded:
    """The settings in a TOML text; `origin` is the file that errors name."""
    text = text.replace("\r\n", "\n")  # as tomllib does, so that places agree
    try:
        spans = positions(text)
    except TooComplexError as error:
        raise _refusal(origin, text, [Flaw(error.offset, str(error))]) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(origin, text, [toml_flaw(text, spans, error)]) from None
    flaws = [locate(problem, spans) for problem in islice(_problems(table), MAX_FLAWS + 1)]
    if flaws:
        raise _refusal(origin, text, flaws)
    return Loaded(msgspec.convert(table, Config), origin, _lines(text, spans))


def _problems(table: dict[str, Any]) -> Iterator[Problem]:
    found = False
    for problem in (*wide_integers(table), *check(table, _FILE)):
        found = True
        yield problem
    if not found:
        yield from _further(msgspec.convert(table, Config))


def _further(config: Config) -> Iterator[Problem]:
    """What no type can tell."""
    if config.retention.max_bytes < LEAST_STORE:
        yield Problem(("retention", "size"), "`size` in [retention]: at least 16 MiB, or nothing would be kept")
    addresses: dict[KeyPath, str] = {("metrics", "listen"): config.metrics.listen}
    addresses |= {("sockets", "extra", i, "address"): extra.address for i, extra in enumerate(config.sockets.extra)}
    for path, address in addresses.items():
        if address and address[0] not in "/@" and not 0 < int(address.rpartition(":")[2]) < 65536:
            yield Problem(path, f"`{path[-1]}`: a port is a number from 1 to 65535")
    if config.sinks.spool_bytes < LEAST_SPOOL:
        yield Problem(("sinks", "spool"), "`spool` in [sinks]: at least 1 MiB, or next to nothing could wait")
    for place, why in flaws(config.sinks.webhook, config.sinks.syslog):
        yield Problem(("sinks", *place), why)
    for key, why in index.flaws(config.cluster):
        yield Problem(key, why)
    for stem in set(config.rules.enable) & set(config.rules.disable):
        yield Problem(("rules", "disable"), f"`disable` in [rules]: {stem!r} is in `enable` too")


def _kind(of: Any) -> Kind:
    """What a field of the settings' structs may hold, in the words of an error."""
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        fields = msgspec.structs.fields(of)
        required = frozenset(field.encode_name for field in fields if field.required)
        return Table({field.encode_name: _kind(field.type) for field in fields}, required)
    if get_origin(of) is tuple:
        element = _kind(get_args(of)[0])
        assert isinstance(element, Leaf | Table)  # noqa: S101 - no array of arrays is set; for the type checker
        expected = "tables" if isinstance(element, Table) else f"which each element is {element.expected}"
        return Array(element, f"an array of {expected}")
    if get_origin(of) is Literal:
        return Leaf(of, " or ".join(f'"{choice}"' for choice in get_args(of)))
    if get_origin(of) is Annotated:
        return Leaf(of, next(meta.description for meta in of.__metadata__ if meta.description))
    return Leaf(of, _WORDS[of])


_FILE = _kind(Config)


def _read(path: Path) -> str:
    with io.BufferedReader(io.FileIO(path, opener=_open_without_waiting)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a regular file", where=str(path), todo="Name a TOML file.")
        refuse_foreign(path, status)
        content = file.read(MAX_BYTES + 1) or b""
    if len(content) > MAX_BYTES:
        raise InputError("too large for a configuration", where=str(path), why=f"it holds at most {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        why = f"line {line}: {error.reason}"
        raise InputError("not a text in UTF-8, as TOML must be", where=str(path), why=why) from None


def _open_without_waiting(path: str, flags: int) -> int:
    """A FIFO would hold the caller until somebody writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def _refusal(origin: Path, text: str, flaws: list[Flaw]) -> InputError:
    """The error that tells the first MAX_FLAWS flaws in the order of the file."""
    lines = []
    for flaw in sorted(flaws[:MAX_FLAWS], key=lambda flaw: flaw.offset):
        lines.append(f"line {line_and_column(text, flaw.offset)[0]}: {flaw.message}")
        lines += [f"    {line}" for line in flaw.shown.splitlines()]
    count = "1 error" if len(flaws) == 1 else f"{len(flaws)} errors"
    if len(flaws) > MAX_FLAWS:
        count = f"the first {MAX_FLAWS} errors"
    what = f"cannot be used as configuration: {count}"
    return InputError(what, where=str(origin), why="\n".join(lines), todo=_SOURCE_TODO)


def _lines(text: str, spans: Mapping[KeyPath, Span]) -> dict[str, int]:
    return {
        ".".join(map(str, path)): line_and_column(text, span.key)[0]
        for path, span in spans.items()
        if path and all(isinstance(part, str) for part in path)
    }
