"""BPF objects for tests, built by clang."""

from __future__ import annotations

import subprocess
from ctypes import byref, c_uint32
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sockwarden.sensors.ebpf import libbpf

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "programs"


@cache
def built(name: str, *flags: str) -> bytes:
    """The object of a source in programs/, as `make bpf` would make it."""
    return compiled(PROGRAMS / name, *flags)


def programs_in_kernel() -> set[int]:
    """The kernel's numbers of all programs in it, whoever had them loaded."""
    library, found, number = libbpf.load(), set(), c_uint32(0)
    while not library.call.bpf_prog_get_next_id(number, byref(number)):
        found.add(number.value)
    return found


def compiled(source: Path, *flags: str) -> bytes:
    """The object of a source."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "object"
        subprocess.run(["sh", "make/bpf.sh", str(source), str(output), *flags], check=True, cwd=ROOT)
        return output.read_bytes()
