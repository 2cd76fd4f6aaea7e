"""Rules and signatures as the engine sees them: one document in, alerts out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from sockwarden.alerts import RISK_SCORES, SEVERITIES, Detector, RuleExecution, View, build
from sockwarden.detect.rule_detector import detector_of
from sockwarden.document import Document, get
from sockwarden.errors import RuleError
from sockwarden.kql import Is, Literal, Or, Text, Wildcard, compile_query, depends_on, leaves_on, requirements
from sockwarden.literals import Alternative, Clause, Requirement
from sockwarden.rules import ExceptionItem, Rule
from sockwarden.signatures import Finding, Signature, SourceComplete, finding_to_json

_BACKING = re.compile(r"\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6}")


Matches = Callable[[Document], bool]
"""Says whether a document matches."""


class Detection(Protocol):
    """What judges documents.

    required_literals  what a reader must not skip
    requirements       what every document satisfies of which `judge` gives or says anything
    """

    detector: Detector
    required_literals: tuple[Clause, ...]
    requirements: tuple[Requirement, ...]

    def judge(self, document: Document) -> Iterator[Document]:
        """The alerts that a document makes."""
        ...

    def depends_on(self, fields: Collection[str]) -> bool:
        """Whether what it finds depends on what stands at any of these fields of a document, or on other documents,
        or on the time.
        """
        ...

    def leaves_on(self, fields: Collection[str]) -> list[Matches] | None:
        """What it asks of these fields: of two documents that differ there alone, and of which each says the same, it
        finds the same. None where it depends on them otherwise.
        """
        ...

    def source_complete(self, source: str) -> None:
        """Told that a source has ended."""
        ...

    def close(self) -> None:
        """Told that there is nothing more to judge."""
        ...


_DESTINATION = ("destination.address", "destination.path")
_SOCKET = "sockwarden.socket"
OWN_INDEX = "sockwarden"
"""`_index` of documents that sockwarden made itself; a rule's index patterns do not apply to them."""


class OutsideIndexError(Exception):
    """A document matches a rule, and lies in an index that the rule does not name."""

    def __init__(self, rule: str, index: str) -> None:
        super().__init__(f"{rule} does not name the index {index}")


class ExceptedError(Exception):
    """A document matches a rule, and an exception item holds it back."""

    def __init__(self, rule: str, item: ExceptionItem) -> None:
        super().__init__(f"{rule}: {item.name} ({item.list_id})")


def _stream_of(index: str) -> str:
    """The data stream of a backing index (`.ds-NAME-2026.11.21-000001`), without a remote cluster's name."""
    return _BACKING.sub(r"\1", index.rpartition(":")[2])


def _pattern(name: str) -> Literal:
    pieces = name.split("*")
    return Wildcard(tuple(pieces)) if len(pieces) > 1 else Text(name)


class RuleDetection:
    """A query rule."""

    def __init__(self, rule: Rule) -> None:
        if rule.unresolved:
            raise RuleError(
                f"the exception lists of {rule.name} are not known: {', '.join(rule.unresolved)}",
                why="Without them, alerts would come out that somebody excepted, so the rule does not run.",
                todo="Put each list into exceptions/ of the rules folder, or take it out of `exceptions_list`.",
            )
        self.rule = rule
        self._matches = rule.matches
        self._names = compile_query(Or(tuple(Is(Text("_index"), _pattern(name)) for name in rule.index)))
        self.required_literals = rule.required_literals
        self.requirements = requirements(rule.tree)
        self.detector = detector_of(rule)
        self._asks_address = depends_on(rule.tree, _DESTINATION)
        self._asks_socket = depends_on(rule.tree, (_SOCKET,))

    def judge(self, document: Document) -> Iterator[Document]:
        """One alert where the query matches. Raises OutsideIndexError where the document came from an index that the
        rule does not name: there, Kibana would not have asked it; ExceptedError where an exception item applies.
        """
        if self._matches(document):
            index = str(document.get("_index", ""))
            if index not in ("", OWN_INDEX) and not self._names({"_index": _stream_of(index)}):
                raise OutsideIndexError(self.detector.name, index)
            if self.rule.exceptions and (item := self.rule.excepted(document, time.time_ns() // 1_000_000)):
                raise ExceptedError(self.detector.name, item)
            yield self.alert(document)

    def depends_on(self, fields: Collection[str]) -> bool:
        """Its query, and what grades and names its alerts; any exception, which may end."""
        return self._tells_of(fields) or depends_on(self.rule.tree, fields)

    def leaves_on(self, fields: Collection[str]) -> list[Matches] | None:
        """Those of its query, where nothing else depends on these fields."""
        leaves = None if self._tells_of(fields) else leaves_on(self.rule.tree, fields)
        return None if leaves is None else [compile_query(leaf) for leaf in leaves]

    def _tells_of(self, fields: Collection[str]) -> bool:
        """Whether anything but its query looks at these fields, or may."""
        by = self.detector
        grading = {field for field, *_ in (*by.severity_mapping, *by.risk_score_mapping)} | {by.rule_name_override}
        return bool(self.rule.exceptions or by.suppression) or any(
            f"{one}.".startswith(f"{field}.") for one in grading for field in fields
        )

    def alert(self, document: Document, execution: RuleExecution | None = None) -> Document:
        """The alert of a document that matches; execution: the run that found it."""
        return build(document, self.detector, view=self._view(document), execution=execution)

    def source_complete(self, source: str) -> None:
        """A query judges each document by itself."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _view(self, document: Document) -> View | None:
        """Whether the address as given, the canonical one or each of them makes the match."""
        socket = get(document, _SOCKET)
        if not isinstance(socket, dict):
            return None
        given, canonical = socket.get("address_as_given"), socket.get("canonical")
        if not given or not canonical:
            return None
        # By its own name a socket is found without anything that the log taught; by an alias it is not.
        by_given = self._matches_by(document, given, known=socket.get("alias") is None)
        by_canonical = self._matches_by(document, canonical, known=True)
        if by_given and by_canonical:
            return "both"
        return "given" if by_given else "canonical" if by_canonical else None

    def _matches_by(self, document: Document, address: str, *, known: bool) -> bool:
        """Whether a document that matches would do so, too, if it had this address alone."""
        if known or not self._asks_socket:
            destination = document.get("destination")
            alone = isinstance(destination, dict) and destination.get("address") == destination.get("path") == address
            if alone or not self._asks_address:
                return True  # it is judged as it stands
        return self._matches(_narrowed(document, address, known=known))


def _narrowed(document: Document, address: str, *, known: bool) -> Document:
    """The document as if it had this address alone, and unless it is known, nothing that was found out about it."""
    narrowed = {
        **document,
        "destination": {**(get(document, "destination") or {}), "address": address, "path": address},
    }
    if not known:
        narrowed["sockwarden"] = {key: value for key, value in document["sockwarden"].items() if key != "socket"}
    return narrowed


class SignatureDetection:
    """A signature, through its life cycle."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.required_literals = signature.required_literals
        self.requirements = _selected_by(signature)
        self._findings: list[Finding] = []
        metadata = signature.get_metadata()
        properties = metadata.properties
        # Tracee counts severities from 0, info, which has no name here.
        severity = SEVERITIES[max(int(properties["Severity"]) - 1, 0)]
        self.detector = Detector(
            rule_id=metadata.id,
            name=metadata.name,
            severity=severity,
            risk_score=RISK_SCORES[severity],
            version=metadata.version,
            threat=[_threat(dict(properties))],
            parameters={"description": metadata.description, **properties},
            more={"uuid": metadata.id, "description": metadata.description, "enabled": True},
        )
        signature.init(self._findings.append)

    def judge(self, document: Document) -> Iterator[Document]:
        """An alert for each finding. Raises SignatureEventError where the document lacks an argument."""
        self.signature.on_event(document)
        for finding in self._findings:
            yield build(document, self.detector, view=None, finding=finding_to_json(finding))
        self._findings.clear()

    def depends_on(self, fields: Collection[str]) -> bool:  # noqa: ARG002 - a Detection's method
        """A signature may remember anything."""
        return True

    def leaves_on(self, fields: Collection[str]) -> None:
        """Nobody knows what it asks."""

    def source_complete(self, source: str) -> None:
        """Passed on as a signal."""
        self.signature.on_signal(SourceComplete(source))

    def close(self) -> None:
        """Ends the signature's life cycle."""
        self.signature.close()


def _selected_by(signature: Signature) -> tuple[Requirement, ...]:
    """What a signature selects its events by: it may complain of one that it selects and cannot read, so that what it
    requires of a match is too much. Nothing where it takes events by a method of its own.
    """
    if type(signature).on_event is not Signature.on_event:
        return ()
    events = signature.get_selected_events()
    fields = {"event.code": [one.name for one in events], "sockwarden.actor.origin": [one.origin for one in events]}
    return tuple(frozenset(Alternative(field, text, bool(text)) for text in texts) for field, texts in fields.items())


def _threat(properties: dict[str, Any]) -> dict[str, Any]:
    """Tracee's properties as an entry of [[rule.threat]]."""
    technique = str(properties.get("external_id", ""))
    return {
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": "TA0004",
            "name": "Privilege Escalation",
            "reference": "https://attack.mitre.org/tactics/TA0004/",
        },
        "technique": [
            {
                "id": technique,
                "name": str(properties.get("Technique", "")),
                "reference": f"https://attack.mitre.org/techniques/{technique}/",
            }
        ],
    }
