"""What a document gains, with this very process and its children as the actors."""

from __future__ import annotations

import copy
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.document import Document, get
from sockwarden.enrich import Moment, ProcessEvent
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.origin import image_at, origin_of
from sockwarden.enrich.process import Image, Place, Process
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.procfs import Surroundings
from sockwarden.enrich.runtimestate import Description, Pod
from sockwarden.enrich.who import Who
from sockwarden.rules import load_packaged, select

HOST = Surroundings("0::/", 1, 2)
MS = 1_000_000
CONTAINER = Container("c1")


@pytest.fixture
def cache() -> Iterator[ProcessCache]:
    containers = Containers()
    cache = ProcessCache(containers)
    cache.prime()
    yield cache
    containers.close()


@pytest.fixture
def who(cache: ProcessCache) -> Who:
    return Who(cache, Containers())


@contextmanager
def running(*args: str) -> Iterator[int]:
    """A process of this argv; Popen returns before /proc has all of it."""
    with subprocess.Popen(args, stderr=subprocess.DEVNULL) as child:
        try:
            deadline = time.monotonic() + 15
            while not Path(f"/proc/{child.pid}/cmdline").read_bytes().endswith(args[-1].encode() + b"\0"):
                assert time.monotonic() < deadline
            yield child.pid
        finally:
            child.kill()


def access(pid: object = None, **process: Any) -> Document:
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    return {"@timestamp": moment, "process": {"pid": os.getpid() if pid is None else pid, **process}}


def test_this_process(who: Who) -> None:
    document = access(title="a title")
    document["user"] = {"id": "0", "audit": {"id": str(os.getuid())}}
    who.enrich(document)
    process = document["process"]
    assert process["executable"] == os.path.realpath("/proc/self/exe")
    assert process["working_directory"] == str(Path.cwd())
    assert process["parent"]["pid"] == os.getppid()
    assert process["parent"]["executable"]
    assert process["entry_leader"]["entry_meta"]["type"]
    assert document["sockwarden"]["process"]["ancestors"][0]["pid"] == os.getppid()
    assert get(document, "user.audit.name") == pwd.getpwuid(os.getuid()).pw_name
    assert abs(datetime.fromisoformat(process["start"]).timestamp() - _started()) < 1
    again = access()
    who.enrich(again)
    assert again["process"]["entity_id"] == process["entity_id"]


def _started() -> float:
    """This process's start, in seconds since the epoch, by /proc."""
    stat = Path("/proc/self/stat").read_text(encoding="utf-8")
    ticks = int(stat.rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("args", "title", "executable", "known"),
    [
        (["sleep", "77"], "sleep 77", "/elsewhere", True),
        (["sleep", "78"], None, None, True),
        (["sleep", "79"], "runc init", None, True),
        (["sleep", "80"], "sleep 8", "/elsewhere", False),
        (["sleep", "81", "0" * 300], f"sleep 81 {'0' * 119}", "/elsewhere", True),
        (["sleep", "82", "0" * 300], f"sleep 82 {'1' * 119}", "/elsewhere", False),
        (["sleep", "83", "0" * 300], f"sleep 83 {'0' * 40}", "/elsewhere", False),
        (
            ["tail", "-f", "/dev/null", "\N{EURO SIGN}" * 90],
            "tail -f /dev/null " + "\N{EURO SIGN}" * 36 + "\\xe2\\x82",
            "/elsewhere",
            True,
        ),
    ],
)
def test_argv_of_the_program_that_the_record_tells(
    who: Who, args: list[str], title: str | None, executable: str | None, known: bool
) -> None:
    with running(*args) as pid:
        told = executable or os.path.realpath(f"/proc/{pid}/exe")
        document = access(pid, executable=told, **({"title": title} if title else {}))
        who.enrich(document)
    process = document["process"]
    assert process.get("args") == (args if known else None)
    assert process.get("command_line") == (" ".join(args) if known else None)


@pytest.mark.parametrize(
    ("proctitle", "name", "args"),
    [
        (b"/bin/sh\0-c\0echo a  b", "sh", ["/bin/sh", "-c", "echo a  b"]),
        (b"-bash", "bash", ["-bash"]),
        (b"/usr/bin/python3\0x", "x", ["/usr/bin/python3", "x"]),
        (b"sh\0\xff\0\0x", "sh", ["sh", "\\xff", "", "x"]),
        (b"runc\0init", "client", None),
        (b"sh" + b"x" * 128, "sh", None),
        (b"", "sh", None),
    ],
)
def test_argv_from_the_record_where_the_process_is_gone(
    who: Who, proctitle: bytes, name: str, args: list[str] | None
) -> None:
    document = access(2**22 + 1, title="as text", name=name, executable="/usr/bin/python3.11")
    document["event"] = {"original": ["type=SYSCALL pid=1", f"type=PROCTITLE proctitle={proctitle.hex().upper()}"]}
    who.enrich(document)
    assert document["process"].get("args") == args


@pytest.mark.parametrize(
    ("runc", "changes", "known"),
    [
        (b"runc\0create\0c1\0", {}, True),
        (b"runc\0exec\0c1\0", {}, False),
        (b"runc\0--root\0/run\0run", {}, False),
        (b"runc\0create\0c1\0", {"inside": 3}, False),
        (b"runc\0create\0c1\0", {"image": Image(7, "/bin/web", b"other\0")}, False),
    ],
)
def test_argv_of_an_entry_point_that_was_gone(runc: bytes, changes: dict[str, Any], known: bool) -> None:
    container = Container("c1", description=Description("docker", command=("web", "-v")))
    parent = Process(2**22 + 2, 0, image=Image(0, "/usr/sbin/runc", runc))
    gone = {"parent": parent, "image": Image(7), "inside": 7, "container": container, **changes}
    cache = ProcessCache(Containers())
    now = time.monotonic_ns()
    cache.feed([ProcessEvent("fork", 2**22 + 1, now), ProcessEvent("exit", 2**22 + 1, now + 1000 * MS)])
    document = access(2**22 + 1, executable="/bin/busybox", title="runc init")
    process = cache.at(2**22 + 1, time.time_ns() // MS)
    assert process
    for field, value in gone.items():
        setattr(process, field, value)
    Who(cache, Containers()).enrich(document)
    assert document["process"].get("args") == (["web", "-v"] if known else None)


@pytest.mark.parametrize(
    ("args", "bytes_kept", "count"),
    [
        (["x" * 10_000], 4096, 6),
        (["y"] * 3000, 4096, 3005),
        (["z" * 1000] * 120, 4096, None),
        (["w" * 1000], None, 6),
    ],
)
def test_long_arguments_are_cut_and_marked(
    who: Who, args: list[str], bytes_kept: int | None, count: int | None
) -> None:
    """The shell waits for its child, which is given the same arguments."""
    script = 'test "$0" = child && { echo; read _; exit; }; sh -c "$1" child "$@"; exit 0'
    with subprocess.Popen(
        ["sh", "-c", script, "parent", script, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        try:
            assert parent.stdout
            parent.stdout.readline()
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text(encoding="ascii").split()
            document = access(int(children[0]))
            who.enrich(document)
        finally:
            parent.communicate(b"\n")
    process, marks = document["process"], document["sockwarden"]["process"]
    assert process.get("args_count") == count
    assert marks.get("args_cut") is (True if bytes_kept else None)
    kept = len("\0".join(process["args"]))
    assert kept <= bytes_kept if bytes_kept else process["args"][-1] == args[-1]
    assert process["parent"]["pid"] == parent.pid
    assert len("\0".join(process["parent"]["args"])) <= 1024
    assert marks["parent"]["args_cut"] is True


def test_argv_needs_the_same_executable_where_there_is_no_title(who: Who) -> None:
    document = access(executable="/usr/bin/another")
    who.enrich(document)
    assert document["process"]["executable"] == "/usr/bin/another"
    assert "args" not in document["process"]


def test_nobody_known_is_said(who: Who) -> None:
    document = access(2**22 + 1)
    document["user"] = {"id": "0"}
    who.enrich(document)
    assert document["sockwarden"]["actor"] == {"origin": "unknown", "evidence": "unseen"}
    assert document["user"] == {"id": "0"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"process": {}},
        {"process": {"pid": "1"}, "@timestamp": "2026-01-01T00:00:00Z"},
        {"process": {"pid": 1}, "@timestamp": "yesterday"},
        {"process": {"pid": 1}},
        {"process": None, "@timestamp": 5, "event": {"original": "type=PROCTITLE proctitle=41"}},
        {"process": {"pid": 1, "title": "x"}, "event": {"original": [None, 3, "type=PROCTITLE "]}},
        {"process": {"pid": True}, "@timestamp": "2026-01-01T00:00:00Z"},
    ],
)
def test_any_document_is_taken(who: Who, document: Document) -> None:
    document = copy.deepcopy(document)
    who.enrich(document)
    assert get(document, "sockwarden.actor.origin") == "unknown"


def test_a_container_with_its_pod(cache: ProcessCache) -> None:
    pod = Pod("shop-7", "prod", "u-1", "app")
    container = Container("c1", "containerd", "k8s.io", Description("containerd", "app", "app:2", pod))
    with running("sleep", "84") as pid:
        document = access(pid, executable="/usr/bin/dockerd")
        document["user"] = {"id": "0", "audit": {"id": "0"}}
        process = cache.at(pid, time.time_ns() // MS)
        assert process
        process.container, process.inside, process.evidence = container, process.start, "cgroup"
        Who(cache, Containers()).enrich(document)
    assert document["container"] == {"id": "c1", "runtime": "containerd", "name": "app", "image": {"name": "app:2"}}
    assert document["orchestrator"] == {
        "type": "kubernetes",
        "namespace": "prod",
        "resource": {"type": "pod", "name": "shop-7", "id": "u-1"},
    }
    assert document["sockwarden"]["actor"] == {
        "origin": "container",
        "evidence": "cgroup",
        "component": "dockerd",
        "verified": False,
        "impersonates": "dockerd",
    }
    assert document["user"] == {"id": "0", "audit": {"id": "0", "name": "root"}}


def test_an_impersonator_alerts_where_the_component_would_not(cache: ProcessCache) -> None:
    (rule,) = select(load_packaged(), "unusual-process-runtime-socket-access")
    document = access(executable="/usr/bin/dockerd")
    document |= {"host": {"os": {"type": "linux"}}, "event": {"action": "connected-to"}}
    document["sockwarden"] = {"socket": {"runtime": "docker"}, "actor": {"component": "dockerd"}}
    assert not rule.matches(document)
    with running("sleep", "85") as pid:
        process = cache.at(pid, time.time_ns() // MS)
        assert process
        process.container, process.inside = CONTAINER, process.start
        document["process"]["pid"] = pid
        Who(cache, Containers()).enrich(document)
    assert rule.matches(document)


@pytest.mark.parametrize(
    ("installed", "user", "address", "verified"),
    [
        (True, "0", "/run/docker.sock", True),
        (True, None, "/run/docker.sock", None),
        (True, "1000", "/run/docker.sock", False),
        (True, "1000", "/run/user/1000/docker.sock", None),
        (True, "65534", "/run/user/1000/docker.sock", False),
        (True, "100", "/run/user/1000/docker.sock", False),
        (True, "0", "/run/user/1000/docker.sock", True),
        (False, "0", "/run/docker.sock", False),
        (None, "0", "/run/docker.sock", None),
    ],
)
def test_what_verifies_a_component(
    cache: ProcessCache, installed: bool | None, user: str | None, address: str, verified: bool | None
) -> None:
    with running("sleep", "86") as pid:
        process = cache.at(pid, time.time_ns() // MS)
        assert process
        process.image = Image(process.start, "/usr/bin/dockerd", b"sleep\x0086\x00", "/", installed)
        document = access(pid, executable="/usr/bin/dockerd")
        document["user"] = {"effective": {"id": user}} if user else {}
        document["sockwarden"] = {"socket": {"canonical": address}}
        Who(cache, Containers()).enrich(document)
    assert get(document, "sockwarden.actor.verified") is verified
    assert get(document, "sockwarden.actor.impersonates") == ("dockerd" if verified is False else None)


@pytest.mark.parametrize(("exact", "impersonates"), [(True, "dockerd"), (False, None)])
def test_who_was_started_as_another_program_impersonates(
    cache: ProcessCache, exact: bool, impersonates: str | None
) -> None:
    """Given a process that an exec told of as another program than it is said to be now, when its access is judged,
    then it impersonates that; where the moment is not known exactly, it may have been another by then.
    """
    with running("sleep", "87") as pid:
        process = cache.at(pid, time.time_ns() // MS)
        assert process
        process.image, process.exact = Image(process.start, "/tmp/poke", b"poke\0", "/", True), True  # noqa: S108
        document = access(pid, executable="/usr/bin/dockerd")
        document["user"] = {"effective": {"id": "0"}}
        moment = Moment(pid, process.start, time.monotonic_ns()) if exact else None
        Who(cache, Containers()).enrich(document, moment)
    assert get(document, "sockwarden.actor.impersonates") == impersonates


def actor(**more: Any) -> Process:
    return Process(10, 0, **{"image": Image(0, "/bin/x"), "place": Place("0::/", 1, 2), "read": True, **more})


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (actor(), ("host", "cgroup")),
        (actor(place=Place("0::/", 3, 2)), ("host", "cgroup")),
        (actor(place=Place("0::/", 1, 9)), ("unknown", "pid-namespace")),
        (actor(claims=True), ("unknown", "cgroup")),
        (actor(place=Place()), ("unknown", "unseen")),
        (actor(read=False, parent=actor(image=Image(0, "/usr/bin/crun"))), ("unknown", "unseen")),
        (actor(read=False, parent=actor(image=Image(0, "/bin/sh"))), ("host", "cgroup")),
        (actor(read=False, parent=actor(read=False, parent=actor(image=Image(0, "/bin/sh")))), ("host", "cgroup")),
        (actor(read=False, parent=actor(image=Image(0), read=False, parent=actor())), ("unknown", "unseen")),
        (
            actor(read=False, parent=actor(read=False, parent=actor(image=Image(0, "/usr/bin/runc")))),
            ("unknown", "unseen"),
        ),
        (actor(read=False, parent=actor(parent=actor(image=Image(0, "/usr/bin/runc")))), ("host", "cgroup")),
        (actor(read=False, made_for=CONTAINER, init=True), ("container-init", "lineage")),
        (actor(read=False, made_for=CONTAINER), ("unknown", "lineage")),
        (actor(container=CONTAINER, evidence="cgroup"), ("container-init", "cgroup")),
        (actor(container=CONTAINER, evidence="namespaces", inside=5), ("container", "namespaces")),
        (actor(container=CONTAINER, inside=5), ("container", "lineage")),
    ],
)
def test_origin(process: Process, expected: tuple[str, str]) -> None:
    origin = origin_of(process, process.image, HOST)
    assert (origin.name, origin.evidence) == expected


def test_before_the_entry_point_and_after() -> None:
    runc, entry = Image(0, "/"), Image(50 * MS, "/bin/sh")
    process = actor(container=CONTAINER, evidence="cgroup", inside=entry.time, image=entry, before=runc)
    images = [
        image_at(process, when * MS, executable, 20 * MS)
        for when, executable in [(20, "/bin/sh"), (45, "/"), (45, "/bin/sh"), (45, None), (50, "/"), (60, "/")]
    ]
    assert images == [runc, runc, entry, entry, entry, entry]
    assert [origin_of(process, image, HOST).name for image in images[:3]] == [
        "container-init",
        "container-init",
        "container",
    ]


@given(st.text(), st.integers(), st.text(max_size=200))
def test_any_title_and_name_are_taken(name: str, pid: int, title: str) -> None:
    cache = ProcessCache(Containers())
    document = access(pid if pid != os.getpid() else 0, name=name, title=title, executable=name)
    Who(cache, Containers()).enrich(document)
    assert document["process"]["title"] == title
