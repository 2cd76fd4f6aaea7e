"""The doctor: each prerequisite of watching, what is in place, what is blind, and the mend."""

from collections.abc import Iterator
from pathlib import Path

from sockwarden.pipeline.doctor import installation, kernel, programs
from sockwarden.pipeline.doctor.canary import announced
from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.pipeline.doctor.host import look, watcher
from sockwarden.sensors.audit.runtime import DEFAULT

__all__ = ["DEFAULT", "Finding", "examine"]

_CHECKS = (
    kernel.privileges,
    programs.sensor,
    programs.ladder,
    kernel.audit,
    kernel.auditd,
    kernel.rules,
    kernel.sources,
    kernel.blind,
    installation.sockets,
    installation.configuration,
    installation.service,
    installation.watch,
)


def examine(state: Path, runtime: Path = DEFAULT) -> Iterator[Finding]:
    """Every finding, in the order in which a person would look. state: the folder of the watch's store."""
    # From the first look on, since looking at a socket's file opens it.
    with announced(runtime if watcher(runtime) else None):
        host = look(runtime)
        for check in _CHECKS:
            yield from check(host)
        yield from installation.store(state)
        yield from installation.canaries(host, state)
