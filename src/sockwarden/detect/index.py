"""Which of many detectors a document may concern: one look at a field serves all that require something of it.

A set of detectors is a number with a bit for each. Of what a detector requires, its best requirement of each single
field counts; one that several fields may satisfy leaves it in. Who is left out could not match; who is not, may.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy

from sockwarden.document import Document
from sockwarden.literals import Alternative, Requirement

_MOST_TEXTS = 4096
_MOST_TEXT = 512
"""Texts of a field whose detectors are kept, and the longest; documents may bring any number of new ones."""
_ANY = -1
"""Every detector: all bits."""


class Index:
    """The index of detectors, each given by what it requires; a detector's bit is its place.

    The fields that tell most are looked at first, and one is left out when nobody is left whom it concerns.
    """

    def __init__(self, required: Sequence[tuple[Requirement, ...]]) -> None:
        self._everybody = (1 << len(required)) - 1
        best = [_best_by_field(requirements) for requirements in required]
        fields = [_Field(name, {bit: by[name] for bit, by in enumerate(best) if name in by}) for name in _chosen(best)]
        self._fields = sorted(fields, key=lambda field: field.tells, reverse=True)
        self._within: dict[frozenset[str], list[_Field]] = {}

    def candidates(self, document: Document) -> int:
        """The detectors that the document may concern."""
        left = self._everybody
        for field in self._fields:
            if left & field.concerned:
                left &= field.satisfied_by(document)
        return left

    def said_of(self, fields: frozenset[str], document: Document) -> tuple[int, ...]:
        """Whom a document may concern by what it has in these fields alone, as far as any of them is looked at."""
        if fields not in self._within:
            self._within[fields] = [field for field in self._fields if any(map(field.is_within, fields))]
        return tuple([field.satisfied_by(document) for field in self._within[fields]])

    def without(self, fields: Collection[str]) -> Index:
        """This index, but for what it looks at in any of these fields: whom a document may concern whatever it has
        there.
        """
        other = copy(self)
        other._within = {}
        other._fields = [field for field in self._fields if not any(map(field.is_within, fields))]
        return other


def _best_by_field(required: tuple[Requirement, ...]) -> dict[str, Requirement]:
    """Of each field, the requirement that tells most."""
    best: dict[str, Requirement] = {}
    for asked in sorted(required, key=lambda asked: min((len(one.text) for one in asked), default=0)):
        if len(fields := {one.field for one in asked}) == 1:
            best[fields.pop()] = asked
    return best


def _chosen(best: Sequence[dict[str, Requirement]]) -> list[str]:
    """The fields to look at: those that concern several detectors, and the best one of a detector that has none of
    them. To look at a field for one detector alone costs what asking that detector does.
    """
    concerned = [name for by in best for name in by]
    chosen = {name: True for name in concerned if concerned.count(name) > 1}
    for by in best:
        if by and chosen.keys().isdisjoint(by):
            chosen[list(by)[-1]] = True
    return list(chosen)


class _Field:
    """What one field says of the detectors that it concerns.

    concerned  those that require something of it
    tells      how many it leaves out of a document, roughly
    """

    def __init__(self, name: str, by_detector: dict[int, Requirement]) -> None:
        self._name = name
        self._parts = name.split(".")
        self.concerned = sum(1 << bit for bit in by_detector)
        asked: dict[Alternative, int] = {}
        for bit, requirement in by_detector.items():
            for one in requirement:
                asked[one] = asked.get(one, 0) | 1 << bit
        self.tells = len(by_detector) * (1 - 1 / len(asked))
        self._absent = ~self.concerned
        self._present = self._absent
        for one, bits in asked.items():
            self._present |= 0 if one.text else bits
        self._whole: dict[str, int] = {}
        for one, bits in asked.items():
            if one.whole:
                self._whole[one.text] = self._present | bits
        self._pieces = [(one.text, bits) for one, bits in asked.items() if one.text and not one.whole]
        self._known: dict[str, int] = {}

    def is_within(self, field: str) -> bool:
        """Whether it is a field or a part of it, or that a part of it."""
        return f"{self._name}.".startswith(f"{field}.") or f"{field}.".startswith(f"{self._name}.")

    def satisfied_by(self, document: Document) -> int:
        """The detectors whose requirement the document's values satisfy, and those without one."""
        value: object = document
        for part in self._parts:
            if type(value) is not dict:
                return self._absent if value is None else _ANY
            value = value.get(part)
        if type(value) is str:
            return self._of_text(value)
        if type(value) is list:
            satisfied = self._absent
            for element in value:
                if type(element) is not str:
                    return _ANY
                satisfied |= self._of_text(element)
            return satisfied
        return self._absent if value is None else _ANY

    def _of_text(self, text: str) -> int:
        if not self._pieces:
            return self._whole.get(text, self._present)
        satisfied = self._known.get(text)
        if satisfied is None:
            satisfied = self._whole.get(text, self._present)
            for piece, bits in self._pieces:
                if piece in text:
                    satisfied |= bits
            if len(text) <= _MOST_TEXT:
                if len(self._known) >= _MOST_TEXTS:
                    self._known.clear()
                self._known[text] = satisfied
        return satisfied
