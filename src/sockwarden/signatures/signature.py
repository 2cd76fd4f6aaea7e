"""What a signature is: Tracee's life cycle, metadata and finding, over documents.

The engine calls `init` once, then `on_event` for each document and `on_signal` when a source ends, then `close`.
Names and the JSON of a finding follow Tracee's types/detect and types/protocol, so that what reads Tracee's findings
reads ours.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.literals import Clause

ADDRESS = "sockwarden.socket.address_as_given"
FLAGS = "sockwarden.tracee.flags"


class SignatureEventError(InputError):
    """An event that a signature selected lacks what the signature must read. The engine counts and shows it."""


class EventSelector(msgspec.Struct, frozen=True):
    """Events that a signature wants.

    source  whose names the event carries; filters nothing, since every sensor here uses Tracee's in `event.code`
    name    event.code
    origin  sockwarden.actor.origin
    """

    source: str
    name: str
    origin: str

    def selects(self, document: Document) -> bool:
        """Whether the document is such an event."""
        seen = (get(document, "event.code"), get(document, "sockwarden.actor.origin"))
        return seen == (self.name, self.origin)


FROM_CONTAINERS = (
    EventSelector("tracee", "security_file_open", "container"),
    EventSelector("tracee", "security_socket_connect", "container"),
)
"""Opens and connects of processes in a container; not `container-init`, before the entry point's exec."""


class SignatureMetadata(msgspec.Struct, frozen=True):
    """What a signature says of itself; `tags` None where it has none, as in Tracee's JSON."""

    id: str
    version: str
    name: str
    event_name: str
    description: str
    tags: tuple[str, ...] | None
    properties: Mapping[str, str | int]


class Finding(msgspec.Struct, frozen=True):
    """A signature's match: the event that caused it, and what the author adds (`data`)."""

    sig_metadata: SignatureMetadata
    event: Document
    data: Mapping[str, Any] | None = None


class SourceComplete(msgspec.Struct, frozen=True):
    """The signal that a source of events has ended."""

    source: str


FindingHandler = Callable[[Finding], None]


class Signature(ABC):
    """One detector. A subclass says what it is, what it selects and whether a selected document matches."""

    _handler: FindingHandler | None = None

    @abstractmethod
    def get_metadata(self) -> SignatureMetadata:
        """Who the signature is; the same at every call."""

    @abstractmethod
    def get_selected_events(self) -> tuple[EventSelector, ...]:
        """The events to be shown to it; the same at every call."""

    @property
    @abstractmethod
    def required_literals(self) -> tuple[Clause, ...]:
        """What every document that matches contains: all of the clauses."""

    @abstractmethod
    def matches(self, document: Document) -> bool:
        """Whether a selected document is a finding. Raises SignatureEventError where it lacks an argument."""

    def init(self, callback: FindingHandler) -> None:
        """Starts the life cycle; findings go to the callback."""
        if self._handler is not None:
            raise RuntimeError(f"{type(self).__name__}.init was called twice")
        self._handler = callback

    def on_event(self, document: Document) -> None:
        """Reports the document if it matches; one that no selector takes is passed over.

        Raises SignatureEventError where the document lacks an argument that the signature needs.
        """
        report = self._started()
        if any(selector.selects(document) for selector in self.get_selected_events()) and self.matches(document):
            report(Finding(self.get_metadata(), document))

    def on_signal(self, signal: SourceComplete) -> None:  # noqa: ARG002 - for signatures that keep state
        """Takes notice that a source ended; a signature without state has nothing to do."""
        self._started()

    def close(self) -> None:
        """Ends the life cycle; a second call does nothing."""
        self._handler = None

    def _started(self) -> FindingHandler:
        if self._handler is None:
            raise RuntimeError(f"{type(self).__name__} is used outside init and close")
        return self._handler

    def lacks(self, document: Document, argument: str) -> SignatureEventError:
        """The error for an argument (Tracee's name) that is absent or of a wrong type."""
        return SignatureEventError(
            f"{self.get_metadata().id} could not judge an event: no usable argument `{argument}`",
            where=f"{get(document, 'event.code')} event {get(document, '_id') or 'without _id'}",
            why="the sensor left the argument out, or wrote it in a form that is not known",
            todo="look at the event itself; it may be an access that was not detected",
        )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """A finding in the JSON form of Tracee's detect.Finding.

    Payload is Tracee's own event where the document was made of one, else the document.
    """
    metadata = finding.sig_metadata
    module = get(finding.event, "event.module")
    return {
        "Data": None if finding.data is None else dict(finding.data),
        "Event": {
            "Headers": {
                "Selector": {
                    "Name": get(finding.event, "event.code"),
                    "Origin": get(finding.event, "sockwarden.actor.origin"),
                    "Source": module or "sockwarden",
                }
            },
            "Payload": _traced(finding.event) if module == "tracee" else finding.event,
        },
        "SigMetadata": {
            "ID": metadata.id,
            "Version": metadata.version,
            "Name": metadata.name,
            "EventName": metadata.event_name,
            "Description": metadata.description,
            "Tags": None if metadata.tags is None else list(metadata.tags),
            "Properties": dict(sorted(metadata.properties.items())),
        },
    }


def _traced(document: Document) -> dict[str, Any]:
    """Tracee's event from event.original; the document where that text is gone or not one JSON object."""
    try:
        event = json.loads(get(document, "event.original") or "")
    except (ValueError, TypeError, RecursionError):
        return document
    return event if isinstance(event, dict) else document
