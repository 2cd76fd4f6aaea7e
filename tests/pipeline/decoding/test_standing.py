"""What is said of a decoder that is not at work: each thing that happened, once, and as it was."""

from __future__ import annotations

import pytest

from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.standing import STALLED_SECONDS, Standing


def beat(worker: int) -> wire.Beat:
    return wire.Beat(worker, 0, 0, 0)


NOT_BEGUN = wire.Failed("Resource temporarily unavailable", begun=False)
FAILED = wire.Failed("ValueError at http1.py:5")


def said(standing: Standing, *messages: wire.Message) -> list[str]:
    """What is said after these, up to the first mark of punctuation."""
    for message in messages:
        standing.hear(message, 1.0)
    return [trouble.message.partition(";")[0] for trouble in standing.troubles(stalls=False)]


@pytest.fixture
def standing() -> Standing:
    """Of a worker that beats."""
    standing = Standing()
    assert said(standing, beat(7)) == []
    return standing


def test_one_that_cannot_begin_is_told_once_however_often_it_is_tried(standing: Standing) -> None:
    first = said(standing, NOT_BEGUN)
    assert first == ["the decoder cannot begin (Resource temporarily unavailable)"]
    assert [said(standing, NOT_BEGUN, NOT_BEGUN) for _ in range(3)] == [[], [], []]


def test_another_failure_is_told_meanwhile(standing: Standing) -> None:
    said(standing, NOT_BEGUN)
    assert said(standing, wire.Failed("Cannot allocate memory", begun=False)) == [
        "the decoder cannot begin (Cannot allocate memory)"
    ]


def test_the_same_is_told_again_once_it_was_at_work(standing: Standing) -> None:
    first = said(standing, NOT_BEGUN)
    assert said(standing, beat(8)) == []
    assert said(standing, NOT_BEGUN) == first


def test_a_beat_that_is_read_along_with_the_failure_before_it_counts(standing: Standing) -> None:
    first = said(standing, NOT_BEGUN, beat(8))
    assert first and said(standing, NOT_BEGUN) == first


def test_a_worker_that_fails_is_told_as_having_begun_anew_and_not_as_killed(standing: Standing) -> None:
    assert said(standing, FAILED) == ["the decoder failed (ValueError at http1.py:5) and began anew"]
    assert said(standing, beat(8)) == []
    assert said(standing, FAILED, beat(9)) == ["the decoder failed (ValueError at http1.py:5) and began anew"]
    assert said(standing, beat(9)) == []


def test_a_worker_that_is_gone_without_a_word_was_killed(standing: Standing) -> None:
    assert said(standing, beat(8)) == ["the decoder was killed and began anew"]
    assert said(standing, beat(8)) == []
    assert said(standing, FAILED) != []
    assert said(standing, beat(9)) == []
    assert said(standing, beat(10)) == ["the decoder was killed and began anew"]


def test_one_that_says_nothing_stalls_and_whoever_follows_it_was_not_killed(standing: Standing) -> None:
    assert not standing.stalls(STALLED_SECONDS)
    assert standing.stalls(1.0 + STALLED_SECONDS)
    assert not standing.stalls(2 * STALLED_SECONDS)
    (told,) = standing.troubles(stalls=True)
    assert told.message.startswith("the decoder said nothing for 5 s, and begins anew")
    assert said(standing, beat(8)) == []


def test_before_its_first_word_it_is_given_time() -> None:
    standing = Standing()
    assert not standing.stalls(1000.0)
    assert not standing.stalls(1000.0 + STALLED_SECONDS / 2)
    assert standing.stalls(1000.0 + STALLED_SECONDS)
