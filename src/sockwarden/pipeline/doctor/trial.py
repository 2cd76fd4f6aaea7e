"""The canary of the eBPF sensor: the doctor's own connect, as programs on trial tell it or as a running watch keeps it.

Where no watch runs, the programs are loaded, told of the sockets, and taken away again within two seconds.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sockwarden.document import get
from sockwarden.errors import SockwardenError
from sockwarden.pipeline.doctor.canary import PATIENCE, STORE_PATIENCE, USE_ITS_STORE, connect, tried
from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.sensors.ebpf import identities
from sockwarden.sensors.ebpf.lookup import path_given
from sockwarden.sensors.ebpf.records import Action
from sockwarden.sensors.ebpf.sensor import EbpfSensor, own_network
from sockwarden.sockets import LiveSocket
from sockwarden.store import Store

_MOST_OTHERS = 5000
"""Accesses to a socket that others made meanwhile, among which the doctor's is looked for."""


def on_trial(sockets: Sequence[LiveSocket], by: str, only: str | None) -> Iterator[Finding]:
    """What programs on trial tell of a connect to each socket; all have a path. Raises InputError where they cannot
    be loaded. by: the sensor and its rung, for a person.
    """
    sensor, network = EbpfSensor(only=only), own_network()
    sensor.open()
    try:
        sensor.watch({key for live in sockets for key in identities.of_live(live, network)})
        refused = {live.path: connect(live.path) for live in sockets if live.path}
        missing = _untold(sensor, {os.fsencode(path) for path in refused})
    finally:
        sensor.close()
    for path, why in refused.items():
        name = f"canary {path}"
        if os.fsencode(path) in missing:
            message = f"{tried(why)}: {by} told nothing of it within {PATIENCE:.0f} s"
            yield Finding(name, "fail", message, "Watch by `--sensor audit` meanwhile, and report it with this output.")
        else:
            yield Finding(name, "warn", f"not watched, as no watch runs; {by} on trial sees it", "sockwarden watch")


def _untold(sensor: EbpfSensor, paths: set[bytes]) -> set[bytes]:
    """Those of these paths of which no record of this process's came."""
    end, missing = time.monotonic() + PATIENCE, set(paths)
    while missing and (left := end - time.monotonic()) > 0:
        select.select(sensor.filenos()[:1], [], [], left)
        for record in sensor.accesses():
            if record.who.pid == os.getpid() and record.action == Action.CONNECT:
                missing.discard(path_given(record))
    return missing


def by_watch(sockets: Sequence[LiveSocket], by: str, state: Path) -> Iterator[Finding]:
    """Whether the running watch keeps a connect to each socket; all have a path."""
    began = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    refused = {live.path: connect(live.path) for live in sockets if live.path}
    kept: set[str] = set()
    trouble = ""
    try:
        kept = _kept(sockets, began, state)
    except SockwardenError as error:
        trouble = f" ({error})".replace("\n", ": ")
    for path, why in refused.items():
        name = f"canary {path}"
        if path in kept:
            yield Finding(name, "ok", f"{tried(why)}: kept by the watch ({by})")
        else:
            message = f"{tried(why)}: not in the store of the watch ({by}) after {STORE_PATIENCE:.0f} s{trouble}"
            yield Finding(name, "fail", message, USE_ITS_STORE)


def _kept(sockets: Sequence[LiveSocket], began: str, state: Path) -> set[str]:
    """The paths whose canary is in the store. Raises InputError where that cannot be read."""
    found: set[str] = set()
    end = time.monotonic() + STORE_PATIENCE
    with Store(state, create=False, wait=1) as store:
        while True:
            for live in sockets:
                if live.path and live.path not in found and _is_kept(store, live, began):
                    found.add(live.path)
            if len(found) == len(sockets) or time.monotonic() > end:
                return found
            select.select([], [], [], 0.1)


def _is_kept(store: Store, live: LiveSocket, began: str) -> bool:
    """began: a moment as `@timestamp` has it."""
    for access in store.newest_accesses(_MOST_OTHERS, socket=live.socket.address):
        if str(access["@timestamp"]) < began:
            return False
        mine = get(access, "process.pid") == os.getpid() and get(access, "sockwarden.own") == "canary"
        # Looking at the file opened it: an access too, but not the one.
        if mine and get(access, "event.action") == "connected-to":
            return True
    return False
