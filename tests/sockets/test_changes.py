"""Changes of real folders."""

from __future__ import annotations

import os
import select
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sockwarden.sockets.catalogue import decode
from sockwarden.sockets.changes import Changes
from sockwarden.sockets.discovery import discover
from sockwarden.sockets.inventory import Inventory

Follow = Callable[[], None]


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    text = f"""
        [[socket]]
        runtime = "docker"
        name = "Docker Engine API"
        path = ["{tmp_path}/run/docker.sock", "{tmp_path}/home/*/run/docker.sock", "{tmp_path}/run/s/*"]
        source = "test"
    """
    (tmp_path / "run").mkdir()
    return Inventory(decode(text.encode()))


@pytest.fixture
def changes(inventory: Inventory) -> Iterator[Changes]:
    changes = Changes()
    changes.follow(inventory)
    assert changes.read(), "the folders are watched from now on only"
    yield changes
    changes.close()
    changes.close()


def readable(changes: Changes) -> bool:
    return bool(select.select([changes.fileno()], [], [], 0)[0])


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def test_a_socket_comes_and_goes(tmp_path: Path, changes: Changes) -> None:
    path = tmp_path / "run" / "docker.sock"
    assert not changes.read()
    steps: list[Callable[[], object]] = [
        lambda: bind(path),
        lambda: path.chmod(0o600),
        lambda: path.rename(path.with_name("other")),
        lambda: path.with_name("other").rename(path),
        path.unlink,
    ]
    for step in steps:
        step()
        assert readable(changes)
        assert changes.read()
        assert not changes.read()


def test_other_names_are_no_change(tmp_path: Path, changes: Changes) -> None:
    for name in ("docker.sock2", "docker", "é\n"):
        (tmp_path / "run" / name).touch()
        (tmp_path / name).touch()
    assert readable(changes)
    assert not changes.read()


def test_folders_that_come_later(tmp_path: Path, changes: Changes) -> None:
    """Made at once with a socket in the last one: nothing is missed."""
    folder = tmp_path / "home" / "ada" / "run"
    folder.mkdir(parents=True)
    assert changes.read()
    bind(folder / "docker.sock")
    assert changes.read()
    (tmp_path / "run" / "s").mkdir()
    assert changes.read()
    bind(tmp_path / "run" / "s" / "0123")
    assert changes.read()


def test_folders_that_go_and_come_again(tmp_path: Path, changes: Changes) -> None:
    for _ in range(3):
        shutil.rmtree(tmp_path / "run")
        assert changes.read()
        (tmp_path / "run").mkdir()
        assert changes.read()
        bind(tmp_path / "run" / "docker.sock")
        assert changes.read()


def test_a_folder_that_is_moved_away(tmp_path: Path, changes: Changes) -> None:
    (tmp_path / "run").rename(tmp_path / "gone")
    assert changes.read()
    bind(tmp_path / "gone" / "docker.sock")
    assert not changes.read()


def test_a_socket_found_elsewhere_is_followed(tmp_path: Path, changes: Changes, inventory: Inventory) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "elsewhere.sock"))
        one.listen()
        (tmp_path / "run" / "docker.sock").symlink_to(tmp_path / "elsewhere.sock")
        assert changes.read()
        inventory.refresh(discover(inventory.catalogue, unit_folders=[]), 1.0)
        changes.follow(inventory)
        changes.read()
        (tmp_path / "elsewhere.sock").unlink()
        assert changes.read()


def test_events_that_the_kernel_could_not_queue_are_a_change(tmp_path: Path, changes: Changes) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, other = tmp_path / "run" / "a", tmp_path / "run" / "b"
    one.touch()
    for _ in range(most // 4 + 2):
        os.rename(one, other)  # noqa: PTH104 # thousands
        os.rename(other, one)  # noqa: PTH104 # thousands
    seen = [changes.read() for _ in range(100)]
    assert any(seen)
    assert not seen[-1]


def test_a_crowd_of_folders_is_bounded(tmp_path: Path, inventory: Inventory) -> None:
    for number in range(5000):
        (tmp_path / "home" / str(number)).mkdir(parents=True)
    changes = Changes()
    changes.follow(inventory)
    assert changes.read()
    links = Path(f"/proc/self/fdinfo/{changes.fileno()}").read_text().count("inotify wd:")
    assert 1000 < links + changes.unwatched < 20_000
    changes.close()


def test_a_rename_of_a_live_socket_is_told_at_once(tmp_path: Path, changes: Changes, inventory: Inventory) -> None:
    """Also one that is taken back before anybody looks, and one of a folder above."""
    path = tmp_path / "run" / "docker.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        one.listen()
        inventory.refresh(discover(inventory.catalogue, unit_folders=[]), 1.0)
        changes.follow(inventory)
        changes.read()
        path.chmod(0o600)
        (tmp_path / "run" / "other").touch()
        (tmp_path / "run" / "other").rename(tmp_path / "run" / "another")
        changes.read()
        assert changes.troubles() == []
        tmp_path.rename(tmp_path.with_name("away"))
        tmp_path.with_name("away").rename(tmp_path)
        for _ in range(100):
            path.rename(tmp_path / "x")
            (tmp_path / "x").rename(path)
        assert changes.read()
        (trouble,) = changes.troubles()
        assert trouble.action == "socket-out-of-sight"
        assert str(path) in trouble.message
        assert changes.troubles() == []


def test_a_daemon_that_removes_and_makes_its_socket_is_not_told(
    tmp_path: Path, changes: Changes, inventory: Inventory
) -> None:
    path = tmp_path / "run" / "docker.sock"
    for _ in range(3):
        bind(path)
        inventory.refresh(discover(inventory.catalogue, unit_folders=[]), 1.0)
        changes.follow(inventory)
        path.unlink()
        assert changes.read()
    assert changes.troubles() == []
