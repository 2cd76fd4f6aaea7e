"""Audit's status: what has to change so that records come, and how it is put back."""

from __future__ import annotations

import math
import os
import time
from contextlib import ExitStack
from pathlib import Path

from sockwarden.errors import InputError
from sockwarden.sensors.audit.protocol import Control, Status
from sockwarden.sensors.audit.runtime import DEFAULT, Changes, Runtime, boot_id
from sockwarden.sensors.audit.targets import ours

BACKLOG = 8192
"""Records that the kernel queues at least: its default of 64 holds ten accesses, auditd's packages set 8192."""


_PATIENCE = 60.0
"""Seconds in which a stopping watch takes its rules away, some 3,700 (see Control.delete). The unit's TimeoutStopSec is
longer.
"""


def refuse(status: Status) -> None:
    """InputError where a change is impossible, or a lost record would take the machine down."""
    if status.enabled == 2:
        raise InputError(
            "audit's configuration is locked",
            why="`auditctl -e 2` has been run; until the next boot nobody can add a rule, so sockets cannot be watched",
            todo="add the permanent rules (`sockwarden setup audit apply --for auditd`) before the lock and boot again",
        )
    if status.failure == 2:
        raise InputError(
            "audit is set to panic on a lost record (failure 2)",
            why="the records of our rules could fill the queue and stop this machine; nothing has been changed",
            todo="`auditctl -f 1` if that is acceptable here; else the recorded log is the way: `sockwarden hunt`",
        )


def planned(
    status: Status, earlier: Changes | None, *, enabled_at: float | None = None, backlog: int = BACKLOG
) -> Changes:
    """What to change, and from what; a value that an earlier run set and left goes back to what that run had found.

    enabled_at: when a watch first switched audit on in this boot. backlog: records that the kernel may queue, at least.
    """
    wanted = {"enabled": 1, "backlog_limit": max(backlog, status.backlog_limit) if status.backlog_limit else 0}
    before: dict[str, int] = {}
    for name, value in wanted.items():
        found: int = getattr(status, name)
        if earlier and earlier.ours.get(name) == found:
            before[name] = earlier.before[name]
        elif found != value:
            before[name] = found
    if enabled_at is None and not status.enabled:
        enabled_at = time.clock_gettime(time.CLOCK_BOOTTIME)
    auditd = earlier.auditd if earlier else status.pid
    return Changes(boot_id(), os.getpid(), auditd, enabled_at, before, {name: wanted[name] for name in before})


def undo(control: Control, changes: Changes | None, *, patience: float = _PATIENCE) -> tuple[list[str], list[str]]:
    """Takes our rules away and puts the status back, as far as its values still are ours: what was done, and what
    could not be. An auditd that came since has audit for its own; then the status is left to it.

    patience: seconds after which the rules that are left stay.
    """
    done: list[str] = []
    failed: list[str] = []
    try:
        rules = [rule for rule in control.rules() if ours(rule)]
        status = control.status()
    except OSError as error:
        return done, [f"the kernel's audit could not be asked ({error.strerror or error})"]
    end = time.monotonic() + patience
    for position, rule in enumerate(rules):
        if time.monotonic() >= end:
            left = len(rules) - position
            failed.append(f"{left} rules ({patience:.0f} s were not enough; `sockwarden setup audit remove` does it)")
            break
        try:
            control.delete(rule)
            done.append(f"removed rule {rule}")
        except OSError as error:
            failed.append(f"rule {rule} ({error.strerror or error})")
    if changes is None or status.pid not in (0, os.getpid(), changes.auditd):
        return done, failed
    for name, value in changes.ours.items():
        if getattr(status, name) != value:
            continue
        before = changes.before[name]
        try:
            control.set_status(**{name: before})
            done.append(f"set {name} back to {before}")
        except OSError as error:
            failed.append(f"{name} back to {before} ({error.strerror or error})")
    return done, failed


def remove_leftovers(runtime: Path = DEFAULT) -> tuple[list[str], list[str]]:
    """Cleans up after a watch that was killed: what was removed or put back, and what could not be.

    InputError while a watch runs.
    """
    with ExitStack() as closing:
        control = closing.enter_context(Control())
        place = Runtime(runtime)
        place.lock()
        closing.callback(place.release)
        done, failed = undo(control, place.read(), patience=math.inf)
        if not failed:
            place.clear()
        return done, failed
