"""Lessons and the resolver: which socket an inode is at which moment, and what an access therefore reached."""

from __future__ import annotations

from typing import Any

import pytest

from sockwarden.document import Document, get
from sockwarden.sockets import Lessons, Resolver, lesson_in, packaged

DOCKER = "/run/docker.sock"
CONTAINERD = "/run/containerd/containerd.sock"
SHIMS = [f"/run/containerd/s/{digit * 8}" for digit in "1234"]


class Log:
    """Documents of one log, one second apart."""

    def __init__(self) -> None:
        self.documents: list[Document] = []

    def add(
        self, action: str, *paths: dict[str, str], host: str = "", serial: int | None = None, **more: Any
    ) -> Document:
        number = len(self.documents)
        document: Document = {
            "@timestamp": f"2026-11-21T20:{number // 60:02d}:{number % 60:02d}.000Z",
            "event": {
                "action": action,
                "outcome": "success",
                "sequence": 1000 + number if serial is None else serial,
            },
            "host": {"name": host} if host else {},
            "auditd": {"paths": list(paths)},
            "process": {"working_directory": "/"},
            "sockwarden": {"sensor": {"name": "audit"}, "socket": more},
            "destination": {"port": more["port"]} if "port" in more else {},
        }
        self.documents.append(document)
        return document

    def connect(
        self, name: str, inode: int = 12, *, dev: str = "fe:00", host: str = "", serial: int | None = None
    ) -> Document:
        path = {"name": name, "inode": str(inode), "dev": dev, "mode": "0140660", "nametype": "NORMAL"}
        return self.add("connected-to", path, host=host, serial=serial, address_as_given=name, type="path")

    def change(self, action: str, **names: str) -> Document:
        """A bind (create), unlink (delete) or rename (delete, create) on inode 12."""
        kinds = {"inode": "12", "dev": "fe:00", "mode": "0140660"}
        return self.add(action, *({**kinds, "name": name, "nametype": kind.upper()} for kind, name in names.items()))

    def resolve(self, *, literal: bool = False) -> None:
        """As a hunt does: the whole log teaches, then it is judged."""
        lessons = Lessons()
        for document in self.documents:
            lessons.learn(lesson_in(document, packaged()))
        resolver = Resolver(packaged(), lessons, literal=literal)
        for document in self.documents:
            resolver.resolve(document)


def reached(document: Document) -> list[str]:
    """The canonical addresses: those in destination.address without the address as given."""
    if not get(document, "sockwarden.socket.canonical"):
        return []
    addresses = get(document, "destination.address")
    addresses = addresses if isinstance(addresses, list) else [addresses]
    return [address for address in addresses if packaged().path(address) or packaged().abstract(address[1:])]


def test_alias_before_its_lesson_and_after() -> None:
    log = Log()
    before, _, after = log.connect("/srv/x"), log.connect(DOCKER), log.connect("/srv/x")
    log.resolve()
    for document in (before, after):
        assert document["destination"] == {"address": [DOCKER, "/srv/x"], "path": [DOCKER, "/srv/x"]}
        assert document["sockwarden"]["socket"] == {
            "address_as_given": "/srv/x",
            "type": "path",
            "canonical": DOCKER,
            "runtime": "docker",
            "name": "Docker Engine API",
            "alias": "symlink-or-mount",
            "inode": 12,
            "device": "fe:00",
        }


def test_plain_name_has_one_address_and_no_alias() -> None:
    log = Log()
    plain, other_spelling = log.connect(DOCKER), log.connect(f"/var{DOCKER}")
    log.resolve()
    assert plain["destination"] == {"address": DOCKER, "path": DOCKER}
    assert get(other_spelling, "destination.address") == [DOCKER, f"/var{DOCKER}"]
    for document in (plain, other_spelling):
        assert get(document, "sockwarden.socket.alias") is None
        assert get(document, "sockwarden.socket.ambiguous") is None


def test_inode_that_serves_four_shim_sockets_in_turn() -> None:
    log = Log()
    documents = [(log.connect(shim), log.connect("/srv/alias"), shim) for shim in SHIMS]
    log.resolve()
    for named, alias, shim in documents:
        assert reached(named) == reached(alias) == [shim]
        assert get(alias, "sockwarden.socket.ambiguous") is None


def test_interleaved_names_are_aliases_of_one_socket_and_ambiguous() -> None:
    log = Log()
    documents = [log.connect(name) for name in (DOCKER, CONTAINERD, "/srv/x", DOCKER, CONTAINERD)]
    log.resolve()
    assert [set(reached(document)) for document in documents[1:4]] == [{DOCKER, CONTAINERD}] * 3
    assert [get(document, "sockwarden.socket.ambiguous") for document in documents] == [None, True, True, True, None]


def test_other_socket_mounted_over_a_runtime_sockets_name() -> None:
    """In a mount namespace of one's own; the lesson it teaches only adds, and the conflict is said."""
    log = Log()
    log.connect(CONTAINERD, 7)
    poison = log.connect(DOCKER, 7)
    victim = log.connect(CONTAINERD, 7)
    real = log.connect(DOCKER, 12)
    log.resolve()
    assert reached(poison) == [DOCKER, CONTAINERD]
    assert get(poison, "sockwarden.socket.ambiguous") is True
    assert CONTAINERD in reached(victim)
    assert reached(real) == [DOCKER] and get(real, "sockwarden.socket.ambiguous") is None


def test_bind_outranks_a_connect() -> None:
    log = Log()
    log.change("bound-socket", create=CONTAINERD)
    log.connect(DOCKER)
    alias = log.connect("/srv/x")
    log.resolve()
    assert set(reached(alias)) == {CONTAINERD, DOCKER}
    assert get(alias, "sockwarden.socket.ambiguous") is True


def test_bind_makes_the_inode_anew() -> None:
    log = Log()
    log.connect(DOCKER)
    log.change("bound-socket", create="/srv/other.sock")
    after = log.connect("/srv/other.sock")
    log.resolve()
    assert reached(after) == []


def test_unlink_ends_a_lesson() -> None:
    log = Log()
    before = log.connect("/srv/x")
    log.connect(DOCKER)
    log.change("deleted", delete=DOCKER)
    after = log.connect("/srv/x")
    log.resolve()
    assert (reached(before), reached(after)) == ([DOCKER], [])


@pytest.mark.parametrize("outcome", ["failure", "unknown"])
@pytest.mark.parametrize("action", ["deleted", "renamed"])
def test_an_unlink_that_did_not_succeed_ends_nothing(action: str, outcome: str) -> None:
    """The kernel names the inode of the socket before it refuses, so that anybody may cause such a record."""
    log = Log()
    log.connect(DOCKER)
    log.change(action, delete=DOCKER)["event"]["outcome"] = outcome
    after = log.connect("/srv/x")
    log.resolve()
    assert reached(after) == [DOCKER]


@pytest.mark.parametrize("directory", [5, ["/run"], {"path": "/run"}], ids=str)
def test_directory_that_is_no_text_is_none(directory: object) -> None:
    log = Log()
    odd = log.connect("docker.sock")
    odd["process"]["working_directory"] = directory
    log.resolve()
    assert reached(odd) == []


def test_unlink_of_an_alias_ends_nothing() -> None:
    log = Log()
    log.connect(DOCKER)
    log.change("deleted", delete="/srv/hardlink")
    after = log.connect("/srv/x")
    log.resolve()
    assert reached(after) == [DOCKER]


def test_rename_keeps_the_socket() -> None:
    log = Log()
    log.connect(DOCKER)
    log.change("renamed", delete=DOCKER, create="/run/hidden")
    after = log.connect("/run/hidden")
    log.resolve()
    assert reached(after) == [DOCKER]


@pytest.mark.parametrize("serial", [None, 7], ids=["recorded", "seen by the serial"])
def test_boot_ends_every_lesson(serial: int | None) -> None:
    log = Log()
    log.add("noise", serial=400_000)
    log.connect(DOCKER)
    log.documents[-1]["event"]["sequence"] = 400_001
    if serial is None:
        log.add("booted-system", serial=3)
    after = log.connect("/srv/x")
    after["event"]["sequence"] = 7
    log.resolve()
    assert reached(after) == []


def test_serial_that_rolls_over_is_no_boot() -> None:
    log = Log()
    log.connect(DOCKER)
    log.documents[-1]["event"]["sequence"] = (1 << 32) - 1
    after = log.connect("/srv/x")
    after["event"]["sequence"] = 0
    log.resolve()
    assert reached(after) == [DOCKER]


def test_boots_whose_clock_was_not_set_yet() -> None:
    """Two records of one boot, both with a clock that starts at 1970."""
    log = Log()
    log.connect(DOCKER)
    for _ in range(3):
        log.add("booted-system", serial=1)["@timestamp"] = "1970-01-01T00:00:01.000Z"
    after = log.connect("/srv/x")
    log.resolve()
    assert reached(after) == []


def test_devices_and_hosts_do_not_mix() -> None:
    log = Log()
    log.connect(DOCKER, host="a")
    same, other_host, no_host = (log.connect("/srv/x", host=host) for host in ("a", "b", ""))
    other_device = log.connect("/srv/x", host="a", dev="00:1a")
    other_inode = log.connect("/srv/x", 13, host="a")
    log.resolve()
    assert reached(same) == [DOCKER]
    assert [reached(one) for one in (other_host, no_host, other_device, other_inode)] == [[]] * 4


def test_a_file_that_is_no_socket_teaches_nothing() -> None:
    log = Log()
    log.connect(DOCKER)
    log.documents[0]["auditd"]["paths"][0]["mode"] = "0100644"
    after = log.connect("/srv/x")
    log.resolve()
    assert reached(after) == []


def test_path_record_without_a_name_teaches_nothing() -> None:
    log = Log()
    nameless = log.connect("/srv/x")
    del nameless["auditd"]["paths"][0]["name"]
    nameless["process"]["working_directory"] = DOCKER
    after = log.connect("/srv/x")
    log.resolve()
    assert reached(after) == []


def test_taught_are_the_inodes_of_runtime_sockets_alone() -> None:
    log, lessons = Log(), Lessons()
    for document in (log.connect(DOCKER, 12), log.connect("/srv/x", 13), log.change("bound-socket", create="/srv/y")):
        lessons.learn(lesson_in(document, packaged()))
    assert lessons.taught(["docker.sock"]) == {12}
    assert lessons.taught(["crio.sock"]) == frozenset()


def test_literal_mode_goes_by_the_address_as_given() -> None:
    log = Log()
    plain, spelled, alias = log.connect(DOCKER), log.connect(f"/var{DOCKER}"), log.connect("/srv/x")
    dots, ring = log.connect("/run//docker.sock"), log.connect(DOCKER)
    for document in log.documents:
        document["auditd"]["data"] = {"syscall": "connect"}
    ring["auditd"]["data"] = {"syscall": "io_uring_enter"}
    log.resolve(literal=True)
    assert [bool(get(one, "sockwarden.socket.canonical")) for one in (plain, spelled, alias, dots)] == [1, 1, 0, 0]
    assert get(alias, "destination.address") == "/srv/x"
    assert get(dots, "destination.address") == "/run//docker.sock"
    assert get(plain, "event.action") == "connected-to"
    assert get(ring, "event.action") == "io_uring_enter"


def test_abstract_and_inet_addresses() -> None:
    log = Log()
    poser = log.add("connected-to", address_as_given=f"@{DOCKER}", type="abstract")
    shim = log.add("connected-to", address_as_given="@/containerd-shim/m/1/shim.sock", type="abstract")
    inet = log.add("connected-to", address_as_given="127.0.0.1:2375", type="inet", port=2375)
    log.resolve()
    assert get(poser, "destination.address") == f"@{DOCKER}"
    assert [get(one, "sockwarden.socket.runtime") for one in (poser, shim, inet)] == [None, "containerd", "docker"]


def test_unknown_is_said_where_a_relative_name_has_no_directory() -> None:
    log = Log()
    relative = log.add("connected-to", address_as_given="docker.sock", type="path")
    other = log.add("connected-to", address_as_given="other.sock", type="path")
    for document in (relative, other):
        del document["process"]
    log.resolve()
    assert get(relative, "sockwarden.socket.alias") == "unknown"
    assert get(relative, "sockwarden.socket.canonical") is None
    assert get(other, "sockwarden.socket.alias") is None


def test_what_is_no_access_stays_as_it_is() -> None:
    log = Log()
    bind = log.change("bound-socket", create=DOCKER)
    log.resolve()
    assert bind["destination"] == {} and bind["sockwarden"]["socket"] == {}


def test_hostile_documents_teach_nothing_and_raise_nothing() -> None:
    odd: list[Document] = [
        {},
        {"auditd": {"paths": "x"}},
        {"auditd": {"paths": [None, 7, {"mode": 14, "inode": 1}, {"mode": "0140000", "inode": "x" * 99, "name": ""}]}},
        {"@timestamp": 7, "event": {"sequence": "x", "action": "connected-to"}, "auditd": {"paths": [{}]}},
        {"event": {"sequence": {}, "action": "opened-file"}, "host": {"id": ["x"]}},
    ]
    lessons = Lessons()
    resolver = Resolver(packaged(), lessons)
    for document in odd:
        lessons.learn(lesson_in(document, packaged()))
        resolver.resolve(document)
    assert lessons.taught([""]) == frozenset()


def test_a_forged_boot_record_ends_nothing() -> None:
    """A container's root may send SYSTEM_BOOT to the kernel, which gives it the next serial."""
    log = Log()
    log.connect(DOCKER, serial=500)
    log.add("booted-system", serial=501)
    alias = log.connect("/srv/x", serial=502)
    log.add("booted-system", serial=503)
    log.resolve()
    assert reached(alias) == ["/run/docker.sock"]


def test_a_call_that_blocked_for_long_is_no_boot() -> None:
    """Its time is when it began, its serial that of its end: by time, the next record's serial falls far back."""
    log = Log()
    first = log.connect(DOCKER, serial=500)
    log.connect(DOCKER, serial=90_000)
    log.add("booted-system", serial=90_001)
    blocked = log.connect("/srv/other", inode=99, serial=90_002)
    blocked["@timestamp"] = first["@timestamp"].replace("00.000Z", "00.500Z")
    log.add("booted-system", serial=90_003)
    alias = log.connect("/srv/x", serial=90_004)
    log.resolve()
    assert reached(alias) == ["/run/docker.sock"]
