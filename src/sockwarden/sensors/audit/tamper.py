"""What others set that keeps records from being made: rules that come first, and status."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sockwarden.health import Trouble
from sockwarden.sensors.audit.protocol import Status
from sockwarden.sensors.audit.rule import (
    ARCH,
    DIR,
    EXCLUDE,
    EXIT,
    FILESYSTEM,
    FILESYSTEMS,
    FSTYPE,
    IO_URING,
    MSGTYPE,
    NEVER,
    PATH,
    PERM,
    TASK,
    Field,
    Rule,
    call_names,
)
from sockwarden.sensors.audit.targets import ours

_NEEDED = {1300: "SYSCALL", 1302: "PATH", 1306: "SOCKADDR", 1307: "CWD", 1336: "URINGOP"}
"""Records without which an access is not seen, or not understood."""
_WITHOUT_PERMISSION = {"connect", "socketcall", "io_uring_enter", "io_uring_register", "nop"}
"""Calls that a rule with perm= never matches."""

_EXECUTE = 1
"""AUDIT_PERM_EXEC, the one permission by which a rule matches execve."""


def shadows(listed: list[Rule]) -> list[Trouble]:
    """One trouble for each rule that may hide an access; all rules, in the order in which the kernel lists them."""
    found = []
    for position, rule in enumerate(listed):
        if hidden := _hidden(rule, listed[position + 1 :]):
            found.append(
                Trouble("audit-rules-shadowed", f"an audit rule of somebody else hides {hidden}: {rule}", str(rule))
            )
    return found


def _hidden(rule: Rule, later: list[Rule]) -> str:
    """What a rule may hide, in words; empty for one that hides nothing of ours."""
    if rule.filter == EXCLUDE:
        types = [name for kind, name in _NEEDED.items() if all(_holds(field, kind) for field in _of(rule, MSGTYPE))]
        return f"{', '.join(types)} records, without which an access is not understood" if types else ""
    if rule.action != NEVER:
        return ""
    if rule.filter == TASK:
        return "every process that starts while it stands, for as long as that process lives"
    if rule.filter == FILESYSTEM:
        harmless = all(field.comparison == "=" and field.value in FILESYSTEMS for field in _of(rule, FSTYPE))
        return "" if harmless else "accesses by path to sockets on one kind of file system"
    if rule.filter not in (EXIT, IO_URING):
        return ""
    calls = sorted({name for other in later if ours(other) for name in _taken(rule, other)})
    return f"calls that our rules are to record ({', '.join(calls)})" if calls else ""


def _taken(never: Rule, other: Rule) -> Iterator[str]:
    """The calls of a rule of ours that an earlier one may take from it, as far as path, architecture and perm tell.

    Whether its further conditions, a user or a program, hold for somebody who matters cannot be known.
    """
    arch = other.value(ARCH)
    if never.filter != other.filter or not never.calls & other.calls or not _reaches(never, other):
        return
    if isinstance(arch, int) and not all(_holds(field, arch) for field in _of(never, ARCH)):
        return
    shared = Rule(other.filter, other.action, never.calls & other.calls, other.fields)
    for name in call_names(shared):
        if all(_permits(field, name) for field in _of(never, PERM)):
            yield name


def _permits(perm: Field, name: str) -> bool:
    """Whether a rule with perm= may match a call (audit_match_perm in kernel/auditsc.c)."""
    if name in ("execve", "execveat"):
        return not isinstance(perm.value, int) or bool(perm.value & _EXECUTE)
    return name not in _WITHOUT_PERMISSION


def _reaches(never: Rule, other: Rule) -> bool:
    """Whether a rule that names a path or a folder means one that a rule of ours watches."""
    target = other.value(PATH) or other.value(DIR)
    if not isinstance(target, bytes):
        return True
    target = _real(target)
    for field in (*_of(never, PATH), *_of(never, DIR)):
        if not isinstance(field.value, bytes):
            continue
        named = _real(field.value)
        below = target.startswith(named.rstrip(b"/") + b"/") if field.kind == DIR else False
        above = named.startswith(target + b"/") and other.value(DIR) is not None
        if not (named == target or below or above):
            return False
    return True


def _real(path: bytes) -> bytes:
    """A path of a rule as the kernel resolved it: its folder's links followed, its last part not."""
    folder, _, name = path.rpartition(b"/")
    return os.path.realpath(folder or b"/").rstrip(b"/") + b"/" + name


def _of(rule: Rule, kind: int) -> list[Field]:
    return [field for field in rule.fields if field.kind == kind]


def _holds(field: Field, number: int) -> bool:
    """audit_comparator of kernel/auditfilter.c; True for an operator that is not known."""
    if not isinstance(field.value, int):
        return True
    return {
        "=": number == field.value,
        "!=": number != field.value,
        "<": number < field.value,
        "<=": number <= field.value,
        ">": number > field.value,
        ">=": number >= field.value,
        "&": bool(number & field.value),
        "&=": number & field.value == field.value,
    }.get(field.comparison, True)


def harmful(status: Status, wanted_backlog: int) -> list[Trouble]:
    """What of audit's status may cost records, or more."""
    found = []
    if status.enabled == 2:
        found.append(("enabled 2", "audit's configuration is locked until the next boot, so our rules will stay"))
    if status.failure == 2:
        found.append(("failure 2", "audit is set to panic on a lost record: a flood of records stops this machine"))
    if status.rate_limit:
        found.append(
            (
                f"rate_limit {status.rate_limit}",
                f"audit's rate limit drops every record beyond {status.rate_limit} a second",
            )
        )
    if 0 < status.backlog_limit < wanted_backlog:
        found.append(
            (
                f"backlog_limit {status.backlog_limit}",
                f"audit's queue has been cut to {status.backlog_limit} records, and a burst of accesses is lost",
            )
        )
    return [Trouble("audit-status-changed", message, detail) for detail, message in found]
