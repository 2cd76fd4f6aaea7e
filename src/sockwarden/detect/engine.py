"""The streaming engine: each document at once, each alert once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from sockwarden.detect.detectors import Detection, ExceptedError, Matches, OutsideIndexError
from sockwarden.detect.index import Index
from sockwarden.detect.suppression import StreamGroups
from sockwarden.digests import Digests
from sockwarden.document import Document
from sockwarden.recent import Recent
from sockwarden.signatures import SignatureEventError

_MOST_MESSAGES = 20
_FURTHER = "Further indices that no rule names"
_MOST_ASKED = 256
"""Leaves that are asked what they say of a program or an address: for more, judging each is as quick."""
MOST_REMEMBERED = 1 << 20
"""Alerts remembered, some 30 bytes each, so that a copy of a document makes none again. The older half is forgotten at
once.
"""


class Counts(msgspec.Struct):
    """What judging documents met, each by itself.

    documents  judged
    asked      detectors that had to be asked of them
    errors     documents that a signature could not judge, by its message
    excepted   matches that an exception item held back, by rule and item
    outside    matches left out since the document lies in an index that the rule does not name, by message
    """

    documents: int = 0
    asked: int = 0
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    excepted: Counter[str] = msgspec.field(default_factory=Counter)
    outside: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Takes in the counts of another."""
        self.documents += other.documents
        self.asked += other.asked
        self.errors += other.errors
        self.excepted += other.excepted
        for message, count in other.outside.items():
            self.leave_out(message, count)

    def leave_out(self, message: str, count: int = 1) -> None:
        """Counts matches outside of a rule's indices. The index is the input's to choose, and so may be a new one in
        every document.
        """
        known = message in self.outside or len(self.outside) < _MOST_MESSAGES
        self.outside[message if known else _FURTHER] += count


class Engine:
    """Judges documents by every detector, in their order.

    most_remembered  a copy of a document that comes after so many alerts makes its own again, or after half as many
    counts     what was met
    repeated   alerts not given again, since the same document came before (a copy of a log, say)
    groups     suppression: matches that an earlier alert took in
    """

    def __init__(
        self,
        detections: Sequence[Detection],
        *,
        most_remembered: int = MOST_REMEMBERED,
        groups: StreamGroups | None = None,
    ) -> None:
        self._detections = detections
        self._index = Index([detection.requirements for detection in detections])
        self._depending: dict[tuple[frozenset[str], frozenset[str]], tuple[int, Index]] = {}
        self._asking: dict[frozenset[str], list[Matches]] = {}
        self.groups = groups or StreamGroups()
        self._given: Recent[bytes] = Recent(most_remembered, Digests)
        self.counts = Counts()
        self.repeated = 0

    def judge(self, document: Document) -> Iterator[Document]:
        """The alerts of one document that were not given before."""
        for number, alert in self.find(document):
            if (kept := self.admit(number, alert, document)) is not None:
                yield kept

    def find(self, document: Document) -> Iterator[tuple[int, Document]]:
        """What each detector says of one document, whatever was said before: the detector's place, and the alert."""
        self.counts.documents += 1
        candidates = self._index.candidates(document)
        while candidates:
            first = candidates & -candidates
            candidates ^= first
            number = first.bit_length() - 1
            self.counts.asked += 1
            try:
                for alert in self._detections[number].judge(document):
                    yield number, alert
            except SignatureEventError as error:
                self.counts.errors[error.what] += 1
            except ExceptedError as error:
                self.counts.excepted[str(error)] += 1
            except OutsideIndexError as error:
                self.counts.leave_out(str(error))

    def depends_on(self, fields: frozenset[str], told: frozenset[str], document: Document) -> bool:
        """Whether any detector that must be asked of a document depends on these fields, or on more than it, or on
        those that are told otherwise than `said_of` says; also one that must be for what another document has there.
        """
        key = fields, told
        if key not in self._depending:
            depending = (each.depends_on(fields) or each.leaves_on(told) is None for each in self._detections)
            bits = sum(1 << number for number, depends in enumerate(depending) if depends)
            self._depending[key] = bits, self._index.without(fields)
        bits, index = self._depending[key]
        return bool(index.candidates(document) & bits)

    def said_of(self, fields: frozenset[str], document: Document) -> tuple[object, ...] | None:
        """What the detectors ask of these fields, and what that says of a document that has no others: where it is the
        same of two, they find the same in documents that differ in these alone. None where they ask too much.
        """
        if fields not in self._asking:
            found = [each.leaves_on(fields) or () for each in self._detections]
            self._asking[fields] = [leaf for leaves in found for leaf in leaves]
        asking = self._asking[fields]
        if len(asking) > _MOST_ASKED:
            return None
        return *self._index.said_of(fields, document), *(leaf(document) for leaf in asking)

    def admit(self, number: int, alert: Document, document: Document) -> Document | None:
        """An alert that was found, if it was not given before and no group takes it in."""
        if not self.is_new(alert["kibana"]["alert"]["uuid"]):
            return None
        return self.groups.judge(alert, document, self._detections[number].detector)

    def source_complete(self, source: str) -> None:
        """Tells every detector that a source has ended."""
        for detection in self._detections:
            detection.source_complete(source)

    def close(self) -> None:
        """Ends every detector."""
        for detection in self._detections:
            detection.close()

    def is_new(self, uuid: str) -> bool:
        """Whether an alert of this uuid is given for the first time."""
        # Half of the digest is plenty for telling alerts of one run apart, and half the memory.
        is_new = self._given.add(bytes.fromhex(uuid[:32]))
        self.repeated += not is_new
        return is_new
