"""Capabilities dropped for real, each in a child process, and what still works then."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import bpf
import pytest

from sockwarden.sensors import capabilities
from sockwarden.sensors.capabilities import AT_START, NEEDS, OVERRIDE

pytestmark = pytest.mark.host

PRELUDE = """\
import ctypes, encodings.ascii, json, os, pathlib, sqlite3, subprocess, sys, threading
from sockwarden.sensors import capabilities
def sets():
    lines = pathlib.Path("/proc/thread-self/status").read_text().splitlines()
    split = [line.partition(":\\t") for line in lines]
    return {name: int(value, 16) for name, _, value in split if name.startswith("Cap") or name == "NoNewPrivs"}
"""


@pytest.fixture(autouse=True)
def root(require: Callable[..., str]) -> None:
    require("setpriv", root=True)


def done(program: str, *before: str, arguments: tuple[str, ...] = ()) -> Any:
    """What a program prints, as JSON."""
    command = [*before, sys.executable, "-c", PRELUDE + program, *arguments]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    assert not result.returncode, result.stderr
    return json.loads(result.stdout)


def mask(names: list[str]) -> int:
    return sum(1 << need.number for need in (*NEEDS, *AT_START, OVERRIDE) if need.name in names)


@pytest.mark.parametrize("sensor", ["audit", "ebpf"])
def test_all_others_are_gone_from_every_set(sensor: str) -> None:
    names, sets = done(f"print(json.dumps([capabilities.drop(capabilities.kept({sensor!r})), sets()]))")
    assert mask(names) and set(names) <= {need.name for need in NEEDS if sensor in need.sensors}
    assert sets == {
        "CapInh": 0,
        "CapPrm": mask(names),
        "CapEff": mask(names),
        "CapBnd": mask(names),
        "CapAmb": 0,
        "NoNewPrivs": 1,
    }


def test_a_program_that_is_started_gains_nothing() -> None:
    before = "capabilities.drop(capabilities.kept('ebpf')); import subprocess; "
    said = done(
        before
        + "print(json.dumps(subprocess.run(['grep', 'CapPrm', '/proc/self/status'], stdout=-1, text=True).stdout))"
    )
    assert int(said.split()[1], 16) == mask([need.name for need in capabilities.kept("ebpf")])


def test_what_is_not_there_is_no_error() -> None:
    bounding = ["setpriv", "--bounding-set", "-all,+sys_ptrace,+perfmon", "--inh-caps", "-all"]
    names, sets = done("print(json.dumps([capabilities.drop(capabilities.kept('audit')), sets()]))", *bounding)
    assert names == ["CAP_SYS_PTRACE"] and sets["CapPrm"] == sets["CapEff"] == mask(names)
    # Without CAP_SETPCAP the bounding set cannot be made smaller.
    assert sets["CapBnd"] == mask(["CAP_SYS_PTRACE", "CAP_PERFMON"]) and sets["NoNewPrivs"] == 1
    again = "capabilities.drop(()); print(json.dumps([capabilities.drop(capabilities.kept('ebpf')), sets()]))"
    names, sets = done("os.setuid(65534); " + again)
    assert names == [] and sets["CapPrm"] == 0


def test_a_thread_that_was_there_before_is_told() -> None:
    program = """
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
try:
    capabilities.drop(capabilities.kept("ebpf"))
except RuntimeError as error:
    print(json.dumps(str(error)))
stop.set()
"""
    assert re.fullmatch(r"thread \d+ was there before, and has kept capabilities 0x[0-9a-f]+", done(program))


def test_state_can_still_be_written(tmp_path: Path) -> None:
    program = """
folder = pathlib.Path(sys.argv[1])
folder.chmod(0o700)
capabilities.drop(capabilities.kept("ebpf", [folder]))
(folder / "alerts.ndjson").open("a").write("{}\\n")
with sqlite3.connect(folder / "store.sqlite") as store:
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("create table one (two)")
os.chmod(folder / "store.sqlite", 0o600)
os.replace(folder / "alerts.ndjson", folder / "alerts.1")
print(json.dumps(sorted(path.name for path in folder.iterdir())))
"""
    assert {"alerts.1", "store.sqlite"} <= set(done(program, arguments=(str(tmp_path),)))


def test_a_folder_of_another_user_keeps_the_right_to_write(tmp_path: Path) -> None:
    assert OVERRIDE not in capabilities.kept("ebpf", [tmp_path, tmp_path / "absent"])
    os.chown(tmp_path, 65534, 65534)
    assert OVERRIDE in capabilities.kept("audit", [tmp_path])
    program = """
folder = pathlib.Path(sys.argv[1])
capabilities.drop(capabilities.kept("ebpf", [folder]))
(folder / "file").touch()
print(json.dumps((folder / "file").exists()))
"""
    assert done(program, arguments=(str(tmp_path),)) is True


def test_others_processes_and_namespaces_can_still_be_looked_at() -> None:
    program = """
capabilities.drop(capabilities.kept("ebpf"))
pid = sys.argv[1]
found = [os.readlink(f"/proc/{pid}/{name}") for name in ("exe", "root", "cwd", "fd/0", "ns/net")]
with open(f"/proc/{pid}/ns/net") as namespace:
    entered = ctypes.CDLL(None).setns(namespace.fileno(), 0x40000000)
print(json.dumps([found, entered]))
"""
    nobody = ["unshare", "-n", "setpriv", "--reuid", "65534", "--clear-groups", "sleep", "60"]
    with subprocess.Popen(nobody, stdin=subprocess.DEVNULL) as other:
        try:
            while Path(f"/proc/{other.pid}/comm").read_text() != "sleep\n":
                pass
            found, entered = done(program, arguments=(str(other.pid),))
        finally:
            other.kill()
    assert found[0].endswith("/sleep") and found[3] == "/dev/null" and entered == 0


@pytest.mark.parametrize("sensor", ["audit", "ebpf"])
def test_the_namespace_of_a_connection_of_others_can_still_be_asked(sensor: str) -> None:
    program = f"""
import socket
from sockwarden.sensors.sweep import borrowed
ours, theirs = os.pipe()
with socket.socket(socket.AF_UNIX) as one:
    number, sockfs, pid = one.fileno(), os.fstat(one.fileno()).st_ino, os.fork()
    if not pid:
        os.close(theirs)
        os.read(ours, 1)
        os._exit(0)
capabilities.drop(capabilities.kept({sensor!r}))
with borrowed.namespace_of(pid, number, sockfs) as namespace:
    print(json.dumps(namespace.stat().st_ino == os.stat("/proc/self/ns/net").st_ino))
"""
    assert done(program) is True


@pytest.mark.parametrize("without", ["net_raw", "sys_admin"])
def test_maps_can_still_be_used(without: str, tmp_path: Path, require: Callable[..., str]) -> None:
    require("clang-14")
    binary = tmp_path / "object"
    binary.write_bytes(bpf.built("loader.bpf.c"))
    program = """
from sockwarden.sensors.ebpf import ladder, maps
binary = pathlib.Path(sys.argv[1]).read_bytes()
loaded = ladder.climb(binary, only="tracepoint", configure=lambda one: one.set_constant("watched", os.getpid()))
rings = maps.RingBuffers(loaded.library, [loaded.object.map("events")])
capabilities.drop(capabilities.kept("ebpf"))
table = loaded.object.map("table")
table.set(bytes(4), bytes(8))
os.getpgid(0)
said = [len(table.items()), table.delete(bytes(4)), len(rings.consume()[0])]
said += loaded.object.map("counters").sums(bytes(4))[:1]
try:
    ladder.climb(binary).close()
    refused = ""
except ladder.NoRungError as error:
    refused = error.why
rings.close()
loaded.close()
print(json.dumps([said, refused]))
"""
    tracefs = ["unshare", "-m", "sh", "-ec", 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"', "sh"]
    setpriv = ["setpriv", "--bounding-set", f"-{without}"]
    used, refused = done(program, *tracefs, *setpriv, arguments=(str(binary),))
    assert used == [1, True, 1, 1]
    # CAP_SYS_ADMIN stands for what loading takes; without it, no program can be loaded any more.
    assert ("CAP_PERFMON" in refused) is (without == "sys_admin")


def test_the_unit_bounds_what_a_watch_needs() -> None:
    unit = resources.files("sockwarden.content").joinpath("sockwarden.service").read_text()
    (bounding,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert set(bounding.split()) == {need.name for need in (*NEEDS, *AT_START)}
    (calls,) = re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)
    assert {"bpf", "perf_event_open"} <= set(calls.split())
