"""Lines that differ in their moment alone: of a run, the first, and those that came earliest and latest."""

from __future__ import annotations

import pytest

from sockwarden.readers.repeated import Repeated


def line(time: int, serial: int, name: str = "a", node: str = "") -> bytes:
    return f'{node}type=PATH msg=audit(17000000{time:02}.000:{serial}): name="/{name}"'.encode()


def told(*lines: bytes) -> list[bytes]:
    repeated = Repeated()
    given = [each for one in lines for each in repeated.take(one)]
    return given + list(repeated.rest())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([line(1, 1)], [0]),
        ([line(1, 1), line(2, 2), line(3, 3), line(4, 4)], [0, 3]),
        ([line(1, 1), line(1, 1)], [0]),
        ([line(1, 1), line(2, 2, "b"), line(3, 3), line(4, 4, "b")], [0, 1, 2, 3]),
        ([line(5, 5), line(3, 3), line(4, 4)], [0, 1]),
        ([line(1, 1), line(9, 9), line(5, 5)], [0, 1]),
        ([line(1, 1), line(2, 2, node="node=h "), line(3, 3)], [0, 1, 2]),
        ([line(1, 500), line(2, 501), line(3, 1), line(4, 2)], [0, 1, 2, 3]),
        ([line(1, 500), line(2, 400), line(3, 450)], [0, 2]),
    ],
    ids=["one", "a run", "a copy", "two names", "out of order", "late", "two hosts", "serials anew", "disorder"],
)
def test_what_repeats_is_left_out_and_its_span_is_kept(given: list[bytes], kept: list[int]) -> None:
    assert told(*given) == [given[place] for place in kept]


def test_after_another_lesson_nothing_was_told() -> None:
    repeated = Repeated()
    first, second = line(1, 1), line(2, 2)
    assert list(repeated.take(first)) == [first]
    assert list(repeated.rest()) == []
    assert list(repeated.take(second)) == [second]


def test_a_stamp_without_a_moment_is_told() -> None:
    repeated = Repeated()
    torn = b"type=PATH msg=audit(x): name"
    assert [list(repeated.take(torn)) for _ in range(2)] == [[torn], [torn]]
