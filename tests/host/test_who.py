"""Who was behind it, from this kernel's own process events: real processes that exit at once, real containers."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from runtimes import IMAGE, Runtime, until

from sockwarden.document import Document, get
from sockwarden.enrich import ProcessEvent
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.process import Process
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who
from sockwarden.netlink import drops_of
from sockwarden.sensors.proc_connector import ProcConnector

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

LIMITS = ["--network=none", "--log-driver=none"]


class Following:
    """A cache that lives on the connector, and every process that it ever saw execute or change its name."""

    def __init__(self) -> None:
        self.connector = ProcConnector()
        self.containers = Containers()
        self.cache = ProcessCache(self.containers)
        self.who = Who(self.cache, self.containers)
        self.events: list[ProcessEvent] = []
        self.seen: list[tuple[ProcessEvent, Document]] = []

    def turn(self) -> None:
        for event in self.connector.receive():
            self.events.append(event)
            self.cache.feed([event])
            if event.kind in ("exec", "comm"):
                self.seen.append((event, self.document(event.pid, event.time)))

    def document(self, pid: int, when: int) -> Document:
        """What an access at a moment of CLOCK_MONOTONIC would gain."""
        seconds = (when + time.time_ns() - time.monotonic_ns()) / 1e9
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
        document: Document = {"@timestamp": moment, "process": {"pid": pid}}
        self.who.enrich(document)
        return document

    def process(self, pid: int) -> Process:
        event = next(event for event in self.events if event.pid == pid)
        found = self.cache.at(pid, (event.time + time.time_ns() - time.monotonic_ns()) // 1_000_000)
        assert found
        return found


@contextmanager
def following() -> Iterator[Following]:
    follower = Following()
    stop = threading.Event()
    follower.connector.open()
    follower.cache.prime()

    def follow() -> None:
        while not stop.is_set():
            follower.turn()
            stop.wait(0.0005)
        follower.turn()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield follower
    finally:
        stop.set()
        thread.join()
        follower.connector.close()
        follower.containers.close()


@pytest.fixture
def rooted(require: Callable[..., str]) -> None:
    require("sh", root=True)


def ended(follower: Following, pid: int) -> None:
    until(lambda: any(event.kind == "exit" and event.pid == pid for event in follower.events), f"{pid} ends")


def test_events_of_a_process(rooted: None) -> None:
    with following() as follower:
        before = time.monotonic_ns()
        child = subprocess.Popen(["/bin/sh", "-c", "/bin/true; exit 3"])
        child.wait()
        ended(follower, child.pid)
        events = [event for event in follower.events if event.pid == child.pid]
        (grandchild,) = {event.pid for event in follower.events if event.parent == child.pid}
    assert [event.kind for event in events] == ["fork", "exec", "exit"]
    assert events[0].parent == os.getpid()
    assert before < events[0].time < events[1].time < events[2].time < time.monotonic_ns()
    assert [each.pid for each in follower.process(grandchild).ancestors()][:2] == [child.pid, os.getpid()]
    assert follower.connector.lost == 0


def test_threads_are_no_processes_and_a_name_is_told(rooted: None) -> None:
    with following() as follower:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        with Path("/proc/self/comm").open("r+", encoding="utf-8") as comm:
            old = comm.read()
            comm.write("a (new) name")
        until(lambda: any(event.name == "a (new) name" for event in follower.events), "the name is told")
        Path("/proc/self/comm").write_text(old.strip(), encoding="utf-8")
    mine = [event for event in follower.events if event.pid == os.getpid() and event.kind != "comm"]
    assert mine == []
    assert not any(event.parent == os.getpid() for event in follower.events if event.kind == "fork")


def test_processes_that_exit_at_once_have_their_parent(rooted: None) -> None:
    with following() as follower:
        children = [subprocess.Popen(["/bin/true"]) for _ in range(200)]
        for child in children:
            child.wait()
        ended(follower, children[-1].pid)
        for child in children:
            process = follower.process(child.pid)
            assert process.parent
            assert process.parent.pid == os.getpid()
            assert process.image.executable in (None, os.path.realpath("/bin/true"))
            document = follower.document(child.pid, process.start)
            assert get(document, "sockwarden.actor.origin") == "host"
            assert get(document, "process.parent.pid") == os.getpid()
    assert follower.connector.lost == 0


def test_a_loss_is_counted_and_priming_makes_it_good(rooted: None) -> None:
    connector, cache = ProcConnector(), ProcessCache(Containers())
    connector.open()
    same = socket.socket(fileno=os.dup(connector.fileno()))
    try:
        for _ in range(200):  # nobody reads meanwhile: the receive buffer overflows
            subprocess.run(
                ["/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true & i=$((i+1)); done; wait"], check=True
            )
            if drops_of(same):
                break
        cache.feed(connector.receive(1_000_000))
        assert connector.lost > 0
        with subprocess.Popen(["sleep", "64"]) as child:
            connector.receive(1_000_000)
            cache.prime()
            process = cache.at(child.pid, time.time_ns() // 1_000_000)
            child.kill()
        assert process
        assert process.image.command == b"sleep\x0064\x00"
    finally:
        same.close()
        connector.close()


def of_container(follower: Following, identity: str, origin: str) -> list[Document]:
    return [
        document
        for _, document in follower.seen
        if get(document, "container.id") == identity and get(document, "sockwarden.actor.origin") == origin
    ]


def named(follower: Following, identity: str) -> Container:
    """The container, when its description has come."""
    found = [process.container for process in map(follower.process, {event.pid for event, _ in follower.seen})]
    (container, *_) = [each for each in found if each and each.id == identity]
    until(lambda: container.description, "the container's name")
    return container


def test_a_docker_container_that_ends_at_once(docker: Runtime) -> None:
    with following() as follower:
        identity = docker("create", "--name=at-once", *LIMITS, IMAGE, "/bin/client", "open", "/nowhere").strip()
        subprocess.run([*docker.command, "start", "--attach", identity], check=False, timeout=60)
        until(lambda: of_container(follower, identity, "container"), "the entry point")
        container = named(follower, identity)
        docker("rm", "--force", identity)
    assert container.runtime == "docker"
    assert container.description
    assert (container.description.name, container.description.image) == ("at-once", IMAGE)
    starting = of_container(follower, identity, "container-init")
    assert "runc:[2:INIT]" in {get(document, "process.name") or name(follower, document) for document in starting}
    (entry, *_) = of_container(follower, identity, "container")
    assert get(entry, "process.executable") in (None, "/bin/client")
    assert get(entry, "process.entry_leader.entry_meta.type") == "container"
    assert {get(document, "sockwarden.actor.verified") for _, document in follower.seen} <= {None, True}


def name(follower: Following, document: Document) -> str:
    """The name that a process took, by its events."""
    pid = get(document, "process.pid")
    return next((event.name for event, told in follower.seen if event.kind == "comm" and told is document), str(pid))


def test_docker_exec_that_ends_at_once(docker: Runtime) -> None:
    identity = docker("run", "--detach", *LIMITS, IMAGE, "/bin/sleep", "1000").strip()
    try:
        with following() as follower:
            for _ in range(5):
                docker("exec", identity, "/bin/sh", "-c", ":")
            until(lambda: len(of_container(follower, identity, "container")) >= 5, "each exec is seen inside")
            assert of_container(follower, identity, "container-init")
    finally:
        docker("rm", "--force", identity)


def test_who_leaves_a_container_by_namespaces_and_cgroup_stays_in_it(docker: Runtime, bystander: int) -> None:
    leave = "for procs in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do echo $$ >$procs; done"
    options = ["--pid=host", "--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined"]
    with following() as follower:
        command = ["nsenter", "-t", str(bystander), "-m", "--", "sh", "-c", f"{leave}; exec sleep 1000"]
        identity = docker("run", "--detach", *LIMITS, *options, IMAGE, *command).strip()
        try:
            until(
                lambda: any(
                    get(each, "sockwarden.actor.evidence") == "lineage"
                    for each in of_container(follower, identity, "container")
                ),
                "it left",
            )
        finally:
            docker("rm", "--force", identity)


def test_a_container_of_ctr(containerd: Runtime) -> None:
    with following() as follower:
        containerd("run", "--rm", f"docker.io/{IMAGE}", "short", "/bin/sh", "-c", ":")
        until(lambda: of_container(follower, "short", "container"), "the entry point")
        inits = of_container(follower, "short", "container-init")
        container = next(
            process.container
            for process in map(follower.process, {event.pid for event, _ in follower.seen})
            if process.container and process.container.id == "short"
        )
    assert inits
    assert (container.runtime, container.namespace) == ("containerd", "default")


def test_a_container_of_ctr_has_its_image(containerd: Runtime) -> None:
    with following() as follower:
        containerd("run", "--detach", f"docker.io/{IMAGE}", "longer", "/bin/sleep", "1000")
        try:
            container = named(follower, "longer")
            (pid,) = [line.split()[1] for line in containerd("task", "list").splitlines() if line.startswith("longer")]
            again = follower.containers.of_pid(int(pid))
        finally:
            containerd("task", "kill", "--signal=9", "longer")
            until(lambda: "STOPPED" in containerd("task", "list"), "it stops")
            containerd("task", "delete", "longer")
            containerd("container", "delete", "longer")
    assert container.description
    assert (container.description.name, container.description.image) == ("longer", f"docker.io/{IMAGE}")
    assert again is container


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter."""
    with TemporaryDirectory(prefix="sw-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_a_users_runc_puts_nobody_into_a_container(
    rooted: None, require: Callable[..., str], open_folder: Path
) -> None:
    """The system's runc, by a user, with a library of his own that does what runc would."""
    runc, victim = os.path.realpath(require("runc")), "ab" * 32
    library, source = open_folder / "as_init.so", open_folder / "as_init.c"
    source.write_text(PRELOADED, encoding="ascii")
    subprocess.run([require("gcc"), "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    with following() as follower:
        command = [*NOBODY, "env", f"LD_PRELOAD={library}", runc, "run", victim]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as user:
            assert user.stdout
            pid = int(user.stdout.readline())
            ended(follower, pid)
        told = [document for event, document in follower.seen if event.pid == pid]
    assert [get(each, "sockwarden.actor.origin") for each in told] == ["host"] * 2
    assert not [each for each in told if get(each, "container.id")]


PRELOADED = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((constructor)) static void as_init(void) {
    if (strcmp(program_invocation_short_name, "runc")) return;
    sleep(1); /* until the cache has read this runc: else the attack fails by itself */
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, "runc:[2:INIT]");
        printf("%d\\n", getpid());
        fflush(stdout);
        execl("/bin/sleep", "sleep", "1", (char *)0);
    }
    waitpid(child, 0, 0);
    _exit(0);
}
"""


@pytest.mark.parametrize(
    ("owner", "namespace", "origin", "of_root"),
    [(0, False, "unknown", None), (0, True, "container", True), (65534, True, "container", False)],
)
def test_a_cgroup_only_claims_a_container(
    rooted: None, require: Callable[..., str], owner: int, namespace: bool, origin: str, of_root: bool | None
) -> None:
    require("unshare", root=True)
    tree = Path("/sys/fs/cgroup/unified")
    above = (tree if tree.is_dir() else tree.parent) / f"sockwarden-test-{os.getpid()}"
    claimed = above / f"docker-{'ab' * 32}.scope"
    claimed.mkdir(parents=True)
    os.chown(above, owner, owner)
    try:
        with following() as follower:
            inner = "unshare --mount sleep 1000" if namespace else "sleep 1000"
            with subprocess.Popen(["sh", "-c", f"echo $$ >{claimed}/cgroup.procs; exec {inner}"]) as process:
                try:
                    until(
                        lambda: any(
                            get(told, "process.executable") == os.path.realpath("/bin/sleep")
                            for event, told in follower.seen
                            if event.pid == process.pid
                        ),
                        "it sleeps",
                    )
                    last = [told for event, told in follower.seen if event.pid == process.pid][-1]
                    found = follower.process(process.pid).container
                finally:
                    process.kill()
        assert get(last, "sockwarden.actor.origin") == origin
        assert (found.of_root if found else None) is of_root
        assert get(last, "container.id") == ("ab" * 32 if of_root is not None else None)
    finally:
        until(lambda: not (claimed / "cgroup.procs").read_text(encoding="ascii"), "the cgroup is empty")
        claimed.rmdir()
        above.rmdir()


def test_where_state_lies_is_learned_from_root_alone(
    rooted: None, require: Callable[..., str], open_folder: Path
) -> None:
    daemon = os.path.realpath(require("dockerd"))
    learned = []

    class Noting(Containers):
        def learn(self, component: str, args: Sequence[str], directory: str | None) -> None:
            super().learn(component, args, directory)
            learned.append(args[-1])

    cache = ProcessCache(Noting())
    for who, mark in ((NOBODY, "/tmp/by-nobody"), ([], "/tmp/by-root")):  # noqa: S108 - never opened
        fifo = open_folder / f"{len(learned)}{len(who)}"
        os.mkfifo(fifo)
        fifo.chmod(0o644)
        # It stays in the open of its configuration, which is a fifo without a writer.
        command = [*who, daemon, f"--config-file={fifo}", "--data-root", mark]
        with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
            try:
                until(lambda: daemon.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes()[: len(daemon)], mark)
                cache.at(process.pid, time.time_ns() // 1_000_000 + 20)
            finally:
                process.kill()
    assert learned == ["/tmp/by-root"]  # noqa: S108
