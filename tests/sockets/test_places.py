"""Mounts as the kernel writes them, and as nobody should; folders that somebody fills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.sockets.diag import device_text
from sockwarden.sockets.places import Mount, Mounts, below, expand, find_inode, mount_of, place_of
from sockwarden.sockets.processes import read_file


@pytest.mark.parametrize(
    ("line", "mount"),
    [
        (
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
            Mount(36, "62:00", "/mnt1", "/mnt2", "ext3"),
        ),
        ("1 0 0:24 / /a\\040b\\134c rw - tmpfs none rw", Mount(1, "00:18", "/", "/a b\\c", "tmpfs")),
        ("1 0 259:1048575 / / rw shared:1 master:2 - xfs /dev/x rw", Mount(1, "103:fffff", "/", "/", "xfs")),
        ("", None),
        ("1 0 0:24 / / rw", None),
        ("1 0 0:24 / / rw -", None),
        ("x 0 0:24 / / rw - a b c", None),
        ("1 0 24 / / rw - a b c", None),
    ],
)
def test_mount_of(line: str, mount: Mount | None) -> None:
    assert mount_of(line) == mount


@given(st.text(alphabet=" -:/\\0123456789abc\n"))
def test_mount_of_anything(line: str) -> None:
    mount_of(line)


@given(st.text(alphabet="/ab"), st.text(alphabet="/ab"))
def test_below(path: str, folder: str) -> None:
    rest = below(path, folder)
    if rest is not None:
        assert folder.rstrip("/") + rest == path
        assert rest == "" or rest.startswith("/")


def test_below_is_not_beside() -> None:
    assert below("/run2/x", "/run") is None
    assert below("/run/x", "/") == "/run/x"
    assert below("/run", "/run/") == ""


@pytest.mark.parametrize(("number", "text"), [(0x18, "00:18"), (0xFE00000, "fe:00"), (0x10300001, "103:01")])
def test_device_text(number: int, text: str) -> None:
    assert device_text(number) == text


def test_slow_file_systems_are_left_alone(tmp_path: Path) -> None:
    class Invented(Mounts):
        def of(self, process: int | str = "self") -> list[Mount]:  # noqa: ARG002 # as Mounts has it
            return [Mount(1, "00:01", "/", "/", "nfs4"), Mount(2, "00:02", "/", str(tmp_path), "fuse.sshfs")]

    mounts = Invented()
    assert mounts.slow(f"{tmp_path}/a")
    assert not mounts.slow(f"{tmp_path}2"), "of our own root we run"
    assert mounts.slow("/x", os.getpid())
    (tmp_path / "a").touch()
    assert expand(f"{tmp_path}/*", mounts) == []
    assert place_of(f"{tmp_path}/a", mounts) is None


def test_wildcards_stand_for_one_segment(tmp_path: Path) -> None:
    for name in ("a/x.sock", "b/x.sock", "b/c/x.sock", "[*/x.sock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = sorted(expand(f"{tmp_path}/*/*.sock", Mounts()))
    assert found == sorted(f"{tmp_path}/{name}" for name in ("a/x.sock", "b/x.sock", "[*/x.sock"))


def test_a_folder_that_somebody_fills_is_read_in_part(tmp_path: Path) -> None:
    for number in range(10_000):
        os.mknod(tmp_path / str(number))
    assert len(expand(f"{tmp_path}/*", Mounts())) == 4096
    assert find_inode(str(tmp_path), "00:00", 1, Mounts()) is None


def test_read_file_reads_regular_files_in_part(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    assert read_file(str(tmp_path / "pipe")) == b""
    assert read_file("/dev/zero") == b""
    assert read_file(str(tmp_path)) == b""
    assert read_file(f"{tmp_path}/none") == b""
    assert len(read_file(str(tmp_path / "large"))) == 4 << 20
