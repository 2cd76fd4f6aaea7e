"""Names of one socket: the normal form of a path, and by which kind of alias it was given.

The normal form is lexical: no file system is asked, since a log is read elsewhere and later. What only the file system
knows (symlinks, mounts, hard links) the inode tells; see lessons.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

AliasKind = Literal["relative", "dot-segments", "proc", "symlink-or-mount", "unknown"]

_PROC_ROOT = re.compile(r"/proc/(?:self|thread-self|\d+)(?:/task/\d+)?/root")
_PROC_CWD = re.compile(r"/proc/(?:self|thread-self)/cwd")
_PROC_DEPTH = 5
_MOST_HOPS = 16
_MOST_KNOWN = 1024
_MOST_PATH = 512
"""Paths whose normal form is kept, and the longest; a host uses a few again and again, a document may bring any."""


def normalise(path: str, directory: str | None) -> str | None:
    """The normal form: absolute, without dot segments and doubled slashes, /var/run written /run, /proc/PID/root and
    /proc/self/cwd followed. None for no path, and for a relative one whose directory is not known.
    """
    short = len(path) + len(directory or "") <= _MOST_PATH
    return _normal_form(path, directory) if short else _normal_form.__wrapped__(path, directory)


@lru_cache(maxsize=_MOST_KNOWN)
def _normal_form(path: str, directory: str | None) -> str | None:
    if not path:
        return None
    if not path.startswith("/"):
        if not directory or not directory.startswith("/"):
            return None
        path = f"{directory}/{path}"
    path = _follow(path, directory if directory and directory.startswith("/") else None)
    if path.startswith("/var/run/"):
        path = path[4:]
    return path


def _follow(path: str, directory: str | None) -> str:
    """Walks a path as the kernel does, so that `..` behind a link below /proc leaves what the link leads to."""
    kept: list[str] = []
    hops = 0
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
        if segment in ("root", "cwd") and len(kept) <= _PROC_DEPTH and hops < _MOST_HOPS:
            here = "/" + "/".join(kept)
            if _PROC_ROOT.fullmatch(here):
                kept, hops = [], hops + 1
            elif directory and _PROC_CWD.fullmatch(here):
                kept, hops = [part for part in _collapse(directory).split("/") if part], hops + 1
    return "/" + "/".join(kept)


def _collapse(path: str) -> str:
    """Takes `.`, `..` and doubled slashes out, as the kernel's path walk would where no symlink is on the way."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept)


def spelled_plainly(given: str, canonical: str) -> bool:
    """Whether the caller used the socket's own name; /var/run is /run on every host, so that spelling is no alias."""
    return given in (canonical, f"/var{canonical}" if canonical.startswith("/run/") else canonical)


def kind_of(given: str | None, directory: str | None, canonical: str) -> AliasKind | None:
    """The kind of alias by which `given` reached `canonical`; None where it is the socket's own name."""
    if not given:
        return "unknown"
    if spelled_plainly(given, canonical):
        return None
    if not given.startswith("/"):
        return "relative"
    if _collapse(given).startswith("/proc/"):
        return "proc"
    return "dot-segments" if normalise(given, directory) == canonical else "symlink-or-mount"
