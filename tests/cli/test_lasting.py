"""A command under its signals: what waits is woken by one, and by each once."""

from __future__ import annotations

import os
import select
import signal

import pytest

from sockwarden.cli.lasting import Lasting


def is_woken(lasting: Lasting) -> bool:
    return bool(select.select([lasting.woken], [], [], 0)[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_wakes_what_waits(number: signal.Signals) -> None:
    lasting = Lasting(None, (), "text")
    before = signal.getsignal(number)
    with lasting.signals():
        assert not is_woken(lasting)
        os.kill(os.getpid(), number)
        assert is_woken(lasting)
        assert bool(lasting.ended or lasting.reload)
        lasting.hear()
        assert not is_woken(lasting)
        lasting.hear()
    assert signal.getsignal(number) is before
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lasting.woken)
