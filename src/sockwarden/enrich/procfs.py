"""What /proc says of one process now (Documentation/filesystems/proc.rst). All of it may be gone or hostile."""

from __future__ import annotations

import os

import msgspec

_MOST_CGROUP = 64 << 10
_MOST_COUNTED = 64 << 10
_MOST_ARGUMENT_BYTES = 4096
_MOST_STATUS = 16 << 10
_MOST_ARGUMENTS = 256
_EXITING = 0x4
"""PF_EXITING (include/linux/sched.h)."""
_TICKS = os.sysconf("SC_CLK_TCK")
_NS_PER_TICK = 1_000_000_000 // _TICKS


class Stat(msgspec.Struct, frozen=True, gc=False):
    """Of /proc/PID/stat: start in ns of CLOCK_BOOTTIME, no finer than 10 ms."""

    name: str
    parent: int
    session: int
    start: int
    exiting: bool


class Program(msgspec.Struct, frozen=True, gc=False):
    """What an exec set; None where it is not known.

    command  argv, each with its NUL, cut at 4 KiB
    user     effective user id
    count    arguments in all of argv; None where there are more than 64 KiB of them
    cut      whether command is not all of argv
    """

    executable: str | None = None
    command: bytes | None = None
    directory: str | None = None
    user: int | None = None
    count: int | None = None
    cut: bool = False


class Surroundings(msgspec.Struct, frozen=True, gc=False):
    """Where a process lives: /proc/PID/cgroup, and the inodes of its namespaces; None where not known."""

    cgroup: str | None = None
    mount: int | None = None
    pids: int | None = None


def processes() -> list[int]:
    """The ids of all processes now."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names, by the ten thousand


def stat(pid: int) -> Stat | None:
    """None where there is no such process."""
    text = _read(f"/proc/{pid}/stat", 4096)
    # The name may hold anything, brackets and newlines too: what follows the last bracket is the kernel's.
    before, _, after = text.rpartition(b")") if text else (b"", b"", b"")
    columns = after.split()
    if len(columns) < 20:
        return None
    return Stat(
        name=_decode(before.partition(b"(")[2]),
        parent=int(columns[1]),
        session=int(columns[3]),
        start=int(columns[19]) * _NS_PER_TICK,
        exiting=bool(int(columns[6]) & _EXITING) or columns[0] in (b"Z", b"X"),
    )


def program(pid: int) -> Program:
    """The program that a process runs."""
    folder = f"/proc/{pid}"
    command = _read(f"{folder}/cmdline", _MOST_COUNTED + 1)
    whole = command is not None and len(command) <= _MOST_COUNTED
    return Program(
        command=command[:_MOST_ARGUMENT_BYTES] if command else command,
        count=len(command.removesuffix(b"\0").split(b"\0")) if command and whole else None,
        cut=bool(command) and len(command or b"") > _MOST_ARGUMENT_BYTES,
        # Before the executable: a set-user-ID program that follows must not lend this one its user.
        user=_effective_user(f"{folder}/status"),
        executable=executable(pid),
        directory=_link(f"{folder}/cwd"),
    )


def executable(pid: int) -> str | None:
    """The path of the program that a process runs."""
    return _link(f"/proc/{pid}/exe")


def arguments(command: bytes | None) -> list[str]:
    """The arguments in a `command`, 256 of them at most."""
    return [_decode(part) for part in command.removesuffix(b"\0").split(b"\0")[:_MOST_ARGUMENTS]] if command else []


def surroundings(pid: int) -> Surroundings:
    """The cgroup and namespaces of a process."""
    folder = f"/proc/{pid}"
    cgroup = _read(f"{folder}/cgroup", _MOST_CGROUP)
    return Surroundings(
        cgroup=cgroup.decode("utf-8", "backslashreplace").rstrip("\n") if cgroup else None,
        mount=_namespace(f"{folder}/ns/mnt"),
        pids=_namespace(f"{folder}/ns/pid"),
    )


def host() -> Surroundings:
    """The host's own: of pid 1, of the kernel's threads where that one is out of reach, else of this process."""
    found = (surroundings(pid) for pid in (1, 2, os.getpid()))
    return next((each for each in found if each.mount is not None), Surroundings())


def boot() -> str:
    """The id of this boot, empty where unknown."""
    return (_read("/proc/sys/kernel/random/boot_id", 64) or b"").decode("ascii", "replace").strip()


def _read(path: str, most: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts, left = [], most
        while left and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _effective_user(path: str) -> int | None:
    """The second number of `Uid:`, real, effective, saved and file system's."""
    lines = (_read(path, _MOST_STATUS) or b"").split(b"\n")
    found = next((line.split() for line in lines if line.startswith(b"Uid:\t")), [])
    return int(found[2]) if len(found) == 5 else None


def _link(path: str) -> str | None:
    try:
        return _decode(os.readlink(path.encode()))  # noqa: PTH115 - bytes, and once for each exec
    except OSError:
        return None


def _namespace(path: str) -> int | None:
    """The number in `mnt:[4026531841]`."""
    try:
        return int(os.readlink(path).rpartition("[")[2].rstrip("]"))  # noqa: PTH115 - once for each exec
    except (OSError, ValueError):
        return None


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
