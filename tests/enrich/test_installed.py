"""Whether a program's file is the host's own, by its numbers or by the process that runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from told_events import file_of

from sockwarden.enrich import clocks, installed

SLEEP = os.path.realpath("/bin/sleep")
LATER = 3_600_000_000_000


@pytest.fixture
def plain() -> None:
    if not installed._is_plain(Path(SLEEP).stat().st_dev):
        pytest.skip("the file system of /bin has numbers of its own in stat")


def test_by_its_numbers(plain: None) -> None:
    now, file = time.monotonic_ns(), file_of(SLEEP)
    assert installed.of_file(os.getpid(), SLEEP, file, now) is True
    assert installed.of_file(os.getpid(), SLEEP, (file[0], file[1] + 1), now) is False
    assert installed.of_file(os.getpid(), SLEEP, ("00:01", file[1]), now) is False
    assert installed.of_file(os.getpid(), "\0", file, now) is None


def test_what_was_replaced_since_cannot_be_told(plain: None) -> None:
    changed = clocks.of_wall(Path(SLEEP).stat().st_ctime_ns)
    assert installed.of_file(os.getpid(), SLEEP, ("00:01", 5), changed - LATER) is None


def test_a_path_at_which_the_host_has_nothing() -> None:
    """Given a program of a mount that is attached nowhere, whose path begins at the mount's root, when the host has no
    file there, then it is not the host's own, unless the host's may have been removed since.
    """
    later = clocks.of_wall(Path("/usr").stat().st_ctime_ns) + LATER
    for path in ("/usr/no/such", "/no/such", f"{SLEEP}/such"):
        assert installed.of_file(os.getpid(), path, ("00:01", 5), later + LATER) is False
    assert installed.of_file(os.getpid(), "/usr/no/such", ("00:01", 5), later - 2 * LATER) is None


def test_what_others_may_write_is_not_root_s_alone(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy(SLEEP, program)
    program.chmod(0o777)
    if not installed._is_plain(program.stat().st_dev):
        pytest.skip("the file system of the temporary folder has numbers of its own in stat")
    assert installed.of_file(os.getpid(), str(program), file_of(str(program)), time.monotonic_ns()) is False


def test_where_numbers_are_not_plain_the_process_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_is_plain", lambda _: False)
    with subprocess.Popen([SLEEP, "67"]) as child:
        try:
            while os.path.realpath(f"/proc/{child.pid}/exe") != SLEEP:
                time.sleep(0.01)
            assert installed.of_file(child.pid, SLEEP, ("00:2f", 5), 0) is True
            assert installed.of_file(child.pid, os.path.realpath("/bin/sh"), ("00:2f", 5), 0) is None
        finally:
            child.kill()
    assert installed.of_file(child.pid, SLEEP, ("00:2f", 5), 0) is None


def test_devices_that_are_not_mounted_are_not_plain() -> None:
    assert installed._is_plain(os.makedev(4000, 1)) is False
    assert installed._is_plain(Path("/proc").stat().st_dev) is False
