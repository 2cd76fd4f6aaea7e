"""The streaming engine: each document at once, each alert once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence

from sockwarden.detect.detectors import Detection, ExceptedError, OutsideIndexError
from sockwarden.detect.index import Index
from sockwarden.detect.suppression import StreamGroups
from sockwarden.document import Document
from sockwarden.signatures import SignatureEventError

_MOST_MESSAGES = 20
MOST_REMEMBERED = 1 << 20
"""Alerts remembered, some 200 bytes each, so that a copy of a document makes none again."""


class Engine:
    """Judges documents by every detector that they may concern, in the detectors' order.

    most_remembered  a copy of a document that comes after so many alerts makes its own again
    documents  judged
    asked      detectors that were asked about them
    repeated   alerts not given again, since the same document came before (a copy of a log, say)
    excepted   matches that an exception item held back, by rule and item
    errors     documents that a signature could not judge, by its message
    groups     suppression: matches that an earlier alert took in
    outside    matches left out since the document lies in an index that the rule does not name, by message
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
        self._most_remembered = most_remembered
        self.groups = groups or StreamGroups()
        self._given: OrderedDict[bytes, None] = OrderedDict()
        self.documents = 0
        self.asked = 0
        self.repeated = 0
        self.errors: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self.excepted: Counter[str] = Counter()

    def judge(self, document: Document) -> Iterator[Document]:
        """The alerts of one document that were not given before."""
        self.documents += 1
        candidates = self._index.candidates(document)
        while candidates:
            first = candidates & -candidates
            candidates ^= first
            detection = self._detections[first.bit_length() - 1]
            self.asked += 1
            try:
                for alert in detection.judge(document):
                    if not self._is_new(alert):
                        continue
                    if (kept := self.groups.judge(alert, document, detection.detector)) is not None:
                        yield kept
            except SignatureEventError as error:
                self.errors[error.what] += 1
            except ExceptedError as error:
                self.excepted[str(error)] += 1
            except OutsideIndexError as error:
                # The index is the input's to choose, and so may be a new one in every document.
                known = str(error) in self.outside or len(self.outside) < _MOST_MESSAGES
                self.outside[str(error) if known else "Further indices that no rule names"] += 1

    def source_complete(self, source: str) -> None:
        """Tells every detector that a source has ended."""
        for detection in self._detections:
            detection.source_complete(source)

    def close(self) -> None:
        """Ends every detector."""
        for detection in self._detections:
            detection.close()

    def _is_new(self, alert: Document) -> bool:
        # Half of the digest is plenty for telling alerts of one run apart, and half the memory.
        key = bytes.fromhex(alert["kibana"]["alert"]["uuid"][:32])
        if key in self._given:
            self.repeated += 1
            return False
        self._given[key] = None
        if len(self._given) > self._most_remembered:
            self._given.popitem(last=False)
        return True
