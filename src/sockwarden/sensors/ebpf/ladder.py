"""The rungs of the ladder: the same accesses, seen from the best hook that this kernel lets us have.

A program's name in C ends in what it is for: `__lsm`, `__fentry`, `__kprobe`, `__tracepoint` for one rung, `__any` for
every one, `__option` for every one but not needed: what only some kernels have, io_uring for one; `__called` likewise,
but called by another program instead of put into a place.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from sockwarden.errors import InputError
from sockwarden.sensors.ebpf import machine
from sockwarden.sensors.ebpf.libbpf import Library, RefusedError
from sockwarden.sensors.ebpf.objects import Object

RUNGS = ("lsm", "fentry", "kprobe", "tracepoint")
"""From the best. The programs know them by their number, from 1, in the constant `rung`."""
_ALWAYS, _OPTION, _CALLED = "any", "option", "called"
_OPTIONAL = (_OPTION, _CALLED)

_ENOTSUPP = 524
"""include/linux/errno.h: trampolines say it where the architecture or the build has none."""
_MOST_SAID = 3
"""Lines of the verifier's that are told in an error; the doctor shows more."""
_BLAMED = re.compile(r"prog '([^']+)'")
_HOOK = re.compile(r"failed to find kernel BTF type ID of '([^']+)'")
_BEGIN, _END = "-- BEGIN PROG LOAD LOG --", "-- END PROG LOAD LOG --"

_ONE_PLACE = frozenset({"io_uring_submit_req", "io_uring_submit_sqe"})
"""One tracepoint, by its name now and before Linux 6.4: no kernel has both."""

Configure = Callable[[Object], None]
"""What is done to an opened object before it is loaded: sizes of maps, constants."""


class Rung(msgspec.Struct, frozen=True):
    """What became of one rung.

    trouble  why it cannot be used; None: it can
    without  the optional programs that this kernel refused, and why
    log      what libbpf and the verifier said to the refusal, the last lines of it
    """

    name: str
    trouble: InputError | None = None
    without: dict[str, InputError] = {}
    log: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether its programs load and attach here."""
        return self.trouble is None

    @property
    def missed(self) -> dict[str, InputError]:
        """Of `without` what this kernel could have, by the place in it."""
        found = {name.rpartition("__")[0]: error for name, error in self.without.items()}
        one_is_there = not found.keys() >= _ONE_PLACE
        return {name: error for name, error in found.items() if not (one_is_there and name in _ONE_PLACE)}


class NoRungError(InputError):
    """No BPF program of ours can be used here. rungs: why, one by one; empty where nothing was worth a try."""

    def __init__(self, rungs: list[Rung], cause: InputError | None = None) -> None:
        told = [f"{rung.name}: {_line(rung.trouble)}" for rung in rungs if rung.trouble]
        why = "\n".join(told) if cause is None else _line(cause)
        todo = cause.todo if cause else "`sockwarden doctor` says what each lacks; `--sensor audit` does without"
        super().__init__("the eBPF sensor cannot be used here", why=why, todo=todo)
        self.rungs = rungs


class Loaded(msgspec.Struct, frozen=True):
    """Programs in place. above: the better rungs, and why not they. `close` takes everything out."""

    library: Library
    object: Object
    rung: Rung
    above: tuple[Rung, ...]

    def close(self) -> None:
        """Detaches and unloads; a second call does nothing."""
        self.object.close()


def packaged() -> bytes:
    """The object that comes with the program."""
    return (Path(__file__).parent / "programs/sockwarden.bpf.o").read_bytes()


def climb(binary: bytes, *, only: str | None = None, configure: Configure | None = None) -> Loaded:
    """Loads and attaches the programs of the best rung that works; of one alone, if told. Raises NoRungError."""
    library = _ready()
    above: list[Rung] = []
    for name in RUNGS if only is None else (only,):
        opened = partial(_opened, library, binary, name, configure)
        rung, loaded = _try(name, opened)
        if loaded:
            return Loaded(library, loaded, rung, tuple(above))
        above.append(rung)
    raise NoRungError(above)


def survey(binary: bytes) -> list[Rung]:
    """Tries every rung, and leaves none in place. Raises NoRungError where nothing is worth a try."""
    library = _ready()
    rungs = []
    for name in RUNGS:
        rung, loaded = _try(name, partial(_opened, library, binary, name, None))
        if loaded:
            loaded.close()
        rungs.append(rung)
    return rungs


def _ready() -> Library:
    try:
        return machine.ready()
    except InputError as error:
        raise NoRungError([], error) from error


def _opened(library: Library, binary: bytes, rung: str, configure: Configure | None) -> Object:
    """The object, opened, with the programs of a rung chosen."""
    opened = Object(library, binary)
    try:
        for program in opened.programs():
            opened.autoload(program.name, _wanted(program.name, rung))
        opened.set_constant("rung", RUNGS.index(rung) + 1)
        if configure:
            configure(opened)
    except BaseException:
        opened.close()
        raise
    return opened


def _try(name: str, opened: Callable[[], Object]) -> tuple[Rung, Object | None]:
    """What becomes of a rung, and its object where it is in place."""
    if trouble := machine.trouble_of(name):
        return Rung(name, trouble), None
    without: dict[str, InputError] = {}
    try:
        loaded = _load(opened, without)
        try:
            _attach(loaded, name, without)
        except BaseException:
            loaded.close()
            raise
    except RefusedError as error:
        return Rung(name, _explained(error), without, error.log), None
    return Rung(name, None, without), loaded


def _load(opened: Callable[[], Object], without: dict[str, InputError]) -> Object:
    """A loaded object. One program that the kernel refuses costs them all: without that one, if it is optional, another
    is tried.
    """
    while True:
        one = opened()
        try:
            for name in without:
                one.autoload(name, False)
            one.load()
        except RefusedError as error:
            one.close()
            culprit = _culprit(error.log)
            if _purpose(culprit) not in _OPTIONAL or culprit in without:
                raise
            without[culprit] = _explained(error)
        except BaseException:
            one.close()
            raise
        else:
            return one


def _attach(loaded: Object, rung: str, without: dict[str, InputError]) -> None:
    for program in loaded.programs():
        if program.name in without or not _wanted(program.name, rung):
            continue
        try:
            if _purpose(program.name) == _CALLED:
                loaded.call(program.name, "called")
            else:
                loaded.attach(program.name)
        except RefusedError as error:
            if _purpose(program.name) not in _OPTIONAL:
                raise
            without[program.name] = _explained(error)


def _purpose(program: str) -> str:
    return program.rpartition("__")[2]


def _wanted(program: str, rung: str) -> bool:
    purpose = _purpose(program)
    if purpose not in (*RUNGS, _ALWAYS, *_OPTIONAL):
        raise ValueError(f"{program}: its name does not say which rung it is for")
    return purpose in (rung, _ALWAYS, *_OPTIONAL)


def _culprit(log: tuple[str, ...]) -> str:
    """The program at which loading ended: libbpf names it last."""
    return next((found[1] for line in reversed(log) if (found := _BLAMED.search(line))), "")


def _explained(error: RefusedError) -> InputError:
    """A refusal, with what it comes from and what can be done."""
    where = error.where or _culprit(error.log)
    if said := verifier_said(error.log):
        return InputError(
            "the kernel's verifier refused a program",
            where=where,
            why="; ".join(said[-_MOST_SAID:]),
            todo="report it, with the output of `sockwarden doctor` and the kernel's version",
        )
    if hook := next((found[1] for line in error.log if (found := _HOOK.search(line))), ""):
        return InputError(
            "the kernel has no such place for a program",
            where=where,
            why=f"it knows no function {hook}: it is older, or was built without the feature",
        )
    why, todo = {
        errno.EPERM: (
            "the kernel forbids it, though this process has the capabilities",
            "look for a seccomp filter, a container, a security module; before Linux 5.11: ulimit -l unlimited",
        ),
        errno.EINVAL: ("the kernel does not know programs of this kind, or was built without them", ""),
        errno.ENOENT: ("the kernel does not have the place that it belongs into", ""),
        errno.EBUSY: ("another tracer holds the place", "`bpftool link` and /sys/kernel/tracing show who"),
        _ENOTSUPP: ("the kernel was built without function tracing for BPF (trampolines)", ""),
    }.get(error.number, (error.why, ""))
    return InputError(error.what, where=where, why=why, todo=todo)


def verifier_said(log: tuple[str, ...]) -> list[str]:
    """The verifier's last lines, without its statistics; empty where it was not the verifier who refused."""
    ends = [place for place, line in enumerate(log) if _END in line]
    if not ends:
        return []
    # Of a long log the beginning is no longer kept.
    begin = max((place for place, line in enumerate(log) if _BEGIN in line), default=-1)
    return [line for line in log[begin + 1 : ends[-1]] if line and not line.startswith("processed ")]


def _line(error: InputError) -> str:
    first = f"{error.where}: {error.what}" if error.where else error.what
    return f"{first}: {error.why}" if error.why else first
