"""The object beside its source: what clang makes of the source is what is checked in. And `make watch`'s libbpf."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import bpf
import pytest

from sockwarden.sensors.ebpf import elf, ladder

pytestmark = pytest.mark.host

SOURCE = bpf.ROOT / "src/sockwarden/sensors/ebpf/programs/sockwarden.bpf.c"
PROGBITS, RELOCATIONS = 1, 9
INSTRUCTION = 8


@pytest.fixture(autouse=True)
def clang(require: Callable[..., str]) -> None:
    require("clang-14", root=True)
    require("llvm-strip-14")


def programs(binary: bytes) -> dict[str, list[bytes]]:
    """The instructions, and the data that they are given, by section."""
    return {
        one.name: [one.data[at : at + INSTRUCTION] for at in range(0, len(one.data), INSTRUCTION)]
        for one in elf.sections(binary)
        if one.kind == PROGBITS and not one.name.startswith(".BTF")
    }


def names(binary: bytes) -> Counter[tuple[str, int, int]]:
    """Functions, maps and variables, each with its place and length."""
    return Counter((one.name, one.offset, one.size) for one in elf.symbols(binary) if one.size)


def relocations(binary: bytes) -> dict[str, bytes]:
    """Which instruction speaks of which map, by section: symbols stand in the order of the source."""
    return {
        one.name: one.data
        for one in elf.sections(binary)
        if one.kind == RELOCATIONS and not one.name.startswith(".rel.BTF")
    }


def test_the_object_is_what_its_source_says() -> None:
    rebuilt, kept = bpf.compiled(SOURCE), ladder.packaged()
    fresh, old = programs(rebuilt), programs(kept)
    assert fresh.keys() == old.keys(), "make bpf"
    for section, instructions in fresh.items():
        assert instructions == old[section], f"{section} is another one in the source: make bpf"
    assert names(rebuilt) == names(kept), "make bpf"
    assert relocations(rebuilt) == relocations(kept), "make bpf"


def test_no_folder_of_the_builder_is_in_the_object() -> None:
    kept = ladder.packaged()
    assert not any(place in kept for place in (b"/home/", b"/root/", b"/work/", b"/tmp/", os.fsencode(bpf.ROOT)))
    assert not any(one.name.startswith(".debug") for one in elf.sections(kept))


def test_a_change_of_the_source_is_noticed() -> None:
    """By each of the three: an instruction, a name, a map that is another."""
    plain = bpf.built("loader.bpf.c")
    changed = bpf.built("loader.bpf.c", "-Drung=gnur")
    assert programs(plain) == programs(changed) and names(plain) != names(changed)
    assert programs(plain) != programs(bpf.built("loader.bpf.c", "-DREFUSED"))
    another = bpf.built("loader.bpf.c", "-DOTHERS=events")
    assert (programs(plain), names(plain)) == (programs(another), names(another))
    assert relocations(plain) != relocations(another)
    assert plain == bpf.compiled(bpf.PROGRAMS / "loader.bpf.c")


@pytest.mark.parametrize("installs", [True, False])
def test_make_watch_gets_libbpf_or_says_so(installs: bool, tmp_path: Path) -> None:
    """apt-get is one of ours: whether the library that it brings can be loaded is seen as make sees it."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n[ -e {tmp_path}/installed ]\n")
    apt = tmp_path / "apt-get"
    apt.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n' + (f"touch {tmp_path}/installed\n" if installs else "exit 100\n")
    )
    for program in (python, apt):
        program.chmod(0o755)
    command = ["sh", "make/libbpf.sh", str(python)]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(command, cwd=bpf.ROOT, env=environment, check=True, capture_output=True, text=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    install = "install -qq -y --no-install-recommends libbpf1"
    assert asked == ([install] if installs else [install, "update -qq", install])
    assert not result.stdout and len(result.stderr.splitlines()) == (0 if installs else 1)
