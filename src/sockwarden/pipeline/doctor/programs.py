"""By what a watch watches, and the eBPF sensor's ladder: each rung tried, with the reason where it cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.pipeline.doctor.host import Host, Survey
from sockwarden.sensors.ebpf.ladder import RUNGS, Rung, verifier_said

_MOST_LINES = 8
"""Of the verifier's log."""


def sensor(host: Host) -> Iterator[Finding]:
    """What the running watch is on, or what one would take by the settings."""
    if host.watcher:
        yield _running(host)
    elif os.geteuid() == 0:
        yield _chosen(host)


def _running(host: Host) -> Finding:
    watcher = host.watcher
    if watcher is None or not watcher.sensor:
        message = "the running watch does not say by what it watches; taken for audit, as an older version's"
        return Finding("sensor", "warn", message, "Restart the watch.")
    best = host.survey.best(host.only)
    behind = watcher.sensor == "audit" or (best and RUNGS.index(best) < _rank(watcher.hook))
    if host.use != "audit" and best and behind:
        message = f"the watch runs on {host.by}, though ebpf ({best}) works here"
        return Finding("sensor", "warn", message, "Restart it, unless it was told to by an option.")
    return Finding("sensor", "ok", f"the watch runs on {host.by}")


def _rank(hook: str) -> int:
    return RUNGS.index(hook) if hook in RUNGS else 0


def _chosen(host: Host) -> Finding:
    best = host.survey.best(host.only)
    if host.use == "ebpf" and not best:
        wanted = f"its rung {host.only}" if host.only else "it"
        message = f"a watch does not start: the settings ask for ebpf, and {wanted} cannot be used here"
        return Finding("sensor", "fail", message, 'Mend what follows, or set [sensors] use = "auto".')
    if host.use == "audit":
        return Finding("sensor", "ok", "a watch takes audit, as the settings say")
    if not best:
        return Finding("sensor", "warn", "a watch takes audit, since eBPF cannot be used here", "The reason follows.")
    if best == "tracepoint" and not host.only:
        todo = "It sees a little less than the better rungs (see `blind`); why they cannot be used follows."
        return Finding("sensor", "warn", f"a watch takes {host.by}, the lowest rung", todo)
    return Finding("sensor", "ok", f"a watch takes {host.by}")


def ladder(host: Host) -> Iterator[Finding]:
    """The rungs. Programs were attached for a moment, and saw nothing."""
    if os.geteuid() and host.survey.nothing:
        yield Finding("eBPF", "warn", f"not tried: {host.survey.nothing.why}", "sudo sockwarden doctor")
        return
    yield from findings(host.survey)


def findings(survey: Survey) -> Iterator[Finding]:
    """The same of any object."""
    if error := survey.nothing:
        yield Finding("eBPF", "warn", f"{error.why}; so none of {', '.join(RUNGS)}", error.todo)
        return
    # Of the upper three each sees the same: only below them one is missed.
    missed = survey.best() in ("tracepoint", "")
    for rung in survey.rungs:
        yield _usable(rung) if rung.usable else _unusable(rung, missed=missed)


def _usable(rung: Rung) -> Finding:
    without = "; ".join(f"without {name}: {error.what}: {error.why}" for name, error in rung.missed.items())
    return Finding(f"eBPF {rung.name}", "ok", "loads and attaches" + (f"; {without}" if without else ""))


def _unusable(rung: Rung, *, missed: bool) -> Finding:
    name, trouble = f"eBPF {rung.name}", rung.trouble
    if trouble is None:
        raise ValueError(f"rung {rung.name} can be used")
    if said := verifier_said(rung.log):
        # What should work does not: the programs are made for every kernel that has the rung.
        lines = " | ".join(said[-_MOST_LINES:])
        return Finding(name, "fail", f"{trouble.where}: {trouble.what}: {lines}", trouble.todo)
    message = ": ".join(filter(None, (trouble.where, trouble.what, trouble.why)))
    return Finding(name, "warn" if missed else "ok", message, trouble.todo if missed else "")
