"""The access mode, of numbers and of Tracee's text."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.signatures.open_flags import O_ACCMODE, O_RDWR, O_WRONLY, writes


@pytest.mark.parametrize("flags", [1, 2, 32769, -2, 2**63 + 1, "1", "-2", "0x2", "0X8001", "O_WRONLY", "FASYNC|O_RDWR"])
def test_writing(flags: object) -> None:
    assert writes(flags) is True


@pytest.mark.parametrize("flags", [0, 3, 524288, -1, "0", "3", "0x0", "O_RDONLY", "O_CLOEXEC|O_DIRECTORY", "FASYNC"])
def test_not_writing(flags: object) -> None:
    assert writes(flags) is False


@pytest.mark.parametrize(
    "flags",
    [
        None,
        True,
        1.0,
        [1],
        {},
        "",
        " 1",
        "1_0",
        "٢",
        "0o1",
        "o_rdwr",
        "O_",
        "O_RDWR|",
        "O_RDWR | O_CLOEXEC",
        "9" * 5000,
    ],
)
def test_unknown(flags: object) -> None:
    assert writes(flags) is None


@given(st.integers())
def test_numbers_are_judged_by_their_two_lowest_bits(flags: int) -> None:
    assert writes(flags) == (flags % 4 in (1, 2))


def test_the_values_are_this_machines() -> None:
    assert (O_ACCMODE, O_WRONLY, O_RDWR) == (os.O_ACCMODE, os.O_WRONLY, os.O_RDWR)
