"""What the kernel says of connections between unix sockets of our own."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockwarden.sockets import diag


def inode(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(bytes(tmp_path / "a.sock"))
        one.listen(4000)
        yield one


def connected(listener: socket.socket) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.connect(listener.getsockname())
    return one


def ends(found: diag.UnixConnections, *sockets: socket.socket) -> list[diag.UnixConnection]:
    by_inode = {one.sockfs: one for one in found.connections}
    return [by_inode[inode(one)] for one in sockets]


def test_both_ends_of_a_connection(listener: socket.socket) -> None:
    with connected(listener) as client, listener.accept()[0] as accepted:
        found = diag.unix_connections()
        ours, theirs = ends(found, client, accepted)
        assert (ours.peer, theirs.peer) == (inode(accepted), inode(client))
        assert (ours.name, ours.inode, ours.device) == (b"", 0, "")
        (bound,) = (one for one in found.listeners if one.sockfs == inode(listener))
        assert (theirs.name, theirs.inode, theirs.device) == (bound.name, bound.inode, bound.device)
        assert (bound.name, bound.inode) == (
            os.fsencode(listener.getsockname()),
            Path(listener.getsockname()).stat().st_ino,
        )
        assert (ours.kind, theirs.kind, bound.kind) == (socket.SOCK_STREAM,) * 3
        assert found.waiting[inode(listener)] == ()


def test_a_client_with_a_name_of_its_own(listener: socket.socket, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.bind(bytes(tmp_path / "client.sock"))
        client.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            ours, theirs = ends(diag.unix_connections(), client, accepted)
            assert ours.name == bytes(tmp_path / "client.sock")
            assert theirs.inode != ours.inode != 0


def test_an_end_whose_other_end_is_closed(listener: socket.socket) -> None:
    client = connected(listener)
    with listener.accept()[0] as accepted:
        client.close()
        found = diag.unix_connections()
        assert [one.peer for one in found.connections if one.sockfs == inode(accepted)] in ([], [0])


def test_those_who_wait_to_be_accepted(listener: socket.socket) -> None:
    """More than fit in the first datagram of an answer, and than the kernel tells of one listener alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with ExitStack() as clients:
            few = {inode(clients.enter_context(connected(listener))) for _ in range(20)}
            assert set(diag.unix_waiting(inode(listener)) or ()) == few
            many = few | {inode(clients.enter_context(connected(listener))) for _ in range(2980)}
            found = diag.unix_connections()
            assert set(found.waiting[inode(listener)]) == many
            assert {one.peer for one in found.connections if one.sockfs in many} == {0}
            assert diag.unix_waiting(inode(listener)) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nobody_waits_at_a_listener_that_is_gone(listener: socket.socket) -> None:
    gone = inode(listener)
    assert diag.unix_waiting(gone) == ()
    listener.close()
    assert diag.unix_waiting(gone) == ()
