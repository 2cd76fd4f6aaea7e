"""The eBPF sensor's ladder: each rung tried, from the best, with the reason where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.pipeline.doctor.host import Host
from sockwarden.sensors.ebpf.ladder import RUNGS, NoRungError, Rung, packaged, survey, verifier_said

_MOST_LINES = 8
"""Of the verifier's log."""
_INSTEAD = "a watch uses the kernel's audit instead"


def ladder(_: Host) -> Iterator[Finding]:
    """What the best programs are that this kernel takes. They are attached for a moment, and see nothing."""
    yield from findings(packaged())


def findings(binary: bytes) -> Iterator[Finding]:
    """The same of any object."""
    try:
        rungs = survey(binary)
    except NoRungError as error:
        yield Finding("eBPF", "warn", f"{error.why}; so none of {', '.join(RUNGS)}, {_INSTEAD}", error.todo)
        return
    best = next((rung.name for rung in rungs if rung.usable), "")
    yield _summary(best)
    for rung in rungs:
        # Of the upper three each sees the same: only below them one is missed.
        yield _usable(rung) if rung.usable else _unusable(rung, missed=best in ("tracepoint", ""))


def _summary(best: str) -> Finding:
    if not best:
        return Finding("eBPF", "warn", f"no programs can be used, {_INSTEAD}; the reasons follow")
    message = f"the programs of {best} are what a watch uses"
    if best == "tracepoint":
        blind = "a descriptor that another thread closes or swaps before the call ends is not seen"
        return Finding("eBPF", "warn", f"{message}: {blind}", "The better rungs follow, and why they cannot be used.")
    return Finding("eBPF", "ok", message)


def _usable(rung: Rung) -> Finding:
    without = "; ".join(f"without {name}: {error.what}: {error.why}" for name, error in rung.without.items())
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
