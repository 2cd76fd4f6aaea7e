"""Whether a program's file is the host's own at its path, and root's alone. In a mount namespace of its own a process
may have any file at any path.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

from sockwarden.enrich import clocks, procfs

_PLAIN = frozenset(("ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "ramfs", "squashfs", "erofs"))
"""File systems whose files have the same numbers in stat as in the kernel. On btrfs the device differs (one for each
subvolume), on overlayfs the inode too.
"""
_COARSE = 10_000_000
"""How far a file's times may be behind: the coarse clock's tick."""


def of_process(pid: int, executable: str) -> bool | None:
    """Whether the program file of a process that runs now is the one that the host has at this path, and only root can
    have written it. None where it cannot be told.
    """
    try:
        status, hosts = Path(f"/proc/{pid}/exe").stat(), _hosts(executable)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) == (hosts.st_dev, hosts.st_ino) and _is_roots(hosts)


def of_file(pid: int, executable: str, file: tuple[str, int], when: int) -> bool | None:
    """The same of a file that the kernel told as a process executed it, by ProcessEvent's `file` and `time`; where its
    numbers are none of stat's, by the process, if it still runs that.
    """
    try:
        hosts = _hosts(executable)
    except (FileNotFoundError, NotADirectoryError):
        return _has_none(executable, when)
    except (OSError, ValueError):
        return None
    if not _is_plain(hosts.st_dev):
        before, told = procfs.executable(pid), of_process(pid, executable)
        return told if before == executable == procfs.executable(pid) else None
    if (_device_text(hosts.st_dev), hosts.st_ino) == file:
        return _is_roots(hosts)
    # A package may have been upgraded in between: the host's file of then is not there to compare with.
    return None if hosts.st_ctime_ns > clocks.to_wall(when) - _COARSE else False


def _has_none(executable: str, when: int) -> bool | None:
    """Of a path at which the host has no file: None where it may have been taken away after this time, else False. On a
    mount that is attached nowhere a program's path begins at the mount's own root.
    """
    folder = executable
    while folder := folder.rpartition("/")[0]:
        with suppress(OSError):
            return None if _hosts(folder).st_ctime_ns > clocks.to_wall(when) - _COARSE else False
    return False


def path_of(pid: int, file: tuple[str, int]) -> str | None:
    """The path of the file that a process executed, where it runs that still."""
    try:
        same = Path(f"/proc/{pid}/exe").stat().st_ino == file[1]
    except OSError:
        return None
    return procfs.executable(pid) if same else None


def _hosts(executable: str) -> os.stat_result:
    return Path(f"{_root()}{executable}").stat()


def _is_roots(status: os.stat_result) -> bool:
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def _root() -> str:
    """Where the host's files are: here, or through pid 1 where this process has a mount namespace of its own."""
    return "" if procfs.surroundings(os.getpid()).mount == procfs.host().mount else "/proc/1/root"


@lru_cache(maxsize=64)
def _is_plain(device: int) -> bool:
    """Whether stat's device is one that the kernel has, of a file system that is plain."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path(f"/proc/{'1' if _root() else 'self'}/mountinfo").read_bytes().split(b"\n")
    except OSError:
        return False
    for line in lines:
        before, _, after = line.partition(b" - ")
        if before.split(b" ", 3)[2:3] == [wanted.encode()]:
            return after.split(b" ", 1)[0].decode("ascii", "replace") in _PLAIN
    return False


def _device_text(device: int) -> str:
    return f"{os.major(device):02x}:{os.minor(device):02x}"
