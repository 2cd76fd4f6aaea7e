"""By what a watch watches: the sensors by name, and what looks at the host beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from sockwarden.pipeline.audit_source import AuditSource
from sockwarden.pipeline.decoding.decoder import Reading
from sockwarden.pipeline.ebpf_source import EbpfSource
from sockwarden.pipeline.source import LiveSource, Looker
from sockwarden.pipeline.sweeping import Sweeping
from sockwarden.settings import Config
from sockwarden.sockets import packaged
from sockwarden.sockets.daemons import Daemons

AUTO = "auto"


class Asked(msgspec.Struct, frozen=True):
    """What the settings and the options beside them say.

    runtime: folder of the lock. unicast: `--audit-unicast`.
    """

    config: Config
    runtime: Path
    unicast: bool = False


def _audit(asked: Asked) -> LiveSource:
    audit = asked.config.sensors.audit
    return AuditSource(asked.runtime, unicast=asked.unicast or audit.unicast, backlog=audit.backlog)


def _ebpf(asked: Asked) -> LiveSource:
    daemons = Daemons(packaged())
    only, requests = asked.config.sensors.ebpf.rung or None, asked.config.requests
    reading = Reading(requests.most_body, requests.store_bodies) if requests.read else None
    return EbpfSource(asked.runtime, lambda path: daemons.serving(path) is not None, only=only, reading=reading)


SENSORS: dict[str, Callable[[Asked], LiveSource]] = {"ebpf": _ebpf, "audit": _audit}
"""By name, the best first: the order in which `auto` tries them. settings/config.py has the names too."""


def _sweep(config: Config) -> Looker | None:
    return Sweeping(config.sensors.sweep.seconds) if config.sensors.sweep.enabled else None


LOOKERS: tuple[Callable[[Config], Looker | None], ...] = (_sweep,)
"""Each gives None where the settings do not want it."""


def sources_of(sensor: str, asked: Asked) -> list[LiveSource]:
    """What `--sensor` names, to be tried in this order; nothing is opened yet."""
    names = list(SENSORS) if sensor == AUTO else [sensor]
    return [SENSORS[name](asked) for name in names]


def lookers_of(config: Config) -> list[Looker]:
    """What the settings want beside the sensor."""
    return [looker for of in LOOKERS if (looker := of(config))]
