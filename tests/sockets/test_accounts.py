"""Who may connect to a socket file, by modes and owners of it and of the folders above it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.sockets.accounts import Accounts, Chain, chain_of, id_of, owner_of
from sockwarden.sockets.catalogue import RuntimeSocket
from sockwarden.sockets.live import LiveSocket

ADA, BOB, ROOT = 1000, 1001, 0
DOCKER, STAFF = 900, 901


def status(mode: int, uid: int = 0, gid: int = 0, *, kind: int = stat.S_IFDIR) -> os.stat_result:
    return os.stat_result((kind | mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


def chain(mode: int, uid: int, gid: int, *folders: os.stat_result) -> Chain:
    return Chain([("/", status(0o755)), *(("/f", one) for one in folders)], status(mode, uid, gid), [])


@pytest.mark.parametrize(
    ("way", "admitted"),
    [
        (chain(0o660, ROOT, DOCKER), {"in docker"}),
        (chain(0o666, ROOT, DOCKER), {"ada", "in docker", "anybody"}),
        (chain(0o600, ADA, DOCKER), {"ada"}),
        (chain(0o755, ADA, DOCKER), {"ada"}),
        (chain(0o602, ROOT, DOCKER), {"ada", "anybody"}),
        (chain(0o066, ADA, DOCKER), {"in docker", "anybody"}),
        (chain(0o666, ROOT, ROOT, status(0o700)), set()),
        (chain(0o666, ROOT, ROOT, status(0o711)), {"ada", "in docker", "anybody"}),
        (chain(0o666, ROOT, ROOT, status(0o750, ROOT, DOCKER)), {"in docker"}),
        (chain(0o666, ROOT, ROOT, status(0o700, ADA)), {"ada"}),
        (chain(0o660, ROOT, DOCKER, status(0o750, ROOT, STAFF)), set()),
    ],
)
def test_admits(way: Chain, admitted: set[str]) -> None:
    asked = {"ada": (ADA, {ADA}), "in docker": (BOB, {BOB, DOCKER}), "anybody": (None, frozenset[int]())}
    assert {name for name, (uid, gids) in asked.items() if way.admits(uid, gids)} == admitted
    assert way.admits(ROOT, {ROOT})


@given(st.integers(0, 0o777), st.integers(0, 0o777), st.sampled_from([ADA, BOB]), st.sampled_from([DOCKER, STAFF]))
def test_the_kernel_s_word(mode: int, folder: int, uid: int, gid: int) -> None:
    """Whom a chain of one more folder admits, the shorter one admits as well."""
    longer = chain(mode, uid, gid, status(folder, uid, gid))
    for asked in (ADA, BOB, None):
        for gids in (frozenset[int](), {DOCKER}, {DOCKER, STAFF}):
            assert chain(mode, uid, gid).admits(asked, gids) or not longer.admits(asked, gids)


def test_chain_of_a_real_socket(tmp_path: Path) -> None:
    path = tmp_path / "one.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    way = chain_of(str(path))
    assert way
    assert [folder for folder, _ in way.folders] == [*map(str, reversed(path.parents))]
    assert way.admits(path.stat().st_uid, [])
    assert way.with_acl == []
    path.unlink()
    assert chain_of(str(path)) is None


def test_users_and_groups_of_this_host() -> None:
    accounts = Accounts()
    everyone = chain(0o666, ROOT, ROOT)
    assert "root" not in accounts.users(everyone)
    assert {"daemon", "nobody"} <= set(accounts.users(everyone))
    assert accounts.users(chain(0o600, ROOT, ROOT)) == ()
    assert accounts.groups(chain(0o660, ROOT, 4_000_000)) == ("4000000",)
    daemon = RuntimeSocket("/run/docker.sock", "docker", "Docker Engine API")
    assert owner_of(LiveSocket(daemon, "path", "catalogue", uid=0, gid=4_000_000)) == "root:4000000"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("65534", 65534), ("²", None), ("٣", None), ("9" * 5000, None), ("-1", None), ("", None)],
)
def test_numbers_of_users_that_are_none(text: str, number: int | None) -> None:
    assert id_of(text) == number
