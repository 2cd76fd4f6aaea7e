"""What the kernel's audit cannot see, stated before anybody relies on it."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from sockwarden.sensors.audit.privilege import boot_parameters
from sockwarden.sensors.audit.rule import NEVER, TASK, Rule
from sockwarden.sensors.limits import BlindSpot

_NAMED = 10
"""Executables that are named; the rest is counted."""
_PF_KTHREAD = 0x00200000
_WIDEST_LINE = 1 << 16
"""Bytes of /proc/PID/status that are read; Groups, the longest line of use, has at most 65536 numbers and is cut."""


class Task(NamedTuple):
    """A running process: when it started, in seconds of CLOCK_BOOTTIME, and its executable or, in brackets, name."""

    pid: int
    started: float
    executable: str


class Audit(NamedTuple):
    """What a blind spot depends on.

    switched_on  when a watch switched audit on, in seconds of CLOCK_BOOTTIME; None: it was on before
    auditd       pid of the auditd that owned audit then; 0: none
    rules        all rules
    io_uring     whether the kernel has the io_uring list
    """

    switched_on: float | None
    auditd: int
    rules: list[Rule]
    io_uring: bool


def blind_spots(audit: Audit, gids: Collection[int], *, has_tcp: bool, has_abstract: bool) -> list[BlindSpot]:
    """Every way past the audit sensor on this host. gids: groups that may write to a socket."""
    found = [*_older(audit, gids), *_never_task(audit.rules), *_calls(io_uring=audit.io_uring)]
    if has_tcp or has_abstract:
        kinds = " and ".join(kind for kind, has in (("TCP", has_tcp), ("abstract", has_abstract)) if has)
        found.append(
            BlindSpot(
                f"connections to runtime sockets that have no file ({kinds})",
                "audit rules select by path",
                "let the runtime listen on a path alone",
            )
        )
    found.append(
        BlindSpot(
            "a runtime socket that was renamed or moved to another folder",
            "the kernel watches a name in a folder; behind a new name nobody watches until the socket is found again",
            "keep the folders of runtime sockets writable for root alone",
        )
    )
    found.append(
        BlindSpot(
            "a connected descriptor that is passed on, inherited or duplicated",
            "audit records who connects, not who holds the connection",
            "nothing for audit; the first connect was recorded",
        )
    )
    return found


def tasks(gids: Collection[int]) -> Iterator[Task]:
    """The running processes that could reach a socket: root's, or in one of the groups.

    Kernel threads, this process, and one that ends meanwhile are left out.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone are needed, thousands of them
        if not name.isdigit() or int(name) == os.getpid():
            continue
        folder = Path("/proc", name)
        try:
            comm, _, rest = (folder / "stat").read_bytes().rpartition(b")")
            with (folder / "status").open("rb") as file:
                status = file.read(_WIDEST_LINE)
        except OSError:
            continue
        fields = rest.split()
        if len(fields) < 20 or int(fields[6]) & _PF_KTHREAD or not _may_reach(status, gids):
            continue
        try:
            executable = _text(os.fsencode((folder / "exe").readlink()))
        except OSError:
            executable = f"[{_text(comm.partition(b'(')[2])}]"
        yield Task(int(name), int(fields[19]) / ticks, executable)


def _older(audit: Audit, gids: Collection[int]) -> Iterator[BlindSpot]:
    """Tasks without an audit context: forked before audit was enabled for the first time (audit_alloc)."""
    if boot_parameters().get("audit") in ("1", "on"):
        return
    why = "the kernel gives a task its audit context at fork, and only once audit has been on; they never get one"
    todo = "restart them once, or boot with audit=1, which covers every process from the first"
    if audit.switched_on is not None:
        moment, than = audit.switched_on, "audit was switched on"
    elif started := _started(audit.auditd):
        moment, than = started, f"auditd (pid {audit.auditd})"
        why = f"audit was on already, and if it was this auditd that switched it on: {why}"
    else:
        yield BlindSpot(
            "processes that are older than audit's being switched on, if there are any",
            f"audit was on already, and the kernel does not tell since when; {why}",
            "boot with audit=1",
        )
        return
    old = [task for task in tasks(gids) if task.started <= moment]
    if old:
        yield BlindSpot(f"{_grouped(old)}, started before {than}", why, todo)


def _never_task(rules: list[Rule]) -> Iterator[BlindSpot]:
    for rule in rules:
        if rule.filter == TASK and rule.action == NEVER:
            yield BlindSpot(
                f"processes that start while this rule stands: {rule}",
                "such a task gets no audit context, and never gets one later",
                "`auditctl -d task,never`, and take it from /etc/audit/rules.d; then restart what started meanwhile",
            )


def _calls(*, io_uring: bool) -> Iterator[BlindSpot]:
    if not io_uring:
        yield BlindSpot(
            "connect and open by io_uring",
            "this kernel's audit has no io_uring list (5.16 and newer have)",
            "a newer kernel, or `sysctl kernel.io_uring_disabled=2` where the kernel knows it",
        )
    else:
        yield BlindSpot(
            "an open of a socket's file by io_uring that a kernel worker carries out after io_uring_enter has returned",
            "the worker's records do not name the file",
            "nothing for audit; such an open reaches no runtime, only a connect does (one that ends before "
            "io_uring_enter returns is told, as `unknown-call`)",
        )
    if _x32():
        yield BlindSpot(
            "calls by the x32 ABI",
            "their numbers are beyond what a rule can name, and this kernel takes them",
            "boot with syscall.x32=n, or a kernel without CONFIG_X86_X32_ABI",
        )


def _x32() -> bool:
    """Whether this kernel takes x32 calls: by its boot parameter (Debian), else by its configuration where it tells."""
    if os.uname().machine != "x86_64":
        return False
    if asked := boot_parameters().get("syscall.x32"):
        return asked.lower() in ("y", "1", "on")
    settings = _kernel_settings()
    return b"CONFIG_X86_X32_ABI=y" in settings and b"CONFIG_X86_X32_DISABLED=y" not in settings


def _kernel_settings() -> list[bytes]:
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).splitlines()
    except (OSError, EOFError):
        pass
    try:
        return Path(f"/boot/config-{os.uname().release}").read_bytes().splitlines()
    except OSError:
        return []


def _grouped(old: list[Task]) -> str:
    """The executables, those with most processes first."""
    counted = Counter(task.executable for task in old)
    first = {task.executable: task.pid for task in reversed(old)}
    named = [
        f"{executable} (pid {first[executable]})" if count == 1 else f"{executable} ({count} processes)"
        for executable, count in counted.most_common(_NAMED)
    ]
    rest = len(old) - sum(count for _, count in counted.most_common(_NAMED))
    noun = "process that could reach a socket" if len(old) == 1 else "processes that could reach a socket"
    return f"{len(old)} running {noun}: {', '.join(named)}" + (f" and {rest} more" if rest else "")


def _may_reach(status: bytes, gids: Collection[int]) -> bool:
    lines = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
    groups = {*lines.get(b"Gid", b"").split(), *lines.get(b"Groups", b"").split()}
    return b"0" in lines.get(b"Uid", b"").split() or any(b"%d" % gid in groups for gid in gids)


def _started(pid: int) -> float | None:
    """When a process started, in seconds of CLOCK_BOOTTIME; None where there is none."""
    if not pid:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) >= 20 else None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
