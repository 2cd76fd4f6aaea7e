"""How much of the decoder's time each client may take."""

from __future__ import annotations

from sockwarden.pipeline.decoding.shares import BURST, REFILL, Shares


def test_a_client_has_a_burst_and_then_its_share() -> None:
    """Given a client that took its burst, when time goes by, then it has so much more, and never more than a burst."""
    shares = Shares()
    assert shares.take(1, BURST / 2, 0)
    assert not shares.take(1, BURST / 2, 0)
    assert not shares.take(1, 1, 2 / REFILL - 2)
    assert shares.take(1, 1, 100)
    assert not shares.take(1, BURST, 100)


def test_another_has_its_own() -> None:
    shares = Shares()
    assert not shares.take(1, 2 * BURST, 0)
    assert shares.take(2, BURST / 2, 0)
