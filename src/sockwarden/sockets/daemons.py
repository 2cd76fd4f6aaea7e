"""Runtime daemons on this host: known by the executable, since they may listen anywhere.

An executable's path proves nothing, but what it claims only adds a socket to watch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import msgspec

from sockwarden.content import packaged
from sockwarden.sockets.catalogue import Catalogue, Daemon, pattern_of
from sockwarden.sockets.places import Mounts
from sockwarden.sockets.processes import argv_of, read_file, uid_of

_DELETED = " (deleted)"
_MOST_BYTES = 1 << 16
"""Of a command line or a configuration."""
_TCP = re.compile(
    r"(?:^|\n)(?:-H|--host)[=\n]?[^\s/]*:([0-9]{1,5})(?=\n|$)"  # dockerd(8): a scheme may be left out
    r"|tcp://[^\s/\"',]*:([0-9]{1,5})"
    r"|tcp_address\s*=\s*[\"'][^\s\"']*:([0-9]{1,5})"  # containerd's [grpc]
)


class _Component(msgspec.Struct, frozen=True):
    name: str
    executable: list[str]


class Daemons:
    """Which executables serve a runtime's API."""

    def __init__(self, catalogue: Catalogue) -> None:
        components = _components()
        self._exact: dict[str, Daemon] = {}
        self._globs: list[tuple[re.Pattern[str], Daemon]] = []
        for daemon in catalogue.daemons:
            for glob in [*daemon.executable, *components.get(daemon.component, ())]:
                if "*" in glob:
                    self._globs.append((pattern_of(glob), daemon))
                else:
                    self._exact[glob] = daemon

    def serving(self, executable: str) -> Daemon | None:
        """The daemon that has this executable, also where an update has taken the file away since."""
        path = executable.removesuffix(_DELETED)
        return self._exact.get(path) or next((daemon for glob, daemon in self._globs if glob.fullmatch(path)), None)


def is_control(daemon: Daemon, path: str) -> bool:
    """Whether a path on which this daemon listens is its control API."""
    return not any(re.fullmatch(f"(?:.*/)?{pattern_of(glob).pattern}", path, re.DOTALL) for glob in daemon.other)


def tcp_ports(daemon: Daemon, pid: int, mounts: Mounts) -> frozenset[int]:
    """The TCP ports that a daemon's command line or configuration names as its API's. Of configurations only those of
    root's daemons are read, and our own: the files of the host are not those of a rootless daemon.
    """
    texts = ["\n".join(argv_of(pid, _MOST_BYTES))]
    trusted = uid_of(pid) in (0, os.geteuid())
    config = (path for path in daemon.config if trusted and not mounts.slow(path, pid))
    texts += [read_file(f"/proc/{pid}/root{path}", _MOST_BYTES).decode("utf-8", "replace") for path in config]
    return frozenset(int(next(filter(None, match.groups()))) for text in texts for match in _TCP.finditer(text))


def _components() -> Mapping[str, list[str]]:
    data = packaged("components.toml").read_bytes()
    components = msgspec.toml.decode(data, type=dict[str, list[_Component]])["component"]
    return {component.name: component.executable for component in components}
