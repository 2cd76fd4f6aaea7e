"""What of the host a mount's source is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sockwarden.pipeline.mounted import devices_of, places_of
from sockwarden.requests.facts.shape import MOST_ITEMS
from sockwarden.sockets import LiveSocket, RuntimeSocket, packaged
from sockwarden.sockets.inventory import Inventory
from sockwarden.sockets.places import Mounts


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(packaged())


def test_a_link_is_followed_as_the_daemon_does(tmp_path: Path, inventory: Inventory) -> None:
    """Given links that lead to a folder by way of each other, when a mount of one is asked for, then both are told."""
    (tmp_path / "far").symlink_to("./near/.")
    (tmp_path / "near").symlink_to("/etc")
    assert places_of([f"{tmp_path}/far/ssh"], inventory) == [f"{tmp_path}/far/ssh", "/etc/ssh"]


def test_a_link_to_the_root_is_the_root(tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / "all").symlink_to("/")
    assert "/" in places_of([f"{tmp_path}/all"], inventory)


def test_a_path_that_leads_to_the_root_without_a_link_is_the_root(inventory: Inventory) -> None:
    """Given the root under another name, when a mount of it is asked for, then it is the root by its identity."""
    assert "/" in places_of([f"/proc/{os.getpid()}/root"], inventory)


def test_links_in_a_circle_end(tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert places_of([f"{tmp_path}/one"], inventory) == [f"{tmp_path}/one"]


@pytest.mark.parametrize("source", ["", "relative", "/a\0b", "/" + "a/" * 5000, "/x" * 300])
def test_no_path_is_too_odd(source: str, inventory: Inventory) -> None:
    assert places_of([source], inventory) in ([source], [])


def live(path: Path, address: str) -> LiveSocket:
    status = path.lstat()
    device = Mounts().device(str(path))
    return LiveSocket(
        RuntimeSocket(address, "docker", "Docker"),
        "path",
        "catalogue",
        path=str(path),
        device=device,
        inode=status.st_ino,
    )


def test_a_socket_is_known_by_its_identity_and_by_the_folder_that_holds_it(
    tmp_path: Path, inventory: Inventory
) -> None:
    """Given a runtime socket, when a mount of another name of it or of its folder is asked for, then it is told."""
    path = tmp_path / "engine" / "docker.sock"
    path.parent.mkdir()
    os.mknod(path, 0o140600)
    (tmp_path / "other").hardlink_to(path)
    inventory.refresh([live(path, "/run/docker.sock")], 1.0)
    assert places_of([f"{tmp_path}/other"], inventory) == [f"{tmp_path}/other", "/run/docker.sock"]
    assert places_of([f"{tmp_path}/engine"], inventory) == [f"{tmp_path}/engine", "/run/docker.sock"]
    assert places_of([f"{tmp_path}/engin"], inventory) == [f"{tmp_path}/engin"]


def test_each_source_is_kept_and_looked_up(tmp_path: Path, inventory: Inventory) -> None:
    """Given as many sources as a request tells, when the last is a link to the root, then it is known as the root."""
    (tmp_path / "all").symlink_to("/")
    asked = [*(f"/srv/{number}" for number in range(MOST_ITEMS - 1)), f"{tmp_path}/all"]
    found = places_of(asked, inventory)
    assert found[: len(asked)] == asked
    assert "/" in found


def test_two_dots_behind_a_link_lead_where_the_kernel_goes(tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / "far").symlink_to("/home")
    assert "/" in places_of([f"{tmp_path}/far/.."], inventory)


def test_a_device_is_what_its_link_leads_to(tmp_path: Path) -> None:
    """Given a link with a colon in its name, when it is asked for as a device, then what it leads to is told."""
    (tmp_path / "a:b").symlink_to("/dev/mem")
    asked = [f"{tmp_path}/a:b:/dev/x:rwm", "/dev/null:/dev/null:rwm", "rule c 1:3 rwm"]
    found = devices_of(asked)
    assert found[: len(asked)] == asked
    assert "/dev/mem" in found
    assert "/dev/null" not in found


def test_a_disk_is_known_by_its_number(tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a disk's node under another name, when it is asked for, as a device or a volume's, then it is a disk."""
    node = tmp_path / "plain"
    node.touch()
    status = os.stat_result((stat.S_IFBLK | 0o600, 1, 1, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(8, 1)})
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path, **_: status if path == str(node) else lstat(path))
    assert places_of([str(node)], inventory) == [str(node), "/dev/block/8:1"]
    assert devices_of([f"{node}:/dev/x"]) == [f"{node}:/dev/x", "/dev/block/8:1"]
