"""Checks of the kernel: privileges, audit and its rules, what no audit rule can see, the other sources."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from sockwarden.errors import InputError, SockwardenError
from sockwarden.pipeline import permanent_rules, rules_file
from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.pipeline.doctor.host import Host
from sockwarden.pipeline.gap import log_of
from sockwarden.sensors.audit.blind import Audit, blind_spots
from sockwarden.sensors.audit.changes import BACKLOG
from sockwarden.sensors.audit.protocol import Status
from sockwarden.sensors.audit.rule import Rule
from sockwarden.sensors.audit.tamper import shadows
from sockwarden.sensors.audit.targets import ours
from sockwarden.sensors.capabilities import AT_START, NEEDS
from sockwarden.sensors.ebpf import blind as ebpf
from sockwarden.sensors.proc_connector import ProcConnector

_MOST_NAMED = 5


def privileges(host: Host) -> Iterator[Finding]:
    """Root, and the capabilities that the sensor starts with."""
    effective = next((int(line.split()[1], 16) for line in _lines("/proc/self/status") if line.startswith("CapEff")), 0)
    needs = [need for need in (*NEEDS, *AT_START) if host.sensor in need.sensors]
    missing = [need.name for need in needs if not effective >> need.number & 1]
    if os.geteuid():
        yield Finding(
            "privileges",
            "fail",
            "not root: a watch needs it, and most below cannot be looked at",
            "sudo sockwarden doctor",
        )
    elif missing:
        todo = "Give them to whatever confines this process (CapabilityBoundingSet=, --cap-add)."
        yield Finding("privileges", "fail", f"root, but without {', '.join(missing)}", todo)
    else:
        yield Finding("privileges", "ok", f"root, with {', '.join(need.name for need in needs)}")


def audit(host: Host) -> Iterator[Finding]:
    """The kernel's audit: there, on, and its queue."""
    if host.sensor == "ebpf":
        yield from _audit_beside(host)
        return
    if host.status is None:
        if os.geteuid() == 0:
            yield _failed("kernel audit", host.audit_error)
        return
    status = host.status
    facts = _facts(status)
    problem = _status_problem(status, watching=host.watcher is not None)
    if problem:
        state, message, todo = problem
        yield Finding("kernel audit", "fail" if state == "fail" else "warn", f"{message} ({facts})", todo)
    else:
        yield Finding("kernel audit", "ok", facts)
    if status.lost:
        message = f"{status.lost:,} records lost since the system started; which, the kernel does not tell"
        todo = "A larger queue helps: auditctl -b 8192. With audit=1 and no auditd some were lost early in the boot."
        yield Finding("records lost", "warn", message, todo)


def _audit_beside(host: Host) -> Iterator[Finding]:
    """Audit where the watch does without it: of use only to record while none runs."""
    name, without = "kernel audit", f"{host.by} does without it"
    if host.status is None:
        yield Finding(name, "ok", f"could not be asked; {without}")
    elif not host.status.enabled and any(permanent_rules.KEY in rule.keys for rule in host.rules):
        message = f"switched off: the permanent rules record nothing; {without} ({_facts(host.status)})"
        yield Finding(name, "warn", message, "auditctl -e 1")
    else:
        state = "on" if host.status.enabled else "switched off"
        yield Finding(name, "ok", f"{state}; {without} ({_facts(host.status)})")


def _facts(status: Status) -> str:
    return (
        f"enabled {status.enabled}, failure {status.failure}, rate_limit {status.rate_limit}, "
        f"backlog {status.backlog} of {status.backlog_limit}, lost {status.lost}"
    )


def _status_problem(status: Status, *, watching: bool) -> tuple[str, str, str] | None:
    if status.enabled == 2:
        todo = "For rules before the lock: setup audit apply --for auditd --folder /etc/audit/rules.d; boot anew."
        return "fail", "locked until the next boot: no rule can be set", todo
    if status.failure == 2:
        return "fail", "a lost record stops the machine, so a watch refuses to start", "auditctl -f 1"
    if status.enabled == 0 and watching:
        return "fail", "switched off while a watch runs", "The watch switches it on again within 2 s; find who did it."
    if status.enabled == 0:
        return "warn", "switched off", "A watch switches it on; for recording without one: auditctl -e 1"
    if status.rate_limit:
        return "warn", f"records beyond {status.rate_limit} a second are dropped", "auditctl -r 0"
    if 0 < status.backlog_limit < BACKLOG:
        return (
            "warn",
            "the queue is short, a burst of accesses is lost",
            f"A watch sets {BACKLOG}; or: auditctl -b {BACKLOG}",
        )
    return None


def auditd(host: Host) -> Iterator[Finding]:
    """Whoever owns the unicast side, and its log, which covers the time when no watch runs."""
    if host.status is None:
        return
    pid = host.status.pid
    installed = Path("/etc/audit/auditd.conf").exists()
    if not pid:
        message = "installed, but does not run" if installed else "not installed"
        todo = "systemctl enable --now auditd" if installed else ""
        yield Finding(
            "auditd",
            "warn" if installed else "ok",
            f"{message}: what happens while no watch runs is recorded nowhere",
            todo,
        )
        return
    name = f"{_program(pid)} (pid {pid}) owns audit"
    log = log_of(pid)
    if log is None or not log.exists():
        yield Finding("auditd", "warn", f"{name}; a log that a watch could catch up from was not found", "")
    elif not os.access(log, os.R_OK):
        yield Finding("auditd", "fail", f"{name}; its log {log} cannot be read", "Run it as root.")
    else:
        yield Finding("auditd", "ok", f"{name}; its log {log} can be read")


def rules(host: Host) -> Iterator[Finding]:
    """The watch's rules, the permanent ones, and others'."""
    if host.status is None:
        return
    yield _watch_rules(host, [rule for rule in host.rules if ours(rule)])
    yield _permanent_rules(host)
    others = [rule for rule in host.rules if not ours(rule) and permanent_rules.KEY not in rule.keys]
    if others:
        taking = [path for path in sorted(host.paths) if any(rule in others for rule in host.covering(path)[:1])]
        message = f"{len(others)}, of which none comes before ours on a runtime socket"
        if taking:
            message = f"{len(others)}; the records of {_named(taking)} have their key, which does no harm"
        yield Finding("rules of others", "ok", message)
    todo = "Take it away: auditctl -l shows the order, auditctl -d deletes."
    for trouble in shadows(host.rules):
        if host.watched_by_ebpf:
            yield Finding("never rules", "warn", f"{trouble.message}; the watch by ebpf sees what it hides", todo)
        else:
            yield Finding("never rules", "fail", trouble.message, todo)


def _watch_rules(host: Host, mine: list[Rule]) -> Finding:
    name = "rules of the watch"
    uncovered = [path for path in sorted(host.paths) if not any(ours(rule) for rule in host.covering(path))]
    if host.watched_by_ebpf and not mine:
        return Finding(name, "ok", "none, as the watch runs on ebpf")
    if host.watcher and uncovered and not host.watched_by_ebpf:
        return Finding(
            name, "fail", f"missing for {_named(uncovered)}", "The watch puts them back within 2 s; find who deletes."
        )
    if host.watcher and not host.watched_by_ebpf:
        return Finding(name, "ok", f"{len(mine)}, on every runtime socket that has a file")
    if mine:
        todo = "The next watch takes them over; or: sockwarden setup audit remove --for auditd"
        return Finding(name, "warn", f"{len(mine)} left by a watch that was killed", todo)
    return Finding(name, "ok", "none, as no watch runs")


def _permanent_rules(host: Host) -> Finding:
    name = "permanent rules"
    apply = "sockwarden setup audit apply --for auditd"
    file = rules_file.FILES["auditd"]
    count = sum(permanent_rules.KEY in rule.keys for rule in host.rules)
    if not count:
        if file.exists():
            return Finding(name, "fail", f"{file} is there, but none of its rules is loaded", apply)
        return Finding(name, "ok", f"none; for recording while no watch runs: {apply}")
    bare = [path for path in sorted(host.paths) if not _permanent_covers(host, path)]
    if bare:
        return Finding(name, "warn", f"{count}, but none for {_named(bare)}", apply)
    return Finding(name, "ok", f"{count}, on every runtime socket that has a file")


def _permanent_covers(host: Host, path: str) -> bool:
    return any(permanent_rules.KEY in rule.keys for rule in host.covering(path))


def blind(host: Host) -> Iterator[Finding]:
    """What the sensor does not see on this host."""
    if host.sensor == "ebpf":
        for spot in ebpf.blind_spots(host.hook):
            yield Finding("blind", "warn", f"{spot.what}: {spot.why}", spot.todo)
        return
    if host.status is None:
        return
    release = os.uname().release
    uring = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit()) >= (5, 16)
    on_since = host.changes.enabled_at if host.changes else None
    if host.status.enabled == 0:
        on_since = time.clock_gettime(time.CLOCK_BOOTTIME)
    gids = {live.gid for live in host.sockets if live.mode & 0o020}
    kinds = {live.kind for live in host.sockets}
    known = Audit(on_since, host.status.pid, host.rules, uring)
    if uring:
        yield Finding("io_uring", "ok", f"Linux {release} has an audit list for it (5.16 and later)")
    for spot in blind_spots(known, gids, has_tcp="inet" in kinds, has_abstract="abstract" in kinds):
        yield Finding("blind", "warn", f"{spot.what}: {spot.why}", spot.todo)


def sources(host: Host) -> Iterator[Finding]:
    """Process events, and the kernel's list of sockets."""
    if os.geteuid() == 0 and host.sensor == "audit":
        connector = ProcConnector()
        try:
            connector.open()
        except InputError as error:
            yield _failed("process events", error)
        else:
            yield Finding("process events", "ok", "the process connector answers")
        finally:
            connector.close()
    if host.sockets_error:
        yield _failed("list of sockets", host.sockets_error)
    elif host.limits:
        yield Finding("list of sockets", "warn", "; ".join(host.limits))
    else:
        yield Finding("list of sockets", "ok", "sock_diag answers")


def _failed(name: str, error: SockwardenError | None) -> Finding:
    if error is None:
        return Finding(name, "fail", "could not be looked at")
    return Finding(name, "fail", ": ".join(filter(None, (error.what, error.why))), error.todo)


def _named(paths: list[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _program(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return "a process"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
