"""The process connector's datagrams, and what it says where it cannot work; its real events are in tests/host."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.errors import InputError
from sockwarden.sensors import proc_connector
from sockwarden.sensors.proc_connector import ProcConnector

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def in_a_child(act: Callable[[], None]) -> str:
    """What an action prints to its error, done in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            act()
            os.write(writing, b"no error")
        except InputError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


def test_elsewhere_than_on_the_host_it_says_so() -> None:
    def act() -> None:
        flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
        if ctypes.CDLL(None, use_errno=True).unshare(flags):
            os._exit(0)
        ProcConnector().open()

    told = in_a_child(act)
    if not told:
        pytest.skip("this user may not make a network namespace")
    assert told.splitlines() == [
        "process connector: process events cannot be followed",
        "the kernel offers it in the initial network namespace only",
        "run in the host's network namespace",
    ]


def test_it_is_used_between_open_and_close() -> None:
    connector = ProcConnector()
    assert not connector.is_open
    connector.close()
    with pytest.raises(RuntimeError):
        connector.receive()
    with pytest.raises(RuntimeError):
        connector.fileno()


@given(st.binary(max_size=120))
def test_any_datagram_is_taken(datagram: bytes) -> None:
    proc_connector._event(datagram)
    assert proc_connector._acknowledgement(datagram, 1) is None or len(datagram) >= 68


@given(st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=40))
def test_any_event_is_taken(what: int, data: bytes) -> None:
    connector = proc_connector._CONNECTOR.pack(1, 1, 0, 0, 40, 0)
    event = proc_connector._event(b"\0" * 16 + connector + proc_connector._HEADER.pack(what, 0, 7) + data)
    assert event is None or (event.time == 7 and event.kind in ("fork", "exec", "exit", "comm"))
