"""libbpf's binding on the real kernel: load, attach, maps, ring buffers, the log, and that nothing stays behind."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpf
import pytest

from sockwarden.sensors.ebpf import libbpf, objects
from sockwarden.sensors.ebpf.libbpf import Library, MissingError, RefusedError
from sockwarden.sensors.ebpf.maps import NOEXIST, RingBuffers
from sockwarden.sensors.ebpf.objects import Object

pytestmark = pytest.mark.host

SOURCE = "loader.bpf.c"
RECORD = struct.Struct("=IB3xQ16s")


@pytest.fixture
def library(require: Callable[..., str]) -> Library:
    require("clang-14", root=True)
    return libbpf.load()


@pytest.fixture
def opened(library: Library) -> Iterator[Object]:
    """The object, its counting of this process's getpgid and getsid attached."""
    with Object(library, bpf.built(SOURCE), "swtest") as one:
        one.set_constant("rung", 4)
        one.set_constant("watched", os.getpid())
        one.map("table").resize(6)
        one.load()
        one.attach("getpgid__tracepoint")
        one.attach("getsid__any")
        yield one


def held(pid: int) -> dict[str, int]:
    """The kernel's numbers of the programs, maps and links that a process holds: the last of each kind."""
    lines = [line for info in Path(f"/proc/{pid}/fdinfo").iterdir() for line in info.read_text().splitlines()]
    return {
        name: int(value) for name, _, value in (line.partition("_id:") for line in lines) if name in ("prog", "map")
    }


def test_what_an_object_has(library: Library) -> None:
    with Object(library, bpf.built(SOURCE)) as one:
        found = {program.name: (program.section, program.kind) for program in one.programs()}
        assert found == {
            "getpgid__tracepoint": ("tp/syscalls/sys_enter_getpgid", objects.TRACEPOINT),
            "getsid__any": ("tp/syscalls/sys_enter_getsid", objects.TRACEPOINT),
            "absent__option": ("tp/no_such/tracepoint", objects.TRACEPOINT),
        }
        for ask in (
            one.map,
            one.attach,
            lambda name: one.autoload(name, False),
            lambda name: one.set_constant(name, 1),
        ):
            with pytest.raises(LookupError, match="nothing"):
                ask("nothing")
    with pytest.raises(RuntimeError, match="closed"):
        one.load()


def test_rings_are_read_a_bounded_part_at_a_time(library: Library, opened: Object) -> None:
    rings = RingBuffers(library, [opened.map("events"), opened.map("others")])
    try:
        assert rings.consume() == [[], []]
        for _ in range(40):
            os.getpgid(0)
        os.getsid(0)
        assert select.select([rings], [], [], 1)[0] == [rings]
        first, others = rings.consume(10)
        assert (len(first), len(others)) == (10, 1)
        assert RECORD.unpack(others[0])[:3] == (4, 2, 41)
        assert [RECORD.unpack(one)[2] for one in first + rings.consume()[0]] == list(range(1, 41))
        assert not select.select([rings], [], [], 0)[0]
    finally:
        rings.close()
        rings.close()


def test_counters_are_summed_over_the_cpus(library: Library, opened: Object) -> None:
    before = os.sched_getaffinity(0)
    try:
        for cpu in before:
            os.sched_setaffinity(0, {cpu})
            os.getpgid(0)
    finally:
        os.sched_setaffinity(0, before)
    counters = opened.map("counters")
    assert counters.sums(bytes(4)) == (len(before), 2 * len(before), 0)
    assert len(counters.get(bytes(4)) or b"") == 24 * library.cpus


def test_maps(opened: Object) -> None:
    table = opened.map("table")
    assert (table.key_size, table.value_size, table.max_entries) == (4, 8, 6)
    entries = {struct.pack("=I", number): struct.pack("=Q", number * number) for number in range(6)}
    for key, value in entries.items():
        table.set(key, value, NOEXIST)
    assert table.items() == entries
    with pytest.raises(RefusedError) as full:
        table.set(b"next", bytes(8))
    assert full.value.number == 7
    with pytest.raises(RefusedError) as there:
        table.set(bytes(4), bytes(8), NOEXIST)
    assert there.value.number == 17
    assert table.delete(bytes(4)) and not table.delete(bytes(4)) and table.get(bytes(4)) is None
    assert table.sums(bytes(4)) == (0,) and table.sums(b"\2\0\0\0") == (4,)
    for key in table.items():
        table.delete(key)
    assert not list(table.keys())
    with pytest.raises(ValueError, match="4 bytes"):
        table.get(b"short" * 2)
    with pytest.raises(ValueError, match="8 bytes"):
        table.set(bytes(4), b"")


def test_a_tracepoint_that_the_kernel_does_not_have(opened: Object) -> None:
    with pytest.raises(RefusedError, match="absent__option cannot be attached") as refused:
        opened.attach("absent__option")
    assert refused.value.number == 2 and refused.value.where == "tp/no_such/tracepoint"


def test_the_verifier_says_why(library: Library) -> None:
    with Object(library, bpf.built(SOURCE, "-DREFUSED")) as one:
        with pytest.raises(RefusedError) as refused:
            one.load()
        assert any("prog 'refused__option': BPF program load failed" in line for line in refused.value.log)
        assert any("invalid mem access" in line for line in refused.value.log)
    with Object(library, bpf.built(SOURCE, "-DREFUSED")) as one:
        one.autoload("refused__option", False)
        one.load()
        with pytest.raises(RefusedError, match="too late"):
            one.autoload("getsid__any", False)


def test_what_is_no_object_is_refused(library: Library) -> None:
    with pytest.raises(RefusedError, match="cannot be opened"):
        Object(library, b"\x7fELF" + bytes(200))


def test_a_library_that_is_not_there_or_another() -> None:
    with pytest.raises(MissingError, match=r"libbpf\.so\.0\.1 cannot be loaded") as missing:
        libbpf.load("libbpf.so.0.1")
    assert missing.value.todo == "apt-get install libbpf1"
    with pytest.raises(MissingError, match="too old"):
        libbpf.load("libc.so.6")


def test_an_interrupt_while_samples_are_taken_is_not_lost(
    library: Library, opened: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings = RingBuffers(library, [opened.map("events")])

    def raise_it(*_: object) -> None:
        raise TimeoutError

    def interrupted(data: int, size: int) -> bytes:
        signal.raise_signal(signal.SIGALRM)
        return copy(data, size)

    copy = ctypes.string_at
    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        os.getpgid(0)
        os.getpgid(0)
        monkeypatch.setattr(ctypes, "string_at", interrupted)
        with pytest.raises(TimeoutError):
            rings.consume()
        monkeypatch.undo()
        # The sample at which it came is gone, those behind it are not.
        assert [RECORD.unpack(one)[2] for one in rings.consume()[0]] == [2]
    finally:
        signal.signal(signal.SIGALRM, before)
        rings.close()


def test_a_tracepoint_without_a_mounted_tracefs(library: Library) -> None:
    """In a mount namespace of its own, where tracefs is nowhere; the mounts of that place stay as they were."""
    program = (
        "import os, pathlib\nfrom sockwarden.sensors.ebpf import tracepoint, kernelfs\n"
        "mounts = pathlib.Path('/proc/self/mounts')\nbefore = mounts.read_text()\nassert ' tracefs ' not in before\n"
        "os.close(tracepoint.open_tracepoint('tp/syscalls/sys_enter_getsid'))\nassert mounts.read_text() == before"
    )
    shell = (
        "for at in /sys/kernel/debug/tracing /sys/kernel/tracing /sys/kernel/debug;"
        ' do while umount "$at" 2>/dev/null; do :; done; done; exec "$@"'
    )
    subprocess.run(["unshare", "-m", "sh", "-c", shell, "sh", sys.executable, "-c", program], check=True, timeout=60)


def test_a_mounted_tracefs_is_used(library: Library) -> None:
    program = (
        "import os\nfrom sockwarden.sensors.ebpf import tracepoint, kernelfs\nkernelfs._detached = None\n"
        "os.close(tracepoint.open_tracepoint('tp/syscalls/sys_enter_getsid'))"
    )
    shell = 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"'
    subprocess.run(["unshare", "-m", "sh", "-c", shell, "sh", sys.executable, "-c", program], check=True, timeout=60)


def test_kill_leaves_nothing_attached(library: Library, tmp_path: Path) -> None:
    binary = tmp_path / "object"
    binary.write_bytes(bpf.built(SOURCE))
    program = (
        "import pathlib, sys, time\nfrom sockwarden.sensors.ebpf import libbpf, objects\n"
        "one = objects.Object(libbpf.load(), pathlib.Path(sys.argv[1]).read_bytes(), 'swkilled')\n"
        "one.load()\none.attach('getpgid__tracepoint')\nprint('attached', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(binary)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stdout.readline() == "attached\n"
        numbers = held(running.pid)
        assert numbers.keys() == {"prog", "map"}
        assert all(exists(library, kind, number) for kind, number in numbers.items())
        running.kill()
        running.wait()
    # The kernel frees them a grace period after the last descriptor.
    end = time.monotonic() + 10
    while any(exists(library, kind, number) for kind, number in numbers.items()):
        assert time.monotonic() < end, f"still there after the kill: {numbers}"
        time.sleep(0.05)


def exists(library: Library, kind: str, number: int) -> bool:
    descriptor: int = getattr(library.call, f"bpf_{kind}_get_fd_by_id")(number)
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0
