"""The catalogue: which addresses are runtime sockets, by name. The data is content/catalogue.toml."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache

import msgspec

from sockwarden import content
from sockwarden.literals import Wanted

_MOST_KNOWN = 1024
_MOST_PATH = 512
"""Paths that are kept with what they are, and the longest; a host uses a few again and again."""


class RuntimeSocket(msgspec.Struct, frozen=True, order=True):
    """A runtime socket with its canonical address: a path, `@name` of an abstract one, or `host:port`."""

    address: str
    runtime: str
    name: str


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runtime: str
    name: str
    source: str
    path: list[str] = []
    abstract: list[str] = []
    port: list[int] = []


class Daemon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program whose listening sockets are runtime sockets, wherever it puts them.

    component    its name in content/components.toml, which has its executables; or
    executable   its executables here, where it is no component
    runtime, name  what its sockets are called
    other        last segments of the paths of those that are no control API
    config       files in which it may be told a TCP address
    """

    runtime: str
    name: str
    source: str
    component: str = ""
    executable: list[str] = []
    other: list[str] = []
    config: list[str] = []


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    socket: list[_Entry]
    daemon: list[Daemon] = []


class Catalogue:
    """Looks an address up. Every method takes an address that `aliases.normalise` has been over.

    paths    every path, some with `*`
    folders  folders whose every socket is one, such as those of shims
    daemons  programs known by what they are, wherever they listen
    ignored  canonical addresses that are none, whoever listens there
    """

    def __init__(
        self, entries: Sequence[_Entry], daemons: Sequence[Daemon] = (), ignored: Collection[str] = ()
    ) -> None:
        self._entries = tuple(entries)
        self.daemons = tuple(daemons)
        self.ignored = frozenset(ignored)
        self.paths = tuple(glob for entry in entries for glob in entry.path)
        self.folders = tuple(glob.removesuffix("/*") for glob in self.paths if glob.endswith("/*"))
        self._paths: dict[str, _Entry] = {}
        self._path_globs: list[tuple[re.Pattern[str], _Entry]] = []
        self._abstract: list[tuple[re.Pattern[str], _Entry]] = []
        self._ports: dict[int, _Entry] = {}
        pieces: set[str] = set()
        for entry in entries:
            self._ports = dict.fromkeys(entry.port, entry) | self._ports
            for glob in entry.path:
                pieces.add(piece_of(glob))
                if "*" in glob:
                    self._path_globs.append((pattern_of(glob), entry))
                else:
                    self._paths.setdefault(glob, entry)
            for glob in entry.abstract:
                pieces.add(piece_of(glob))
                self._abstract.append((pattern_of(glob, ".*"), entry))
        self.wanted = Wanted(addresses=frozenset(pieces), ports=frozenset(self._ports))
        self._known_path = lru_cache(maxsize=_MOST_KNOWN)(self._look_up)

    def changed(self, extra: Iterable[RuntimeSocket], ignored: Collection[str]) -> Catalogue:
        """This catalogue with sockets of the user's own, whose names hold no wildcard, and without some addresses."""
        added = [_entry_of(one) for one in extra]
        return Catalogue([*added, *self._entries], self.daemons, ignored)

    def path(self, path: str) -> RuntimeSocket | None:
        """The runtime socket that has this canonical path."""
        return self._known_path(path) if len(path) <= _MOST_PATH else self._look_up(path)

    def _look_up(self, path: str) -> RuntimeSocket | None:
        return self._found(path, self._paths.get(path) or _first(self._path_globs, path))

    def abstract(self, name: str) -> RuntimeSocket | None:
        """The runtime socket that has this abstract name, given without its `@`."""
        return self._found(f"@{name}", _first(self._abstract, name))

    def port(self, address: str, port: int) -> RuntimeSocket | None:
        """The runtime socket that has this TCP port; address is `host:port`."""
        return self._found(address, self._ports.get(port))

    def _found(self, address: str, entry: _Entry | None) -> RuntimeSocket | None:
        return RuntimeSocket(address, entry.runtime, entry.name) if entry and address not in self.ignored else None


def _entry_of(extra: RuntimeSocket) -> _Entry:
    address, source = extra.address, "the settings"
    if address.startswith("/"):
        return _Entry(extra.runtime, extra.name, source, path=[address])
    if address.startswith("@"):
        return _Entry(extra.runtime, extra.name, source, abstract=[address[1:]])
    return _Entry(extra.runtime, extra.name, source, port=[int(address.rpartition(":")[2])])


def piece_of(address: str) -> str:
    """A part that every spelling of an address contains: its last whole segment; dots, doubled slashes and a change
    of directory do not alter that one. For a name that ends in a wildcard, the longest whole segment before it.
    """
    segments = address.split("/")
    whole = [segment for segment in segments if segment and "*" not in segment]
    return segments[-1] if segments[-1] in whole else max(whole, key=len, default="")


def pattern_of(glob: str, star: str = "[^/]*") -> re.Pattern[str]:
    """What a glob matches; its `*` stands for one segment of a path or a part of it, or for what else is said."""
    return re.compile(star.join(re.escape(part) for part in glob.split("*")), re.DOTALL)


def _first(globs: list[tuple[re.Pattern[str], _Entry]], text: str) -> _Entry | None:
    for pattern, entry in globs:
        if pattern.fullmatch(text):
            return entry
    return None


def decode(data: bytes) -> Catalogue:
    """A catalogue from TOML like content/catalogue.toml. Raises msgspec.ValidationError."""
    file = msgspec.toml.decode(data, type=_File)
    return Catalogue(file.socket, file.daemon)


@cache
def packaged() -> Catalogue:
    """The catalogue that comes with sockwarden."""
    return decode(content.packaged("catalogue.toml").read_bytes())
