"""The catalogue: which addresses are runtime sockets, by name. The data is content/catalogue.toml."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import msgspec

from sockwarden.literals import Wanted


class RuntimeSocket(msgspec.Struct, frozen=True, order=True):
    """A runtime socket with its canonical address: a path, `@name` of an abstract one, or `host:port`."""

    address: str
    runtime: str
    name: str


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runtime: str
    name: str
    source: str
    path: list[str] = []
    abstract: list[str] = []
    port: list[int] = []


class Catalogue:
    """Looks an address up. Every method takes an address that `aliases.normalise` has been over."""

    def __init__(self, entries: list[_Entry]) -> None:
        self._paths: dict[str, _Entry] = {}
        self._path_globs: list[tuple[re.Pattern[str], _Entry]] = []
        self._abstract: list[tuple[re.Pattern[str], _Entry]] = []
        self._ports: dict[int, _Entry] = {}
        pieces: set[str] = set()
        for entry in entries:
            self._ports |= dict.fromkeys(entry.port, entry)
            for glob in entry.path:
                pieces.add(piece_of(glob))
                if "*" in glob:
                    self._path_globs.append((_pattern(glob, "[^/]*"), entry))
                else:
                    self._paths[glob] = entry
            for glob in entry.abstract:
                pieces.add(piece_of(glob))
                self._abstract.append((_pattern(glob, ".*"), entry))
        self.wanted = Wanted(addresses=frozenset(pieces), ports=frozenset(self._ports))

    def path(self, path: str) -> RuntimeSocket | None:
        """The runtime socket that has this canonical path."""
        entry = self._paths.get(path) or _first(self._path_globs, path)
        return RuntimeSocket(path, entry.runtime, entry.name) if entry else None

    def abstract(self, name: str) -> RuntimeSocket | None:
        """The runtime socket that has this abstract name, given without its `@`."""
        entry = _first(self._abstract, name)
        return RuntimeSocket(f"@{name}", entry.runtime, entry.name) if entry else None

    def port(self, address: str, port: int) -> RuntimeSocket | None:
        """The runtime socket that has this TCP port; address is `host:port`."""
        entry = self._ports.get(port)
        return RuntimeSocket(address, entry.runtime, entry.name) if entry else None


def piece_of(address: str) -> str:
    """A part that every spelling of an address contains: its last whole segment; dots, doubled slashes and a change
    of directory do not alter that one. For a name that ends in a wildcard, the longest whole segment before it.
    """
    segments = address.split("/")
    whole = [segment for segment in segments if segment and "*" not in segment]
    return segments[-1] if segments[-1] in whole else max(whole, key=len, default="")


def _pattern(glob: str, star: str) -> re.Pattern[str]:
    return re.compile(star.join(re.escape(part) for part in glob.split("*")), re.DOTALL)


def _first(globs: list[tuple[re.Pattern[str], _Entry]], text: str) -> _Entry | None:
    for pattern, entry in globs:
        if pattern.fullmatch(text):
            return entry
    return None


@cache
def packaged() -> Catalogue:
    """The catalogue that comes with sockwarden."""
    data = resources.files("sockwarden.content").joinpath("catalogue.toml").read_bytes()
    return Catalogue(msgspec.toml.decode(data, type=dict[str, list[_Entry]])["socket"])
