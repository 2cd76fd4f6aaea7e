"""Socket files: where they are, and which inode on which device, in the kernel's encoding."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import struct
from collections.abc import Iterator
from itertools import islice

import msgspec

from sockwarden.sockets.catalogue import pattern_of
from sockwarden.sockets.diag import device_text
from sockwarden.sockets.processes import read_file, uid_of

_MOST_ENTRIES = 8192
"""Entries of one folder that are looked at: whoever may write there could fill it."""
_MOST_FOUND = 4096
"""Socket files of one wildcard path."""
_MOST_MOUNTINFO = 1 << 18
"""Bytes read of that of another user's process: a user may make 100,000 mounts in a namespace of his own."""
_SLOW = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "autofs")
"""Kinds of file systems that somebody else serves."""

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_MNT_ID = 0x1000
_STATX_BYTES = 256
_STATX_DEVICE = 136
"""Offset of stx_dev_major, stx_dev_minor and stx_mnt_id in struct statx (include/uapi/linux/stat.h)."""

_libc = ctypes.CDLL(None, use_errno=True)


class Place(msgspec.Struct, frozen=True):
    """A socket file: its path without symlinks, and what the kernel says of it."""

    path: str
    device: str
    inode: int
    changed_ns: int
    mode: int
    uid: int
    gid: int


class Mount(msgspec.Struct, frozen=True):
    """A line of mountinfo: the mount's identity, device, the folder of the file system that it shows, and where."""

    identity: int
    device: str
    root: str
    point: str
    kind: str


def mount_of(line: str) -> Mount | None:
    """The mount of one line of mountinfo; None for what is none."""
    columns = line.split(" ")
    try:
        major, minor = map(int, columns[2].split(":"))
        kind = columns[columns.index("-", 6) + 1]
        root, point = (re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), one) for one in columns[3:5])
        return Mount(int(columns[0]), device_text(major << 20 | minor), root, point, kind)
    except (ValueError, IndexError):
        return None


class Mounts:
    """The mounts of processes, each read once."""

    def __init__(self) -> None:
        self._of: dict[int | str, list[Mount]] = {}
        self._slow: dict[int | str, list[str]] = {}
        self._cut: set[int | str] = set()

    def of(self, process: int | str = "self") -> list[Mount]:
        """The mounts that a process sees, in the order of the kernel."""
        if process not in self._of:
            trusted = process == "self" or uid_of(int(process)) in (0, os.geteuid())
            path = f"/proc/{process}/mountinfo"
            mountinfo = read_file(path) if trusted else read_file(path, _MOST_MOUNTINFO)
            lines = os.fsdecode(mountinfo).split("\n")
            self._of[process] = [mount for line in lines if (mount := mount_of(line))]
            if not trusted and len(mountinfo) >= _MOST_MOUNTINFO:
                self._cut.add(process)
        return self._of[process]

    def device(self, path: str, process: int | str = "self") -> str:
        """The device of what a path leads to, as the kernel encodes it. `st_dev` is another number on btrfs and
        overlayfs, so the mount that the path is on is asked. Raises OSError.
        """
        identity, device = _mount_and_device(path)
        return next((mount.device for mount in self.of(process) if mount.identity == identity), device)

    def slow(self, path: str, process: int | str = "self") -> bool:
        """Whether a look-up may wait for ever, since somebody else answers it. Not our own root: we run from it."""
        if process not in self._slow:
            points = (mount.point for mount in self.of(process) if mount.kind.startswith(_SLOW))
            # Behind the mounts that were read may be one that somebody else serves.
            cut = ["/"] if process in self._cut else []
            self._slow[process] = cut or [point for point in points if point != "/" or process != "self"]
        return any(below(path, point) is not None for point in self._slow[process])


def _mount_and_device(path: str) -> tuple[int, str]:
    """The mount that a path is on (-1 before Linux 5.8), and its device as stat gives it: statx(2). Without opening the
    file: that is what the audit sensor records of others.
    """
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if _libc.statx(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_MNT_ID, buffer):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    major, minor, mount = struct.unpack_from("=IIQ", buffer.raw, _STATX_DEVICE)
    known = struct.unpack_from("=I", buffer.raw)[0] & _STATX_MNT_ID
    return mount if known else -1, device_text(major << 20 | minor)


def below(path: str, folder: str) -> str | None:
    """What a path has behind a folder, with its slash; empty where they are the same, None where it is elsewhere."""
    folder = folder.rstrip("/")
    return path[len(folder) :] if path == folder or path.startswith(f"{folder}/") else None


def place_of(path: str, mounts: Mounts, pid: int | None = None) -> Place | None:
    """The socket file at a path without `..`, as a process sees it or as we do; None where there is none.

    Of symlinks only root's and our own are followed: with one of his a user could make any other socket pass for a
    runtime's. Below the root of another process none is, since it would lead out of there.
    """
    root, process = ("", "self") if pid is None else (f"/proc/{pid}/root", pid)
    trusted = (0, os.geteuid()) if pid is None else ()
    try:
        way = ""
        for segment in path.split("/")[1:]:
            way = f"{way}/{segment}"
            if mounts.slow(way, process):
                return None
            status = os.lstat(root + way)
            if stat.S_ISLNK(status.st_mode) and status.st_uid not in trusted:
                return None
        real = root + path if pid is not None else os.path.realpath(path)
        status = os.lstat(real)
        if not stat.S_ISSOCK(status.st_mode):
            return None
        device = mounts.device(real, process)
    except (OSError, ValueError):
        return None
    mode = stat.S_IMODE(status.st_mode)
    return Place(real, device, status.st_ino, status.st_ctime_ns, mode, status.st_uid, status.st_gid)


def expand(glob: str, mounts: Mounts) -> list[str]:
    """The paths that a catalogue's path may stand for, as far as folders have names that fit; at most so many."""
    paths = [""]
    for segment in glob.split("/")[1:]:
        if "*" not in segment:
            paths = [f"{path}/{segment}" for path in paths]
            continue
        pattern = pattern_of(segment)
        fitting = (f"{path}/{name}" for path in paths for name in names_in(path, mounts) if pattern.fullmatch(name))
        paths = list(islice(fitting, _MOST_FOUND))
    return paths


def is_folder(path: str) -> bool:
    """Whether a path leads to a folder, False also where that cannot be told."""
    return os.path.isdir(path)  # noqa: PTH112 # Path.is_dir raises where the way is barred


def names_in(folder: str, mounts: Mounts) -> list[str]:
    """Names in a folder, some of very many; none where it cannot be read."""
    return [entry.name for entry in _entries(folder or "/", mounts)]


def find_inode(folder: str, device: str, inode: int, mounts: Mounts) -> Place | None:
    """The socket file in a folder that has this inode."""
    for entry in _entries(folder, mounts):
        if entry.inode() == inode and (place := place_of(entry.path, mounts)) and place.device == device:
            return place
    return None


def _entries(folder: str, mounts: Mounts) -> Iterator[os.DirEntry[str]]:
    if mounts.slow(folder):
        return
    try:
        with os.scandir(folder) as entries:
            yield from islice(entries, _MOST_ENTRIES)
    except OSError:
        return
