"""The ladder on the real kernel: which rung is taken, what is said of the others, and of machines without BPF.

Where a machine lacks something, it is hidden in a mount namespace; nothing of the kernel is replaced.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpf
import pytest
from lacking import HIDDEN_LIBBPF, HIDDEN_TYPES, securityfs

from sockwarden.sensors.ebpf import ladder
from sockwarden.sensors.ebpf.ladder import NoRungError
from sockwarden.sensors.ebpf.maps import RingBuffers
from sockwarden.sensors.ebpf.objects import Object

pytestmark = pytest.mark.host

SOURCE = "loader.bpf.c"
CLIMB = """\
import encodings.ascii, json, os, sys
from sockwarden.sensors.ebpf import ladder
binary = open(sys.argv[1], "rb").read()
if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    rungs = ladder.survey(binary)
    print(json.dumps({one.name: str(one.trouble) for one in rungs}))
except ladder.NoRungError as error:
    print(json.dumps([error.what, error.why, error.todo]))
"""


@pytest.fixture(autouse=True)
def tools(require: Callable[..., str]) -> None:
    require("clang-14", root=True)
    require("unshare")


def told(tmp_path: Path, *before: str, mounts: str = "true", arguments: tuple[str, ...] = ()) -> Any:
    """What a survey says in a mount namespace that was changed by shell commands."""
    binary = tmp_path / "object"
    binary.write_bytes(bpf.built(SOURCE, "-DRUNGS"))
    command = ["unshare", "-m", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *before, sys.executable, "-c", CLIMB]
    result = subprocess.run([*command, str(binary), *arguments], capture_output=True, check=True, timeout=60, text=True)
    assert not result.stderr
    return json.loads(result.stdout)


def in_place(loaded: ladder.Loaded) -> bytes:
    """The one record of a getpgid, read from the ring."""
    rings = RingBuffers(loaded.library, [loaded.object.map("events")])
    try:
        os.getpgid(0)
        (records,) = rings.consume()
    finally:
        rings.close()
    assert len(records) == 1
    return records[0]


def watching_us(opened: Object) -> None:
    opened.set_constant("watched", os.getpid())
    opened.map("table").resize(77)


def test_the_best_rung_that_works_is_taken() -> None:
    loaded = ladder.climb(bpf.built(SOURCE, "-DRUNGS"), configure=watching_us)
    try:
        names = [rung.name for rung in (*loaded.above, loaded.rung)]
        assert names == list(ladder.RUNGS[: len(names)]) and loaded.rung.usable
        assert not any(rung.usable for rung in loaded.above)
        assert loaded.object.map("table").max_entries == 77
    finally:
        loaded.close()
        loaded.close()


def test_each_rung_has_its_programs_and_number() -> None:
    loaded = ladder.climb(bpf.built(SOURCE, "-DRUNGS"), configure=watching_us, only="tracepoint")
    try:
        assert struct.unpack_from("=IB", in_place(loaded)) == (4, 1)
        assert loaded.above == ()
    finally:
        loaded.close()


def test_what_only_some_kernels_have_is_done_without() -> None:
    binary = bpf.built(SOURCE, "-DRUNGS", "-DREFUSED")
    loaded = ladder.climb(binary, configure=watching_us, only="tracepoint")
    try:
        assert in_place(loaded)
        without = loaded.rung.without
    finally:
        loaded.close()
    assert without.keys() == {"refused__option", "absent__option"}
    assert without["refused__option"].what == "the kernel's verifier refused a program"
    assert "invalid mem access 'scalar'" in without["refused__option"].why
    assert without["absent__option"].why == "the kernel does not have the place that it belongs into"


def test_a_program_that_is_needed_and_refused_ends_the_rung() -> None:
    with pytest.raises(NoRungError) as none:
        ladder.climb(bpf.built(SOURCE, "-DREFUSED", "-Drefused__option=refused__any"))
    assert [rung.name for rung in none.value.rungs if not rung.usable] == list(ladder.RUNGS)
    last = none.value.rungs[-1]
    assert last.trouble and last.trouble.where == "refused__any" and "invalid mem access" in last.trouble.why
    assert any("BEGIN PROG LOAD LOG" in line for line in last.log)
    assert "tracepoint: refused__any: the kernel's verifier refused a program: " in none.value.why


def test_a_program_that_is_needed_and_has_no_place_ends_the_rung() -> None:
    with pytest.raises(NoRungError) as none:
        ladder.climb(bpf.built(SOURCE, "-Dabsent__option=absent__tracepoint"), only="tracepoint")
    assert "tracepoint: tp/no_such/tracepoint: absent__tracepoint cannot be attached" in none.value.why


def test_a_program_for_no_rung_is_a_mistake_in_the_source() -> None:
    with pytest.raises(ValueError, match="absent: its name does not say"):
        ladder.climb(bpf.built(SOURCE, "-Dabsent__option=absent"))


def test_here(tmp_path: Path) -> None:
    said = told(tmp_path)
    assert isinstance(said, dict) and tuple(said) == ladder.RUNGS
    assert said["tracepoint"] == "None"
    if not Path("/sys/bus/event_source/devices/kprobe").exists():
        assert said["kprobe"].splitlines()[0] == "/sys/bus/event_source/devices/kprobe: the kernel has no kprobes"


def test_without_root(tmp_path: Path) -> None:
    what, why, todo = told(tmp_path, arguments=("nobody",))
    assert what == "the eBPF sensor cannot be used here" and todo == "run it as root: `sudo sockwarden watch`"
    assert why.startswith("BPF programs need root (CAP_PERFMON and CAP_BPF): ")


def test_root_without_the_capabilities(tmp_path: Path) -> None:
    said = told(tmp_path, "setpriv", "--bounding-set", "-sys_admin,-perfmon")
    assert said[1].startswith("this process lacks CAP_PERFMON: ") and said[2].startswith(
        "give the service CAP_PERFMON "
    )
    assert isinstance(told(tmp_path, "setpriv", "--bounding-set", "-sys_resource,-net_raw"), dict)


def test_in_a_user_namespace(tmp_path: Path) -> None:
    said = told(tmp_path, "unshare", "-U", "-r")
    assert said[1].startswith("/proc/self/ns/user: this process is in a user namespace of its own: ")


def test_without_libbpf(tmp_path: Path) -> None:
    said = told(tmp_path, mounts=HIDDEN_LIBBPF)
    assert said[1].startswith("libbpf.so.1 cannot be loaded: ") and "apt-get install libbpf1" in said[2]


def test_without_the_kernels_types(tmp_path: Path) -> None:
    said = told(tmp_path, mounts=HIDDEN_TYPES)
    assert said[1].startswith("/sys/kernel/btf/vmlinux: the kernel's types cannot be read: ")
    assert "CONFIG_DEBUG_INFO_BTF=y" in said[2]


def test_under_lockdown(tmp_path: Path) -> None:
    said = told(tmp_path, mounts=securityfs("lockdown", "none integrity [confidentiality]"))
    assert said[1].startswith("/sys/kernel/security/lockdown: the kernel is locked down: lockdown=confidentiality ")
    assert isinstance(told(tmp_path, mounts=securityfs("lockdown", "none [integrity] confidentiality")), dict)


def test_where_the_security_module_is_not_active(tmp_path: Path) -> None:
    said = told(tmp_path, mounts=securityfs("lsm", "capability,landlock,apparmor"))
    assert isinstance(said, dict) and said["tracepoint"] == "None"
    assert said["lsm"].splitlines() == [
        "/sys/kernel/security/lsm: the security module bpf is not active",
        "active are capability,landlock,apparmor",
        "boot with lsm=capability,landlock,apparmor,bpf (needs CONFIG_BPF_LSM=y)",
    ]


def test_on_another_architecture(tmp_path: Path) -> None:
    said = told(tmp_path, "setarch", "linux32")
    assert said[1] == "there are no BPF programs for i686: they are compiled for x86_64 alone"
    assert "--sensor audit" in said[2]
