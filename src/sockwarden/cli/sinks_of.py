"""Which sinks a configuration asks for, each under a name that stays the same from run to run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sockwarden.cli.cluster import connection_of
from sockwarden.cli.output import console
from sockwarden.cli.receivers import Receiver, receivers_of
from sockwarden.settings import Config
from sockwarden.sinks import Sink
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.index import AccessIndex, AlertIndex, BulkCarrier, accesses_stream, alerts_index
from sockwarden.sinks.journald import JournaldSink
from sockwarden.sinks.live import LiveSink
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.stream import StreamSink

STDOUT = "stdout"


def sinks_of(config: Config, output: str, state: Path) -> dict[str, Sink]:
    """The sinks of a run that lasts. Standard output last: what happens to it must not keep alerts from the others.

    output: `text`, for people where the settings want that, or one of FORMS; state: the folder with the spools
    """
    sinks: dict[str, Sink] = {}
    if config.sinks.file.path:
        sinks["file"] = NdjsonFileSink(Path(config.sinks.file.path), config.sinks.file.form)
    if config.sinks.journald.enabled:
        sinks["journald"] = JournaldSink()
    for name, receiver in receivers_of(config).items():
        sinks[name] = SpooledSink(
            name,
            receiver.carrier,
            state,
            min_severity=receiver.min_severity,
            most_bytes=config.sinks.spool_bytes,
            shown=f"{receiver.kind} {name}",
        )
    sinks |= _into_cluster(config, state)
    if output != "text":
        sinks[STDOUT] = StreamSink(output, sys.stdout.buffer)
    elif config.sinks.terminal.enabled:
        sinks[STDOUT] = LiveSink(console(), stored=True)
    return sinks


def index_receivers(config: Config) -> dict[str, Receiver]:
    """As `receivers_of`, what goes into the cluster; its entries are of sinks.index's own form."""
    index = config.sinks.index
    if not index.enabled:
        return {}
    connection = connection_of(config.cluster)
    wanted = {"index": (index.alerts, alerts_index), "index-accesses": (index.accesses, accesses_stream)}
    return {
        name: Receiver("index", f"{connection.base}/{of(index.namespace)}", "ecs", "low", BulkCarrier(connection))
        for name, (asked, of) in wanted.items()
        if asked
    }


def _into_cluster(config: Config, state: Path) -> dict[str, Sink]:
    index = config.sinks.index
    if not index.enabled:
        return {}
    connection, size = connection_of(config.cluster), config.sinks.spool_bytes
    sinks: dict[str, Sink] = {}
    if index.alerts:
        sinks["index"] = AlertIndex(connection, state, index.namespace, size)
    if index.accesses:
        sinks["index-accesses"] = AccessIndex(connection, state, index.namespace, size)
    return sinks


def terminal_of(sinks: Mapping[str, Sink]) -> LiveSink | None:
    """The sink that a person reads, where notes and the status line go too."""
    sink = sinks.get(STDOUT)
    return sink if isinstance(sink, LiveSink) else None
