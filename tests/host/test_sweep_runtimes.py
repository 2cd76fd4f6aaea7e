"""Sweeps over real runtimes: who holds connections to dockerd and containerd, the runtimes' own parts among them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runtimes import IMAGE, WELL_KNOWN, Runtime, run, until

from sockwarden.document import Document, get
from sockwarden.enrich import procfs
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who
from sockwarden.rules import load_packaged, select
from sockwarden.sensors.sweep import Sweep, document_of
from sockwarden.sockets import Resolver, packaged
from sockwarden.sockets.discovery import Discovery
from sockwarden.sockets.inventory import Inventory

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

(PUBLISHED,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
(OURS,) = select(load_packaged(), "unusual-process-runtime-socket-access")


class Host:
    """What a watch would do with its sweeps."""

    def __init__(self) -> None:
        self.inventory, self.sweep = Inventory(packaged()), Sweep()
        self.discovery = Discovery(packaged())
        self.containers = Containers()
        self.cache = ProcessCache(self.containers)
        self.cache.prime()
        self.who = Who(self.cache, self.containers)

    def accesses(self) -> list[Document]:
        """Every connection that is held now, resolved and enriched."""
        self.inventory.refresh(self.discovery.discover(), time.time())
        held = self.sweep.look(self.inventory.live())
        documents = [document_of(one, time.time(), procfs.boot()) for one in held]
        for document in documents:
            Resolver(packaged(), self.inventory).resolve(document)
            self.who.enrich(document)
        return documents


@pytest.fixture
def host() -> Iterator[Host]:
    one = Host()
    yield one
    one.containers.close()


@pytest.fixture
def inside(require: Callable[..., str], docker: Runtime) -> Iterator[str]:
    """A container whose process holds a connection to the host's dockerd; its id."""
    program, source = docker.folder / "holder", Path(__file__).with_name("holder.c")
    run(require("gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, source)
    options = ["--detach", "--network=none", "--log-driver=none", "--volume=/run:/host/run"]
    volume = f"--volume={program}:/bin/holder"
    identity = docker("run", *options, volume, IMAGE, "/bin/holder", f"/host{WELL_KNOWN}").strip()
    yield identity
    docker("rm", "--force", identity)


@pytest.fixture
def events(docker: Runtime) -> Iterator[int]:
    """An administrator's docker that stays connected; its pid."""
    with subprocess.Popen([*docker.command, "events"], stdout=-3) as process:
        yield process.pid
        process.kill()


def of(documents: list[Document], field: str, value: object) -> Document:
    (one,) = (document for document in documents if get(document, field) == value)
    return one


def test_who_holds_what(docker: Runtime, containerd: Runtime, inside: str, events: int, host: Host) -> None:
    def seen() -> bool:
        found = {get(one, "process.pid") for one in host.accesses()}
        return events in found and any(get(one, "container.id") == inside for one in host.accesses())

    until(seen, "the connections are there")
    documents = host.accesses()
    mine = [one for one in documents if any(str(at) in str(one["destination"]) for at in (docker.folder, WELL_KNOWN))]
    assert [one for one in documents if PUBLISHED.matches(one)] == []

    administrator = of(documents, "process.pid", events)
    assert get(administrator, "destination.address") == str(docker.socket)
    assert get(administrator, "process.name") == "docker"
    assert get(administrator, "sockwarden.actor.origin") == "host"
    assert get(administrator, "sockwarden.socket.listener.pid") == docker.pid
    assert get(administrator, "sockwarden.connection.moved") is False

    contained = of(documents, "container.id", inside)
    assert get(contained, "destination.address") == str(WELL_KNOWN)
    assert get(contained, "sockwarden.actor.origin") == "container"
    assert get(contained, "sockwarden.connection.moved") is False
    assert get(contained, "sockwarden.socket.alias") is None
    assert get(contained, "sockwarden.socket.address_as_given") is None

    private = f"{docker.folder}/exec/containerd/containerd.sock"
    daemon = [one for one in documents if get(one, "destination.address") == private]
    assert {get(one, "process.pid") for one in daemon} == {docker.pid}
    assert {get(one, "sockwarden.actor.component") for one in daemon} == {"dockerd"}
    shims = [one for one in documents if "/containerd/s/" in str(get(one, "destination.address"))]
    assert {get(one, "sockwarden.actor.component") for one in shims} == {"containerd"}

    assert [one for one in mine if OURS.matches(one)] == [one for one in mine if one in (administrator, contained)]
    assert host.sweep.limits == []


def test_the_runtimes_at_work_hold_nothing_that_alerts(docker: Runtime, containerd: Runtime, host: Host) -> None:
    """A container starts and ends beneath the sweeps: of what runs then, only the tools that people use are told."""
    name = f"docker.io/{IMAGE}"
    started = [
        [*docker.command, "run", "--rm", "--network=none", "--log-driver=none", IMAGE, "/bin/sh", "-c", ":"],
        [*containerd.command, "run", "--rm", name, "swept", "/bin/sh", "-c", ":"],
    ]
    tools = set()
    held: list[Document] = []
    for command in started:
        with subprocess.Popen(command, stdout=-3) as process:
            tools.add(process.pid)
            while process.poll() is None:
                host.cache.prime()
                held += host.accesses()
    ours = (str(docker.folder), str(containerd.folder), str(WELL_KNOWN), "/containerd/s/")
    held = [one for one in held if any(place in str(get(one, "destination.address")) for place in ours)]
    assert {"dockerd", "containerd"} <= {get(one, "sockwarden.actor.component") for one in held}
    alerted = {(get(one, "process.pid"), get(one, "process.executable")) for one in held if OURS.matches(one)}
    assert {pid for pid, _ in alerted} <= tools, alerted
