"""ELF and BTF of whatever bytes; those that clang makes are read in tests/host."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.sensors.ebpf import btf, elf

HEADER = b"\x7fELF\x02\x01"


def test_what_is_no_object_is_said() -> None:
    for binary in (b"", b"\x7fELF", HEADER, HEADER + bytes(40), b"\x7fELF\x01\x01" + bytes(60)):
        with pytest.raises(ValueError, match="not a 64-bit little-endian ELF object"):
            elf.sections(binary)
    with pytest.raises(ValueError, match="cut"):
        elf.sections(HEADER + bytes(60))


def test_the_interpreters_own_file() -> None:
    binary = Path("/proc/self/exe").read_bytes()
    assert elf.section(binary, ".rodata").data
    with pytest.raises(LookupError, match="no section nothing"):
        elf.section(binary, "nothing")
    with pytest.raises(LookupError, match="no variable nothing in"):
        elf.variable(binary, "nothing", ".rodata")


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(body: bytes) -> None:
    with contextlib.suppress(ValueError, LookupError):
        elf.symbols(HEADER + body)


@given(st.binary(max_size=200))
def test_any_types_are_taken(body: bytes) -> None:
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body) // 2, len(body) // 2, len(body))
    types, strings = btf._types(header + body)
    assert types[0].name == "void" and len(strings) <= len(body)
