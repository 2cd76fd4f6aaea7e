"""The decoder's process: it gives up what root may do, and then forks a worker, and another when that one ends. Only
workers read what came from clients; what one of them was brought to do dies with it.

Run with what it is handed as its first argument, in JSON (`Handed`).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress

import msgspec

from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.confinement import confine, die_with_parent
from sockwarden.pipeline.decoding.talks import Talks
from sockwarden.requests.describe import describe, returned
from sockwarden.requests.message import Answered, Asked
from sockwarden.sensors.ebpf.streams import Ring, Wanted, part_of

BEAT_SECONDS, _QUIET_BEAT_SECONDS = 0.5, 2.0
"""Between two signs that it is at work; quiet: while no connection is followed."""
_AGAIN_SECONDS = 0.5
"""Before a worker follows one that ended."""
_MOST_RECORDS = 256
"""Taken out of the ring before anything else is looked at."""


class Handed(msgspec.Struct, frozen=True):
    """What the process inherits: descriptors of the maps `streams` and `wanted`, of the socket that it tells over, and
    of the one over which it is told to begin anew; the size of the ring; which user to be; how much of a body to keep,
    and whether to hand it on.
    """

    ring: int
    ring_size: int
    wanted: int
    out: int
    control: int
    user: int
    most_body: int
    bodies: bool


def main() -> None:
    """Confines itself, then sees to it that a worker is there until the watch has ended."""
    handed = msgspec.json.decode(sys.argv[1], type=Handed)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _load()
    try:
        confine(handed.user)
    except OSError as error:
        _say_not_begun(handed, f"it cannot give up what root may do: {os.strerror(error.errno or 0)}")
        return
    control = socket.socket(fileno=handed.control)
    while True:
        try:
            pid = os.fork()
        except OSError as error:
            _say_not_begun(handed, f"{os.strerror(error.errno or 0)}, tried again until it can")
            time.sleep(_AGAIN_SECONDS)
            continue
        if not pid:
            control.close()
            die_with_parent()
            os._exit(work(handed))
        if not _worker_ended(pid, control):
            return
        time.sleep(_AGAIN_SECONDS)


def _say_not_begun(handed: Handed, why: str) -> None:
    """Tells the watch, whose end of the socket may be gone."""
    with socket.socket(fileno=os.dup(handed.out)) as out, suppress(OSError):
        out.send(wire.ENCODER.encode(wire.Failed(why, begun=False)))


def _load() -> None:
    """Has everything read that is read when it is first needed: afterwards no file can be."""
    for each in (
        Asked(0, "http/1.1", "POST", "/containers/create", body=b'{"Image": "x"}'),
        Asked(0, "grpc", "/runtime.v1.RuntimeService/RunPodSandbox"),
        Asked(0, "ttrpc", "/containerd.services.containers.v1.Containers/Create"),
    ):
        told = describe(each, store_bodies=True)
        returned(told.operation, Answered(0, 200, b"{}"), told.method)


def _worker_ended(pid: int, control: socket.socket) -> bool:
    """Waits for a worker's end, which the watch may ask for; False where the watch itself has ended."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    for descriptor in (process, control.fileno()):
        poll.register(descriptor, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    goes_on = control.fileno() not in ready or bool(control.recv(1))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(process)
    return goes_on


def work(handed: Handed) -> int:
    """Decodes until the watch has ended, or something goes wrong."""
    out = socket.socket(fileno=handed.out)
    try:
        _work(handed, out)
    except (BrokenPipeError, ConnectionResetError):
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is: the watch is told, and another worker begins
        place = traceback.extract_tb(error.__traceback__)[-1]
        failed = wire.Failed(f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}")  # noqa: PTH119
        with suppress(OSError):
            out.send(wire.ENCODER.encode(failed))
        return 1
    return 0


def _work(handed: Handed, out: socket.socket) -> None:
    ring, wanted = Ring(handed.ring, handed.ring_size), Wanted(handed.wanted)
    talks = Talks(
        lambda number, received, sent, whole: wanted.set(number, received, sent, whole=whole),
        most_body=handed.most_body,
        bodies=handed.bodies,
    )
    poll = select.poll()
    for descriptor in (handed.ring, handed.out):
        poll.register(descriptor, select.POLLIN)
    rejected, beat, ending = 0, 0.0, False
    while True:
        found = list(ring.take(_MOST_RECORDS))
        for record in found:
            try:
                part = part_of(record)
            except ValueError:
                rejected += 1
                continue
            for message in talks.feed(part):
                _tell(out, message)
        now = time.monotonic()
        if now >= beat or (ending and not found):
            beat = now + (BEAT_SECONDS if len(talks) else _QUIET_BEAT_SECONDS)
            for message in talks.overdue(time.monotonic_ns()):
                _tell(out, message)
            _tell(out, wire.Beat(os.getpid(), len(talks), talks.given_up, rejected))
        if ending and not found:
            ending = False
            _tell(out, wire.Done())
        ready = dict(poll.poll(max(beat - now, 0) * 1000))
        if handed.out in ready:
            ending = out.recv(16) == wire.LAST
            talks.patience = 0
            if not ending:
                return


def _tell(out: socket.socket, message: wire.Message) -> None:
    packet = wire.ENCODER.encode(message)
    if len(packet) > wire.MOST_BYTES:
        raise ValueError("a message is longer than any may be")
    out.send(packet)
