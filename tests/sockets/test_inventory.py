"""The inventory: which inode was which socket when, and what a resolver makes of that."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.document import Document, get
from sockwarden.sockets import Listener, LiveSocket, Resolver, RuntimeSocket, packaged
from sockwarden.sockets.inventory import Inventory

START = 1_790_000_000.0
DOCKER = RuntimeSocket("/run/docker.sock", "docker", "Docker Engine API")
SHIMS = [RuntimeSocket(f"/run/containerd/s/{digit * 8}", "containerd", "containerd shim") for digit in "1234"]


def live(named: RuntimeSocket, *, inode: int = 12, generation: int = 1, **more: Any) -> LiveSocket:
    fields: dict[str, Any] = {"path": named.address, "device": "fe:00", "inode": inode, "generation": generation}
    return LiveSocket(named, "path", "catalogue", True, **fields | more)


def connect(at: float, *, inode: int = 12, given: str = "/srv/x", nametype: str = "NORMAL", **more: Any) -> Document:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    path = {"name": given, "inode": str(inode), "dev": "fe:00", "mode": "0140660", "nametype": nametype}
    return {
        "@timestamp": moment,
        "event": {"action": "connected-to"},
        "auditd": {"paths": [path]},
        "process": {"working_directory": "/"},
        "sockwarden": {"socket": {"address_as_given": given}},
        **more,
    }


def test_a_socket_is_known_by_its_inode_while_it_is_there_and_a_while_longer() -> None:
    inventory = Inventory(packaged())
    assert not inventory.refresh([], START)
    assert inventory.refresh([live(DOCKER)], START + 10)
    assert not inventory.refresh([live(DOCKER)], START + 20)
    assert inventory.refresh([], START + 30)
    seen = {at: inventory.sockets_of(connect(START + at)) for at in (-1, 1, 9, 15, 29, 31)}
    assert [at for at, found in seen.items() if found] == [1, 9, 15, 29]
    assert inventory.sockets_of(connect(START + 15, nametype="DELETE")) == set()
    assert inventory.sockets_of(connect(START + 15, inode=13)) == set()
    assert inventory.live() == []
    inventory.refresh([], START + 149)
    assert inventory.sockets_of(connect(START + 15)) == {DOCKER}
    inventory.refresh([], START + 151)
    assert inventory.sockets_of(connect(START + 15)) == set()


def test_what_was_there_at_the_first_look_was_there_before() -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER)], START)
    assert inventory.sockets_of(connect(START - 3600)) == {DOCKER}


def test_an_inode_that_is_used_again_at_once() -> None:
    inventory = Inventory(packaged())
    for number, shim in enumerate(SHIMS):
        at = START + number
        inventory.refresh([live(shim, generation=number, changed=at - 0.4)], at)
    border = START + 1 - 0.4
    assert inventory.sockets_of(connect(border - 0.1)) == {SHIMS[0]}
    assert inventory.sockets_of(connect(border + 0.1)) == {SHIMS[1]}
    assert inventory.sockets_of(connect(START + 100)) == {SHIMS[3]}


def test_a_clock_that_is_set_back_hides_nothing() -> None:
    inventory = Inventory(packaged())
    inventory.refresh([], START)
    inventory.refresh([live(DOCKER)], START + 10)
    inventory.refresh([live(DOCKER)], START - 3600)
    assert inventory.sockets_of(connect(START - 3599)) == {DOCKER}


def test_a_time_that_cannot_be_read_hides_nothing() -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER)], START)
    for time in ("", "yesterday", None, "9999999-01-01"):
        assert inventory.sockets_of(connect(START) | {"@timestamp": time}) == {DOCKER}


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), unique_by=lambda pair: pair[0], max_size=3).flatmap(
        lambda first: st.lists(
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), unique_by=lambda pair: pair[0]), max_size=8
        ).map(lambda rest: [first, *rest])
    )
)
def test_between_two_looks_that_both_saw_it_a_socket_is_found_and_nothing_else(
    looks: list[list[tuple[int, int]]],
) -> None:
    """Whatever comes and goes on three inodes, a second apart."""
    inventory = Inventory(packaged())
    for number, look in enumerate(looks):
        found = [live(SHIMS[which], inode=inode, generation=which) for inode, which in look]
        inventory.refresh(found, START + number)
    for number, (before, after) in enumerate(pairwise(looks)):
        for inode, which in set(before) & set(after):
            assert inventory.sockets_of(connect(START + number + 0.5, inode=inode)) == {SHIMS[which]}


def test_memory_is_bounded() -> None:
    inventory = Inventory(packaged())
    for number in range(40):
        sockets = [live(DOCKER, inode=one, generation=number * 1000 + one) for one in range(1000)]
        inventory.refresh(sockets, START + number)
    seen = sum(bool(inventory.sockets_of(connect(START + number, inode=1))) for number in range(39))
    assert seen < 39
    assert inventory.sockets_of(connect(START + 39, inode=999)) == {DOCKER}


def test_what_the_audit_rules_are_to_be_for() -> None:
    inventory = Inventory(packaged())
    may_come = inventory.paths()
    assert "/run/docker.sock" in may_come, "its folder is there"
    assert all(Path(path).parent.is_dir() for path in may_come)
    renamed = live(DOCKER, path="/run/renamed.sock")
    inventory.refresh([renamed, live(DOCKER, inode=13, path=None)], START)
    assert inventory.paths() - may_come == {"/run/renamed.sock"}
    inventory.refresh([], START + 1)
    assert inventory.paths() - may_come == {"/run/renamed.sock"}, "it may come again at once"
    inventory.refresh([], START + 1000)
    assert inventory.paths() == may_come
    ignoring = Inventory(packaged().changed([], ["/run/docker.sock"]))
    assert may_come - ignoring.paths() == {"/run/docker.sock"}


def test_a_move_is_a_change() -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER)], START)
    assert inventory.refresh([live(DOCKER, path="/run/renamed.sock")], START + 1)
    assert "/run/renamed.sock" in inventory.paths()


def test_out_of_sight_is_told_once_while_it_lasts() -> None:
    inventory = Inventory(packaged())
    lost = live(DOCKER, path=None, listeners=(Listener(7, "/usr/bin/dockerd"),))
    inventory.refresh([lost], START)
    assert (inventory.unsettled, inventory.troubles()) == (True, [])
    for number in range(1, 3):
        inventory.refresh([lost], START + number)
    assert not inventory.unsettled
    (trouble,) = inventory.troubles()
    assert (trouble.action, "/usr/bin/dockerd, pid 7" in trouble.message) == ("socket-out-of-sight", True)
    assert trouble.detail == "/run/docker.sock inode 12 on fe:00"
    assert inventory.troubles() == []
    inventory.refresh([], START + 3)
    inventory.refresh([lost], START + 4)
    assert inventory.troubles() == []
    inventory.refresh([lost], START + 5)
    assert len(inventory.troubles()) == 1


def test_a_daemon_that_ends_is_not_told() -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER, path=None)], START)
    inventory.refresh([], START + 1)
    assert (inventory.unsettled, inventory.troubles()) == (False, [])


def test_many_out_of_sight_are_counted() -> None:
    inventory = Inventory(packaged())
    for number in range(2):
        inventory.refresh([live(DOCKER, inode=one, path=None) for one in range(1000)], START + number)
    troubles = inventory.troubles()
    assert len(troubles) == 17
    assert troubles[-1].detail == "984 sockets"


def test_a_resolver_knows_an_unlisted_daemon() -> None:
    api = RuntimeSocket("/srv/engine.sock", "docker", "Docker Engine API")
    abstract = RuntimeSocket("@engine", "docker", "Docker Engine API")
    tcp = RuntimeSocket("0.0.0.0:4243", "docker", "Docker Engine API")
    inventory = Inventory(packaged())
    listeners = (Listener(7, "/usr/bin/dockerd"),)
    inventory.refresh(
        [
            live(api, listeners=listeners),
            LiveSocket(abstract, "abstract", "listener", True),
            LiveSocket(tcp, "inet", "listener", True, listeners=listeners),
        ],
        START,
    )
    resolver = Resolver(packaged(), inventory)

    by_inode = connect(START, given="/mnt/y")
    by_name = connect(START, given="/srv/../srv/engine.sock", inode=99)
    by_abstract = connect(START, given="@engine", auditd={})
    local = connect(START, given="127.0.0.1:4243", auditd={}, destination={"port": 4243})
    remote = connect(START, given="192.0.2.7:4243", auditd={}, destination={"port": 4243})
    for document in (by_inode, by_name, by_abstract, local, remote):
        resolver.resolve(document)
    canonical = [get(one, "sockwarden.socket.canonical") for one in (by_inode, by_name, by_abstract, local, remote)]
    assert canonical == ["/srv/engine.sock", "/srv/engine.sock", "@engine", "0.0.0.0:4243", None]
    assert get(by_inode, "sockwarden.socket.listener") == {"pid": 7, "executable": "/usr/bin/dockerd"}
    assert get(local, "sockwarden.socket.listener.pid") == 7
    assert get(by_abstract, "sockwarden.socket.listener") is None
    assert by_inode["destination"]["address"] == ["/srv/engine.sock", "/mnt/y"]
    wanted = inventory.wanted
    assert {"engine.sock", "docker.sock"} <= wanted.addresses
    assert wanted.ports >= {4243, 2375}
    assert 12 in wanted.inodes


@pytest.mark.parametrize(
    ("bound", "given_address", "reached"),
    [
        ("127.0.0.2:4243", "127.0.0.2:4243", True),
        ("127.0.0.2:4243", "127.0.0.1:4243", False),
        ("127.0.0.2:4243", "0.0.0.0:4243", False),
        ("127.0.0.1:4243", "127.0.0.1:4244", False),
        ("127.0.0.1:4243", "0.0.0.0:4243", True),
        ("127.0.0.1:4243", "[::ffff:127.0.0.1]:4243", True),
        ("127.0.0.1:4243", "[::1]:4243", False),
        ("0.0.0.0:4243", "127.9.9.9:4243", True),
        ("0.0.0.0:4243", "192.0.2.1:4243", False),
        ("[::]:4243", "127.0.0.1:4243", True),
        ("[::]:4243", "[2001:db8::1]:4243", False),
    ],
)
def test_which_connects_reach_a_daemon(bound: str, given_address: str, reached: bool) -> None:
    inventory = Inventory(packaged())
    tcp = RuntimeSocket(bound, "docker", "Docker Engine API")
    inventory.refresh([LiveSocket(tcp, "inet", "listener", True)], START)
    port = int(given_address.rpartition(":")[2])
    assert inventory.named(given_address, port) == (tcp if reached else None)


def test_an_address_that_is_none() -> None:
    tcp = RuntimeSocket("[::]:4243", "docker", "Docker Engine API")
    inventory = Inventory(packaged())
    inventory.refresh([LiveSocket(tcp, "inet", "listener", True)], START)
    for given_address in ("\0:4243", ":4243", "[::%x]:4243", "a.example:4243", ""):
        assert inventory.named(given_address, 4243) is None


def test_the_same_socket_with_another_listener_is_no_change() -> None:
    """pid 1 held it, then the daemon that it started: no rule has to follow."""
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER)], START)
    assert not inventory.refresh([live(DOCKER, listeners=(Listener(7, "/usr/bin/dockerd"),))], START + 1)
    listener = inventory.listener_of(DOCKER, connect(START + 1))
    assert msgspec.to_builtins(listener) == {"pid": 7, "executable": "/usr/bin/dockerd"}


def test_a_limit_is_told_once_while_it_lasts() -> None:
    inventory = Inventory(packaged())
    for number in range(5):
        inventory.refresh([], START + number, ["some are not looked at"] if number % 2 == 0 else [])
    (trouble,) = inventory.troubles()
    assert (trouble.action, trouble.detail) == ("socket-out-of-sight", "some are not looked at")
    inventory.refresh([], START + 200, ["some are not looked at"])
    assert len(inventory.troubles()) == 1


def test_a_flood_of_socket_files_leaves_root_s_their_rules() -> None:
    inventory = Inventory(packaged())
    may_come = inventory.paths()
    flood = [live(DOCKER, inode=one, path=f"/srv/a/{one}", owner=65534) for one in range(2000)]
    inventory.refresh([*flood, live(DOCKER, inode=5000, path="/srv/z.sock")], START)
    assert "/srv/z.sock" in inventory.paths()
    assert len(inventory.paths() - may_come) == 512
    (trouble,) = inventory.troubles()
    assert "more than 512 socket files" in trouble.detail


def held(at: float, **socket: Any) -> Document:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "@timestamp": moment,
        "event": {"action": "held-connection"},
        "sockwarden": {"sensor": {"name": "sweep"}, "socket": {"type": "path", **socket}},
    }


def test_a_listener_is_known_by_its_own_inode_whatever_the_time() -> None:
    """A held connection may be told after its socket is gone, and is one to that socket still."""
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER, generation=77), live(SHIMS[0], inode=13, generation=78)], START)
    inventory.refresh([live(SHIMS[1], generation=79)], START + 10)
    by_listener = {
        generation: inventory.sockets_of(held(START + 1000, listener={"inode": generation}, inode=12, device="fe:00"))
        for generation in (77, 78, 79)
    }
    assert by_listener == {77: {DOCKER}, 78: {SHIMS[0]}, 79: {SHIMS[1]}}


def test_a_file_on_which_nobody_listens_is_no_listener() -> None:
    """Its generation is a time, and no socket's number."""
    inventory = Inventory(packaged())
    inventory.refresh([msgspec.structs.replace(live(DOCKER, generation=77), listening=False)], START)
    assert inventory.sockets_of(held(START + 1, listener={"inode": 77})) == set()


@pytest.mark.parametrize("sensor", ["ebpf", "sweep", "audit", None])
def test_a_file_is_known_by_what_the_kernel_told_a_sensor(sensor: str | None) -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER)], START)
    document = held(START + 1, inode=12, device="fe:00")
    document["sockwarden"]["sensor"]["name"] = sensor
    assert inventory.sockets_of(document) == ({DOCKER} if sensor in ("ebpf", "sweep") else set())
    document["sockwarden"]["socket"]["device"] = "fe:01"
    assert inventory.sockets_of(document) == set()


@pytest.mark.parametrize(
    "action", ["held-connection", "received-descriptor", "duplicated-descriptor", "inherited-descriptor"]
)
def test_an_access_without_an_address_is_no_alias(action: str) -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER, generation=77, listeners=(Listener(4711, "/usr/bin/dockerd"),))], START)
    document = held(START + 1, listener={"inode": 77}, inode=12, device="fe:00")
    document["event"]["action"] = [action]
    Resolver(packaged(), inventory).resolve(document)
    assert document["destination"] == {"address": "/run/docker.sock", "path": "/run/docker.sock"}
    assert get(document, "sockwarden.socket") == {
        "type": "path",
        "inode": 12,
        "device": "fe:00",
        "canonical": "/run/docker.sock",
        "runtime": "docker",
        "name": "Docker Engine API",
        "listener": {"inode": 77, "pid": 4711, "executable": "/usr/bin/dockerd"},
    }


@pytest.mark.parametrize("value", [None, "77", [77], {"a": 1}, 1.5, True, -1, 1 << 70])
def test_what_is_no_inode_reaches_nothing(value: object) -> None:
    inventory = Inventory(packaged())
    inventory.refresh([live(DOCKER, generation=77)], START)
    document = held(START + 1, listener={"inode": value}, inode=value, device=value)
    Resolver(packaged(), inventory).resolve(document)
    assert "destination" not in document
