"""From datagrams to judged accesses: a capture, sent as the kernel would, gives what a hunt through its log gives."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from sockwarden.auditrecords import Record, parse_line, types
from sockwarden.detect import Detection, Engine, RuleDetection, SignatureDetection
from sockwarden.document import Document, get
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who
from sockwarden.pipeline.audit_source import Datagrams
from sockwarden.pipeline.hunt import Hunt
from sockwarden.pipeline.live import Judged, Live
from sockwarden.pipeline.source import Told
from sockwarden.readers import plan
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.sockets import LiveSocket, Resolver, packaged
from sockwarden.sockets.inventory import Inventory

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
DOCKER = ("00:18", 1208)


def detections() -> list[Detection]:
    return [*map(RuleDetection, load_packaged()), *(SignatureDetection(kind()) for kind in SIGNATURES)]


def datagram(number: int, text: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(text), number, 0, 0, 0) + text


def sent(log: Path) -> Iterator[bytes]:
    """The log's records as datagrams."""
    numbers = {types.name_of(number): number for number in range(1000, 2100)}
    for line in log.read_bytes().splitlines():
        record = parse_line(line)
        if isinstance(record, Record):
            stamp = b"audit(%d.%03d:%d): " % (record.time // 1000, record.time % 1000, record.serial)
            yield datagram(numbers[record.type], stamp + record.body)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    containers = Containers()
    cache = ProcessCache(containers)
    engine = Engine(detections())
    inventory = Inventory(packaged())
    inventory.refresh([socket_of(*DOCKER)], 0)
    yield Live(Resolver(packaged(), inventory), Who(cache, containers), lambda: engine, tmp_path, lambda: inventory)
    containers.close()


def socket_of(device: str, inode: int) -> LiveSocket:
    docker = packaged().path("/run/docker.sock")
    assert docker
    return LiveSocket(docker, "path", "catalogue", device=device, inode=inode, path=docker.address)


def serial(alert: Document) -> tuple[int, str]:
    return get(alert, "event.sequence"), get(alert, "kibana.alert.uuid")


@pytest.mark.parametrize("log", sorted(CAPTURES.glob("inode-rules*.audit.log")), ids=lambda path: path.stem)
def test_the_same_alerts_as_from_the_log(log: Path, live: Live) -> None:
    alerts = list(Hunt(detections()).alerts(plan([str(log)])))
    hunted = set(map(serial, alerts))
    plain = next(one for one in alerts if get(one, "sockwarden.socket.address_as_given") == "/run/docker.sock")
    inventory = Inventory(packaged())
    place = get(plain, "sockwarden.socket.device"), get(plain, "sockwarden.socket.inode")
    inventory.refresh([socket_of(*place)], 0)
    live.resolver = Resolver(packaged(), inventory)
    datagrams = Datagrams()
    judged = list(live.accesses(map(Told, chain(datagrams.documents(sent(log)), datagrams.expire(1 << 60)))))
    found = {serial(alert) for one in judged for alert in one.alerts}
    assert found
    assert found == hunted
    assert (datagrams.rejected, datagrams.incomplete) == (0, 0)


def access_by(pid: int) -> list[bytes]:
    stamp = b"audit(1700000000.123:7): "
    call = b'arch=c000003e syscall=42 success=yes exit=0 a0=3 items=1 ppid=1 pid=%d uid=0 comm="c" exe="/c" key=(null)'
    path = b'item=0 name="/run/docker.sock" inode=1208 dev=00:18 mode=0140660 ouid=0 ogid=0 nametype=NORMAL'
    address = b"saddr=0100" + b"/run/docker.sock".hex().encode() + b"00"
    texts = [
        (1300, call % pid),
        (1306, address),
        (1307, b'cwd="/"'),
        (1302, path),
        (1327, b'proctitle="c"'),
        (1320, b""),
    ]
    return [datagram(number, stamp + text) for number, text in texts]


def judged(live: Live, datagrams: list[bytes]) -> Iterator[Judged]:
    return live.accesses(map(Told, Datagrams().documents(datagrams)))


def own_of(judged: Iterator[Judged]) -> tuple[object, int]:
    (one,) = judged
    return get(one.access, "sockwarden.own"), len(one.alerts)


def test_what_others_do_is_judged_and_of_this_host(live: Live) -> None:
    (one,) = judged(live, access_by(1))
    assert (get(one.access, "sockwarden.own"), len(one.alerts)) == (None, 2)
    assert get(one.access, "host.name") == get(one.alerts[0], "host.name") == os.uname().nodename
    assert get(one.access, "host.os.type") == "linux"


def test_what_sockwarden_does_itself_is_kept_and_not_judged(live: Live) -> None:
    assert own_of(judged(live, access_by(os.getpid()))) == ("watch", 0)


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])


@pytest.mark.parametrize(("off", "own"), [(0, ("canary", 0)), (1, (None, 2))])
def test_a_canary_is_that_very_process(off: int, own: tuple[object, int], live: Live, tmp_path: Path) -> None:
    pid = os.getppid()
    (tmp_path / "canary").write_text(json.dumps({"pid": pid, "start": start_of(pid) + off}), encoding="ascii")
    assert own_of(judged(live, access_by(pid))) == own


@pytest.mark.parametrize("text", [b"", b"[]", b'{"pid": "x"}', b"\xff"])
def test_a_broken_canary_is_none(text: bytes, live: Live, tmp_path: Path) -> None:
    (tmp_path / "canary").write_bytes(text)
    assert own_of(judged(live, access_by(os.getppid()))) == (None, 2)


def test_what_is_no_record_is_counted() -> None:
    datagrams = Datagrams()
    assert list(datagrams.documents([b"", b"x" * 100])) == []
    assert datagrams.rejected == 2


def test_accesses_to_other_sockets_are_counted(live: Live) -> None:
    other = [part.replace(b"docker.sock", b"other1.sock").replace(b"inode=1208", b"inode=9") for part in access_by(1)]
    other[1] = datagram(1306, b"audit(1700000000.123:7): saddr=0100" + b"/run/other1.sock".hex().encode() + b"00")
    assert list(judged(live, other)) == []
    assert live.elsewhere == 1


def test_changes_of_audit_are_noticed() -> None:
    datagrams = Datagrams()
    list(datagrams.documents(access_by(1)))
    assert not datagrams.reconfigured
    removal = datagram(1305, b"audit(1700000000.200:8): op=remove_rule key=(null) list=4 res=1")
    assert list(datagrams.documents([removal])) == []
    assert datagrams.reconfigured
