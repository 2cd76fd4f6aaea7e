"""Secrets come from files that nobody else may read, and are in no message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockwarden.credentials import read_secret
from sockwarden.errors import InputError

KEY = "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw"


def secret(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [KEY, KEY + "\n", KEY + "\r\n"])
def test_one_line_is_the_secret(tmp_path: Path, content: str) -> None:
    assert read_secret(secret(tmp_path, content.encode())) == KEY


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o620, 0o644, 0o602, 0o601])
def test_a_secret_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match="others may read or change") as caught:
        read_secret(secret(tmp_path, KEY.encode(), mode))
    assert KEY not in str(caught.value) and "chmod 0600" in caught.value.todo


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = secret(tmp_path, KEY.encode())
    os.chown(path, 1234, 0)
    with pytest.raises(InputError, match="others may read or change"):
        read_secret(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xc3\xa4", b"a\x00b", b"x" * 5000])
def test_what_is_no_secret(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="no secret"):
        read_secret(secret(tmp_path, content))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe", Path("a\0b")):
        with pytest.raises(InputError) as caught:
            read_secret(path)
        assert caught.value.what and str(path) in caught.value.where
