"""What a document gains from what the kernel told, of processes that /proc never had, or has not as long ago."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told_events import NOBODY, Kernel, file_of

from sockwarden.document import get
from sockwarden.enrich import Moment, ProcessEvent, clocks, procfs
from sockwarden.enrich.cgroup import merged
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.event import Kind
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.procfs import Program, Surroundings
from sockwarden.enrich.who import Who

MS = 1_000_000
PARENT, CLIENT, OTHER = NOBODY, NOBODY + 1, NOBODY + 2


def test_a_client_gone_at_once_is_fully_named() -> None:
    kernel = Kernel()
    kernel.fork(PARENT, os.getpid())
    kernel.exec(PARENT, "/usr/bin/bash", "-bash")
    kernel.fork(CLIENT, PARENT)
    forked = kernel.access(CLIENT)
    kernel.exec(CLIENT, "/usr/bin/docker", "docker", "ps", "-a")
    kernel.exit(CLIENT)
    document = kernel.access(CLIENT)
    process = document["process"]
    assert process["executable"] == "/usr/bin/docker"
    assert process["args"] == ["docker", "ps", "-a"]
    assert process["args_count"] == 3
    assert process["working_directory"] == "/srv"
    assert process["parent"]["executable"] == "/usr/bin/bash"
    assert process["parent"]["name"] == "-bash"
    assert process["parent"]["args"] == ["-bash"]
    ancestors = get(document, "sockwarden.process.ancestors")
    assert [each["pid"] for each in ancestors][:3] == [PARENT, os.getpid(), os.getppid()]
    assert get(document, "sockwarden.actor") == {"origin": "host", "evidence": "cgroup"}
    assert forked["process"]["executable"] == "/usr/bin/bash"
    assert forked["process"]["entity_id"] == process["entity_id"] != process["parent"]["entity_id"]
    assert (kernel.cache.captured, kernel.cache.unread) == (2, 0)


def test_eight_ancestors() -> None:
    kernel = Kernel()
    for each in range(12):
        kernel.fork(NOBODY + each, NOBODY + each - 1 if each else 0)
    for each in range(11):
        kernel.exit(NOBODY + each)
    ancestors = get(kernel.access(NOBODY + 11), "sockwarden.process.ancestors")
    assert [each["pid"] for each in ancestors] == list(range(NOBODY + 10, NOBODY + 2, -1))


def test_the_program_is_the_one_of_that_very_time() -> None:
    kernel = Kernel()
    kernel.fork(CLIENT, 0)
    kernel.exec(CLIENT, "/usr/bin/bash", "bash")
    before = kernel.moment(CLIENT)
    kernel.exec(CLIENT, "/usr/bin/docker", "docker", "ps")
    for moment, args in ((before, ["bash"]), (kernel.moment(CLIENT), ["docker", "ps"])):
        document: dict[str, Any] = {"process": {"pid": CLIENT}}
        kernel.who.enrich(document, moment)
        assert document["process"]["args"] == args


@pytest.mark.parametrize(
    ("at_exec", "now", "args"),
    [
        ("/srv/x", "/srv/x", ["x"]),
        ("/srv/x", "/srv/x (deleted)", ["x"]),
        (None, "/srv/x", ["x"]),
        ("/srv/x", "/srv/other", None),
    ],
)
def test_argv_goes_with_the_executable_of_now(at_exec: str | None, now: str, args: list[str] | None) -> None:
    """The path may have been too deep to walk, the file unlinked since; another one means that an exec was lost."""
    kernel = Kernel()
    kernel.fork(CLIENT, 0)
    kernel.exec(CLIENT, at_exec, "x")
    document: dict[str, Any] = {"process": {"pid": CLIENT, "executable": now}}
    kernel.who.enrich(document, kernel.moment(CLIENT))
    assert document["process"].get("args") == args
    assert document["process"]["executable"] == now


def test_argv_that_the_kernel_cut_is_marked() -> None:
    kernel = Kernel()
    kernel.fork(CLIENT, 0)
    program = Program("/bin/x", b"x\0" + b"y" * 4094, "/", 0, count=None, cut=True)
    kernel.cache.feed([ProcessEvent("exec", CLIENT, kernel.now, start=kernel.starts[CLIENT], program=program)])
    document = kernel.access(CLIENT)
    assert document["process"]["args"] == ["x", "y" * 4094]
    assert "args_count" not in document["process"]
    assert get(document, "sockwarden.process.args_cut") is True


def test_a_path_too_deep_to_walk_is_read_where_the_process_still_runs() -> None:
    cache = ProcessCache(Containers())
    with subprocess.Popen(["sleep", "65"]) as child:
        try:
            stat = procfs.stat(child.pid)
            assert stat
            program = Program(None, b"sleep\x0065\x00", "/", 0, 2)
            start = stat.start + 3 * MS
            where = os.path.realpath("/bin/sleep")
            event = ProcessEvent(
                "exec", child.pid, time.monotonic_ns(), start=start, program=program, file=file_of(where)
            )
            cache.feed([event])
            process = cache.find(Moment(child.pid, start, time.monotonic_ns()))
        finally:
            child.kill()
    assert process
    assert process.image.executable == where


def test_reused_pids_are_told_apart_by_their_exact_starts() -> None:
    """All within the 20 ms in which times of /proc and audit cannot tell them apart."""
    kernel = Kernel()
    moments = []
    for name in ("a", "b", "c"):
        kernel.fork(CLIENT, 0)
        kernel.exec(CLIENT, f"/bin/{name}", name)
        moments.append(kernel.moment(CLIENT))
        if name != "b":  # the exit of b is lost
            kernel.exit(CLIENT)
    for (pid, start, _), name in zip(moments, ("a", "b", "c"), strict=True):
        late = Moment(pid, start, kernel.now)
        document: dict[str, Any] = {"process": {"pid": pid}}
        kernel.who.enrich(document, late)
        assert document["process"]["args"] == [name]
    assert kernel.cache.find(Moment(CLIENT, kernel.now, kernel.now)) is None
    found = [kernel.cache.find(moment) for moment in moments]
    assert [each and each.end for each in found].count(None) == 0
    assert len({id(each) for each in found}) == 3


def test_a_fork_that_is_told_late_is_of_the_earlier_process() -> None:
    kernel = Kernel()
    kernel.fork(CLIENT, 0)
    newer = kernel.moment(CLIENT)
    kernel.now -= 500 * MS
    kernel.fork(CLIENT, 0)
    kernel.exec(CLIENT, "/bin/older", "older")
    older = kernel.moment(CLIENT)
    found = [kernel.cache.find(moment) for moment in (older, newer)]
    assert [each.image.executable if each else "?" for each in found] == ["/bin/older", None]
    assert [each.end if each else 0 for each in found] == [newer.start, None]
    assert kernel.cache.at(CLIENT, (newer.time + time.time_ns() - time.monotonic_ns()) // MS + 25) is found[1]


def test_a_thread_that_executes_becomes_the_process() -> None:
    """The kernel ends all other threads, the first one too, and hands its pid and start on (de_thread, fs/exec.c)."""
    kernel = Kernel()
    kernel.fork(CLIENT, 0)
    kernel.exec(CLIENT, "/bin/threads", "threads")
    kernel.exit(CLIENT)
    kernel.exec(CLIENT, "/bin/next", "next")
    process = kernel.process(CLIENT)
    assert (process.end, process.image.executable) == (None, "/bin/next")
    kernel.exit(CLIENT)
    assert kernel.process(CLIENT).end == kernel.now
    kernel.now += 61_000 * MS
    kernel.fork(OTHER, 0)
    assert kernel.cache.find(kernel.moment(CLIENT)) is None


def test_lost_events_are_made_good() -> None:
    """The fork of one that is gone: its exec tells all but the lineage, and of that the parent. A running one is read,
    and gains its exact start.
    """
    kernel = Kernel()
    kernel.fork(PARENT, 0)
    kernel.exec(PARENT, "/bin/bash", "bash")
    kernel.starts[CLIENT] = kernel.now
    program = Program("/bin/x", b"x\0", "/", 0, 1)
    kernel.cache.feed(
        [ProcessEvent("exec", CLIENT, kernel.now, PARENT, "x", kernel.now, program=program, around=kernel.host)]
    )
    document = kernel.access(CLIENT)
    assert document["process"]["args"] == ["x"]
    assert document["process"]["parent"]["executable"] == "/bin/bash"
    assert get(document, "sockwarden.actor.origin") == "host"
    with subprocess.Popen(["sleep", "66"]) as child:
        try:
            kernel.cache.prime()
            stat = procfs.stat(child.pid)
            assert stat
            kernel.starts[child.pid] = stat.start + 7 * MS
            first = kernel.cache.at(child.pid, time.time_ns() // MS)
            entity = kernel.access(child.pid)["process"]["entity_id"]
            found = kernel.process(child.pid)
            assert first is found
            assert (found.start, found.exact) == (stat.start + 7 * MS, True)
            again = Kernel()
            again.cache.feed([ProcessEvent("fork", child.pid, again.now, start=stat.start + 7 * MS)])
            again.starts[child.pid] = stat.start + 7 * MS
            assert again.access(child.pid)["process"]["entity_id"] == entity
        finally:
            child.kill()
    gone = kernel.process(PARENT)
    assert gone.end is not None  # it does not run, by /proc


def test_a_process_from_before_the_machine_slept_gains_its_exact_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc tells its start by a clock that counts sleep: taken by the kernel's, it seems to be earlier."""
    with subprocess.Popen(["sleep", "68"]) as child:
        try:
            stat = procfs.stat(child.pid)
            assert stat
            monkeypatch.setattr(clocks, "asleep", lambda: 5000 * MS)
            cache = ProcessCache(Containers())
            cache.prime()
            start = stat.start + 3 * MS
            assert cache.find(Moment(child.pid, start + 6000 * MS, time.monotonic_ns())) is None
            found = cache.find(Moment(child.pid, start, time.monotonic_ns()))
            assert found
            assert (found.start, found.born) == (start, stat.start)
        finally:
            child.kill()


def test_a_comm_and_a_move_of_nobody_known_are_nothing() -> None:
    kernel = Kernel()
    kernel.starts[CLIENT] = kernel.now
    kernel.comm(CLIENT, "x")
    kernel.move(CLIENT)
    kernel.exit(CLIENT)
    assert kernel.cache.find(kernel.moment(CLIENT)) is None


def test_execs_without_end_push_nobody_out() -> None:
    kernel = Kernel()
    kernel.cache = ProcessCache(kernel.containers, most_ended=100, most_living=100)
    kernel.fork(PARENT, 0)
    kernel.fork(CLIENT, PARENT)
    kernel.exec(CLIENT, "/usr/bin/docker", "docker", "ps")
    kernel.exit(CLIENT)
    kernel.fork(OTHER, PARENT)
    for turn in range(1000):
        kernel.exec(OTHER, "/bin/flood", "flood", str(turn) * 100)
        if turn % 2:
            kernel.exit(OTHER)  # as where other threads execute
    assert kernel.process(CLIENT).image.command == b"docker\0ps\0"
    assert len(kernel.cache) == 3
    assert kernel.cache.evicted == 0


@pytest.mark.parametrize("chained", [False, True])
def test_a_flood_of_short_lives_pushes_out_its_own(chained: bool) -> None:
    """Each forks the next and exits, or one forks them all."""
    kernel = Kernel()
    kernel.cache = ProcessCache(kernel.containers, most_ended=100, most_living=100)
    kernel.fork(PARENT, 0)
    kernel.fork(CLIENT, PARENT)
    kernel.exec(CLIENT, "/usr/bin/docker", "docker", "ps")
    kernel.exit(CLIENT)
    kernel.fork(OTHER, 0)
    for pid in range(OTHER + 1, OTHER + 2000):
        kernel.fork(pid, pid - 1 if chained else OTHER)
        kernel.exec(pid, "/bin/flood", "flood")
        kernel.exit(pid - 1 if chained else pid)
    assert kernel.process(CLIENT).image.command == b"docker\0ps\0"
    assert len(kernel.cache) <= 104
    assert kernel.cache.evicted > 1800
    assert kernel.cache.find(kernel.moment(OTHER + 10)) is None


def test_the_living_stay_while_any_has_ended_and_then_the_used_ones() -> None:
    kernel = Kernel()
    kernel.cache = ProcessCache(kernel.containers, most_ended=5, most_living=5)
    for pid in range(NOBODY, NOBODY + 8):
        kernel.fork(pid, 0)
    kernel.exit(NOBODY + 6)
    kernel.exit(NOBODY + 7)
    for pid in range(NOBODY + 8, NOBODY + 12):
        kernel.fork(pid, 0)
    assert [bool(kernel.cache.find(kernel.moment(pid))) for pid in range(NOBODY, NOBODY + 12)] == [
        *[True] * 6,
        *[False] * 2,
        *[True] * 4,
    ]
    kernel.process(NOBODY)
    kernel.fork(NOBODY + 12, 0)
    kept = [bool(kernel.cache.find(kernel.moment(pid))) for pid in (NOBODY, NOBODY + 1, NOBODY + 2)]
    assert kept == [True, False, True]
    assert kernel.cache.evicted == 3


def test_who_made_the_connection_that_is_held() -> None:
    kernel = Kernel()
    kernel.fork(PARENT, 0)
    kernel.exec(PARENT, "/usr/bin/broker", "broker")
    connected = kernel.now
    kernel.exec(PARENT, "/usr/bin/idle", "idle")
    kernel.fork(CLIENT, PARENT)
    kernel.fork(OTHER, 0)
    entity = kernel.access(PARENT)["process"]["entity_id"]

    def connector(pid: int, of: int = CLIENT, **more: Any) -> dict[str, Any]:
        document: dict[str, Any] = {"process": {"pid": of}}
        document["sockwarden"] = {"connection": {"connector": {"pid": pid, **more}}}
        kernel.who.enrich(document, kernel.moment(of))
        found = document["sockwarden"]["connection"]["connector"]
        assert found.pop("pid") == pid
        assert all(isinstance(found.pop(name), str) for name in more)
        return found  # type: ignore[no-any-return]

    idle = {"entity_id": entity, "executable": "/usr/bin/idle", "name": "idle"}
    assert connector(PARENT) == idle
    assert connector(PARENT, start=kernel.starts[PARENT]) == idle
    assert connector(PARENT, of=OTHER, start=kernel.starts[PARENT]) == idle
    then = {"entity_id": entity, "executable": "/usr/bin/broker"}
    assert connector(PARENT, start=kernel.starts[PARENT], time=connected) == then
    # whether it is the process now, or was before its exec, is not told
    assert connector(PARENT, of=PARENT) == {"entity_id": entity, "name": "idle"}
    assert connector(PARENT, of=OTHER) == {}
    assert connector(PARENT, start=5) == {}
    assert connector(PARENT, start=10**30, time=-(10**30)) == {}


@pytest.mark.parametrize(
    ("known", "told", "after"),
    [
        (None, "0::/a", "0::/a"),
        ("0::/a", "0::/b", "0::/b"),
        ("9:pids:/a\n8:cpu:/a\n0::/", "8:cpu:/docker/x", "9:pids:/a\n8:cpu:/docker/x\n0::/"),
        ("9:pids:/a", "8:cpu:/b\n9:pids:/b", "9:pids:/b\n8:cpu:/b"),
    ],
)
def test_a_move_changes_the_line_of_its_hierarchy(known: str | None, told: str, after: str) -> None:
    assert merged(known, told) == after


PIDS = st.integers(NOBODY, NOBODY + 5)
TIMES = st.integers(0, 200_000 * MS)
AROUND = st.none() | st.builds(
    Surroundings,
    st.none()
    | st.sampled_from(["0::/", "0::/docker/" + "ab" * 32, "3:pids:/docker/" + "cd" * 32])
    | st.text(max_size=9),
    st.none() | st.integers(0, 3),
    st.none() | st.integers(0, 3),
)
EVENTS = st.lists(
    st.builds(
        ProcessEvent,
        st.sampled_from(get_args(Kind)),
        PIDS,
        TIMES,
        PIDS,
        st.text(max_size=3) | st.just("runc:[2:INIT]"),
        st.integers(0, 3).map(lambda turn: turn * MS),
        PIDS | st.just(0),
        st.none() | st.builds(Program, st.none() | st.text(max_size=9), st.none() | st.binary(max_size=9)),
        st.none() | st.just(("00:01", 5)),
        AROUND,
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(EVENTS, AROUND)
def test_any_sequence_of_events_is_taken(events: list[ProcessEvent], around: Surroundings | None) -> None:
    containers = Containers()
    cache = ProcessCache(containers, most_ended=8, most_living=8)
    cache.feed(events)
    assert len(cache) == sum(len(list(cache._known.of(pid))) for pid in range(NOBODY, NOBODY + 6)) <= 16
    who = Who(cache, containers)
    for pid in range(NOBODY, NOBODY + 6):
        for start in (0, MS):
            process = cache.find(Moment(pid, start, 100_000 * MS), around)
            assert process is None or process not in process.ancestors()
            who.enrich({"process": {"pid": pid}}, Moment(pid, start, 100_000 * MS))
    containers.close()
