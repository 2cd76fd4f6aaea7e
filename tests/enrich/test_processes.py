"""The process cache with real processes of this machine, and with any sequence of events."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.enrich import ProcessEvent
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.process import Image, Place, Process
from sockwarden.enrich.processes import ProcessCache

SECOND = 1_000_000_000
NOBODY = 2**22 + 1
"""Above the greatest pid_max, so that /proc never has it."""


@pytest.fixture
def cache() -> Iterator[ProcessCache]:
    containers = Containers()
    yield ProcessCache(containers)
    containers.close()


@contextmanager
def sleeping(seconds: str) -> Iterator[int]:
    """A process of ours that sleeps; Popen returns before /proc has all of it."""
    with subprocess.Popen(["sleep", seconds]) as child:
        try:
            deadline = time.monotonic() + 15
            while Path(f"/proc/{child.pid}/cmdline").read_bytes() != f"sleep\0{seconds}\0".encode():
                assert time.monotonic() < deadline
            yield child.pid
        finally:
            child.kill()


def fork(pid: int, parent: int, when: int) -> ProcessEvent:
    return ProcessEvent("fork", pid, when, parent=parent)


def ms(monotonic: int) -> int:
    """A time of CLOCK_MONOTONIC as audit would stamp it."""
    return (monotonic + time.time_ns() - time.monotonic_ns()) // 1_000_000


def found(cache: ProcessCache, pid: int, when: int) -> Process:
    process = cache.at(pid, ms(when))
    assert process
    return process


def test_primed_from_proc(cache: ProcessCache) -> None:
    cache.prime()
    me = found(cache, os.getpid(), time.monotonic_ns())
    assert me.image.executable == os.path.realpath(f"/proc/{os.getpid()}/exe")
    assert me.image.command == Path("/proc/self/cmdline").read_bytes()
    assert me.image.directory == str(Path.cwd())
    assert me.place.mount == int(str(Path("/proc/self/ns/mnt").readlink())[5:-1])
    assert me.parent
    assert me.parent.pid == os.getppid()
    assert len(cache) >= 2


def test_an_unknown_process_is_read_when_asked_for(cache: ProcessCache) -> None:
    with sleeping("60") as pid:
        process = found(cache, pid, time.monotonic_ns())
        assert process.image.command == b"sleep\x0060\x00"
        assert process.parent
        assert process.parent.pid == os.getpid()
        assert cache.at(pid, ms(time.monotonic_ns() - 60 * SECOND)) is None


def test_nobody(cache: ProcessCache) -> None:
    assert cache.at(NOBODY, ms(time.monotonic_ns())) is None
    assert cache.at(-1, 0) is None
    assert cache.at(0, 0) is None


def test_an_exec_is_read(cache: ProcessCache) -> None:
    """The child waits between fork and exec, so that both events are told as they happen."""
    program = "import os, sys; sys.stdin.read(1); os.execv('/bin/sleep', ['sleeper', '61'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        try:
            before = found(cache, child.pid, time.monotonic_ns())
            assert "python" in (before.image.executable or "")
            assert child.stdin
            child.stdin.write(b"x")
            child.stdin.flush()
            deadline = time.monotonic() + 15
            while Path(f"/proc/{child.pid}/cmdline").read_bytes() != b"sleeper\x0061\x00":
                assert time.monotonic() < deadline
            now = time.monotonic_ns()
            cache.feed([ProcessEvent("exec", child.pid, now)])
            after = found(cache, child.pid, now)
            assert after is before
            assert after.image.command == b"sleeper\x0061\x00"
            assert after.image.time == now
            assert after.before
            assert "python" in (after.before.executable or "")
        finally:
            child.kill()


def test_what_was_gone_keeps_what_its_fork_handed_down(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    cache.feed([fork(NOBODY, os.getpid(), now), ProcessEvent("exec", NOBODY, now + 1000)])
    process = found(cache, NOBODY, now + 2000)
    assert process.image == Image(now + 1000)
    assert process.parent
    assert process.parent.pid == os.getpid()
    assert process.place == process.parent.place
    assert cache.unread == 1


def test_each_generation_of_a_pid_is_found_by_its_time(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    for start in range(5):
        begin = now + start * SECOND
        cache.feed([fork(NOBODY, os.getpid(), begin), ProcessEvent("exit", NOBODY, begin + SECOND // 2)])
    for start in range(5):
        assert found(cache, NOBODY, now + start * SECOND + SECOND // 4).start == now + start * SECOND
        assert cache.at(NOBODY, ms(now + start * SECOND + SECOND * 3 // 4)) is None
    # audit's coarse clock may be behind: an event of a process may be stamped before its fork
    assert found(cache, NOBODY, now + 2 * SECOND - 8_000_000).start == now + 2 * SECOND


def test_a_minute_after_its_exit_a_process_is_forgotten(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    cache.feed([fork(NOBODY, os.getpid(), now), ProcessEvent("exit", NOBODY, now + 1)])
    cache.feed([fork(NOBODY + 1, os.getpid(), now + 59 * SECOND)])
    found(cache, NOBODY, now)
    cache.feed([fork(NOBODY + 2, os.getpid(), now + 61 * SECOND)])
    assert cache.at(NOBODY, ms(now)) is None
    assert cache.evicted == 0


def test_a_loss_of_events_is_made_good_by_priming(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    cache.feed([fork(NOBODY, os.getpid(), now)])
    with sleeping("62") as pid:
        cache.prime()
        assert found(cache, pid, time.monotonic_ns()).image.command == b"sleep\x0062\x00"
        assert found(cache, NOBODY, now).end is not None


def test_the_parent_is_the_one_at_the_fork(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    cache.feed([fork(NOBODY, os.getpid(), now), fork(NOBODY + 1, NOBODY, now + 1)])
    cache.feed([ProcessEvent("exit", NOBODY, now + 2)])
    assert [each.pid for each in found(cache, NOBODY + 1, now + 3).ancestors()][:2] == [NOBODY, os.getpid()]


def test_a_chain_of_forks_is_bounded() -> None:
    """Each process forks the next and exits: only its last ancestors are held."""
    cache = ProcessCache(Containers(), most_ended=1000)
    now = time.monotonic_ns()
    for index in range(50_000):
        pid = NOBODY + index
        cache.feed([fork(pid + 1, pid, now + index), ProcessEvent("exit", pid, now + index)])
    assert len(cache) <= 1002
    assert sum(1 for _ in found(cache, pid + 1, now + index).ancestors()) <= 64
    assert cache.evicted > 48_000


def test_the_living_are_bounded_too() -> None:
    cache = ProcessCache(Containers(), most_ended=10, most_living=100)
    now = time.monotonic_ns()
    cache.feed(fork(NOBODY + index, 0, now + index) for index in range(1000))
    assert len(cache) == 110
    assert cache.evicted == 890


def test_a_long_line_of_living_processes_can_be_let_go() -> None:
    cache = ProcessCache(Containers())
    now = time.monotonic_ns()
    cache.feed(fork(NOBODY + index + 1, NOBODY + index, now + index) for index in range(200_000))
    assert len(list(found(cache, NOBODY + 200_000, now + 200_000).ancestors())) == 64
    del cache


def inside(parent: Process, container: Container) -> None:
    """Makes a process one that a runtime put into a container, and that executed its entry point there."""
    parent.container, parent.evidence, parent.inside = container, "cgroup", parent.start
    parent.place = Place("0::/docker/x", 7, 8)


def test_descendants_of_a_container_stay_in_it(cache: ProcessCache) -> None:
    now = time.monotonic_ns()
    cache.feed([fork(NOBODY, 0, now)])
    container = Container("x")
    inside(found(cache, NOBODY, now), container)
    cache.feed([fork(NOBODY + 1, NOBODY, now + 1), ProcessEvent("exec", NOBODY + 1, now + 2)])
    child = found(cache, NOBODY + 1, now + 3)
    assert child.container is container
    assert child.inside == now
    # moved to a cgroup of the host's: this process, which is in none, plays the one that left
    with sleeping("63") as pid:
        process = found(cache, pid, time.monotonic_ns())
        inside(process, container)
        cache.feed([ProcessEvent("exec", pid, time.monotonic_ns())])
        assert process.container is container
        assert process.evidence == "lineage"


PIDS = st.integers(NOBODY, NOBODY + 5)
EVENTS = st.lists(
    st.builds(
        ProcessEvent,
        st.sampled_from(["fork", "exec", "exit", "comm"]),
        PIDS,
        st.integers(0, 200 * SECOND),
        PIDS,
        st.text(max_size=3),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(EVENTS)
def test_any_sequence_of_events_is_taken(events: list[ProcessEvent]) -> None:
    cache = ProcessCache(Containers(), most_ended=8, most_living=8)
    cache.feed(events)
    assert len(cache) <= 16 + 8
    for pid in range(NOBODY, NOBODY + 6):
        process = cache.at(pid, ms(100 * SECOND))
        assert process is None or process not in process.ancestors()
