"""Which runtime socket an access reached: fills `destination.*` and `sockwarden.socket.*`, and nobody else does.

The address as given is evidence, never identity. A name reaches what the catalogue has at its normal form, an inode
what the log or the host taught of it; where the two differ both stand, and the access is ambiguous.
"""

from __future__ import annotations

from typing import Protocol

from sockwarden.document import Document, get, put, values
from sockwarden.sockets import aliases
from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket
from sockwarden.sockets.lessons import directory_of, socket_paths
from sockwarden.sockets.live import Listener

_MOVED = {"held-connection", "received-descriptor", "duplicated-descriptor", "inherited-descriptor", "requested"}
"""Accesses in which nobody gave an address, and requests: the connection was there."""
_NAMED = {"path", "undecodable", "unnamed"}
"""Types of sockets that a path may lead to."""
_ACCESS = {"connected-to", "opened-file", "unknown-call"} | _MOVED


class Identities(Protocol):
    """What is known of sockets beside the catalogue: lessons of a log, or the inventory of a live host.

    proven: an inode is what the kernel says it is, so that no name counts beside it. A log's lessons can be poisoned.
    """

    proven: bool

    def sockets_of(self, document: Document) -> set[RuntimeSocket]:
        """The runtime sockets that the inodes in a document are, of its PATH records or as the kernel told a sensor."""

    def named(self, address: str, port: int | None) -> RuntimeSocket | None:
        """The runtime socket at an address that the catalogue does not have."""

    def listener_of(self, reached: RuntimeSocket, document: Document) -> Listener | None:
        """Who listened on a socket at the time of a document."""


class Resolver:
    """Resolves the accesses of one stream.

    literal: only the address as given, and `connected-to` only for a call named connect on its architecture: what
    the published detections' own pipeline would have produced, for comparison.
    """

    def __init__(self, catalogue: Catalogue, identities: Identities, *, literal: bool = False) -> None:
        self._catalogue = catalogue
        self._identities = identities
        self._literal = literal

    def resolve(self, document: Document) -> None:
        """Fills one document in place; one that is no access is left as it is."""
        if not _is_any(_ACCESS, document):
            return
        socket = _socket_in(document)
        given = socket.get("address_as_given")
        if given and not socket.get("type"):
            put(document, "sockwarden.socket.type", _type_of(given, document))
            socket = _socket_in(document)
        if self._literal:
            _as_upstream(document)
            named = self._named(document, given) if given else None
            plain = named and aliases.spelled_plainly(str(given), named.address)
            _fill(document, [named] if named and plain else [], given)
            return
        name = _bound_name(socket) or given
        named = self._named(document, name) if name else None
        reached = self._identities.sockets_of(document)
        if self._identities.proven and reached and named not in reached:
            named = None
        sockets = ([named] if named else []) + sorted(reached - {named})
        _fill(document, sockets, given)
        if sockets:
            self._describe(document, sockets, given)
        elif given and socket.get("type") == "path" and self._undecided(document, given):
            put(document, "sockwarden.socket.alias", "unknown")

    def _named(self, document: Document, given: str) -> RuntimeSocket | None:
        """The runtime socket of that name, by the name alone."""
        kind = _socket_in(document).get("type")
        if kind == "abstract":
            return self._catalogue.abstract(given[1:]) or self._identities.named(given, None)
        if kind == "inet":
            port = get(document, "destination.port")
            if not isinstance(port, int):
                return None
            return self._catalogue.port(given, port) or self._identities.named(given, port)
        path = aliases.normalise(given, directory_of(document))
        return (self._catalogue.path(path) or self._identities.named(path, None)) if path else None

    def _undecided(self, document: Document, given: str) -> bool:
        """A name that ends like a runtime socket's, while the log carries neither directory nor inode to tell."""
        known = given.rpartition("/")[2] in self._catalogue.wanted.addresses
        return known and not socket_paths(document) and aliases.normalise(given, directory_of(document)) is None

    def _describe(self, document: Document, sockets: list[RuntimeSocket], given: str | None) -> None:
        socket = _socket_in(document)
        if socket.get("type") in _NAMED and (given or not _is_any(_MOVED, document)):
            kind = aliases.kind_of(given, directory_of(document), sockets[0].address)
            if kind is not None:
                socket["alias"] = kind
        if len(sockets) > 1:
            socket["ambiguous"] = True
        for path in socket_paths(document):
            socket["inode"] = int(path["inode"])
            if "dev" in path:
                socket["device"] = path["dev"]
        if listener := self._identities.listener_of(sockets[0], document):
            put(document, "sockwarden.socket.listener.pid", listener.pid)
            put(document, "sockwarden.socket.listener.executable", listener.executable or None)


def _socket_in(document: Document) -> Document:
    """What is known of the socket so far; to be written into only where there is something."""
    ours = document.get("sockwarden")
    socket = ours.get("socket") if isinstance(ours, dict) else None
    return socket if isinstance(socket, dict) else {}


def _bound_name(socket: Document) -> str | None:
    """The listener's own name, where the kernel told it: what the caller gave may be anything that led there."""
    bound = socket.get("bound")
    return bound if isinstance(bound, str) and bound.startswith(("/", "@")) else None


def _is_any(actions: set[str], document: Document) -> bool:
    event = document.get("event")
    if isinstance(event, dict) and isinstance(action := event.get("action"), str):
        return action in actions
    return not actions.isdisjoint(action for action in values(document, "event.action") if isinstance(action, str))


def _fill(document: Document, sockets: list[RuntimeSocket], given: str | None) -> None:
    """destination.*: canonical addresses first, then the address as given where that is another."""
    addresses = list(dict.fromkeys([*(socket.address for socket in sockets), *([given] if given else [])]))
    for field in ("destination.address", "destination.path") if addresses else ():
        put(document, field, addresses if len(addresses) > 1 else addresses[0])
    if sockets:
        put(document, "sockwarden.socket.canonical", sockets[0].address)
        socket = _socket_in(document)
        socket["runtime"], socket["name"] = sockets[0].runtime, sockets[0].name


def _as_upstream(document: Document) -> None:
    """An event.action that a pipeline which goes by the call's name would have given."""
    call = get(document, "auditd.data.syscall")
    by_record = get(document, "sockwarden.sensor.name") == "audit"
    if by_record and call != "connect" and get(document, "event.action") == "connected-to":
        put(document, "event.action", call or "io_uring")


def _type_of(given: str, document: Document) -> str:
    """What kind of address a source that does not say means by its text."""
    if isinstance(get(document, "destination.port"), int):
        return "inet"
    return "abstract" if given.startswith("@") else "path"
