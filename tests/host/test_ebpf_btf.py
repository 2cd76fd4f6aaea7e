"""Types of objects that clang made: where a struct has its members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpf
import pytest

from sockwarden.sensors.ebpf import btf

pytestmark = pytest.mark.host

SOURCE = "loader.bpf.c"


@pytest.fixture(autouse=True)
def clang(require: Callable[..., str]) -> None:
    require("clang-14")


def test_a_struct_as_clang_lays_it_out() -> None:
    binary = bpf.built(SOURCE)
    assert btf.layout(binary, "record") == [("rung", 0, 4), ("kind", 4, 1), ("count", 8, 8), ("name", 16, 16)]
    assert btf.size(binary, "record") == 32


def test_every_kind_of_member() -> None:
    binary = bpf.built(SOURCE)
    assert btf.layout(binary, "types") == [
        ("first", 0, 1),
        ("second", 1, 2),
        ("inner", 3, 48),
        ("either", 51, 8),
        ("choice", 59, 4),
        ("array", 63, 48),
        ("pointer", 111, 8),
        ("nameless", 119, 1),
        ("last", 120, 1),
    ]
    assert btf.size(binary, "types") == 124


def test_what_cannot_be_told_is_said() -> None:
    binary = bpf.built(SOURCE)
    with pytest.raises(ValueError, match="low is a bit field"):
        btf.layout(binary, "bits")
    for ask in (btf.layout, btf.size):
        with pytest.raises(LookupError, match="no struct nothing"):
            ask(binary, "nothing")


def test_the_running_kernels_types_are_read_too() -> None:
    """Its BTF is the whole file; as a section of an object it would be read alike."""
    types, _ = btf._types(Path("/sys/kernel/btf/vmlinux").read_bytes())
    assert {one.size_or_type for one in types if (one.name, one.kind) == ("sockaddr_un", 4)} == {110}
