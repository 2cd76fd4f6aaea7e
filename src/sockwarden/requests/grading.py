"""How much a request exposes, with reasons. The data is content/grading.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec

from sockwarden.content import packaged
from sockwarden.document import get
from sockwarden.kql import TypeTable, compile_query, parse
from sockwarden.requests.operations import RISKS, Risk, operation_of

_Predicate = Callable[[dict[str, Any]], bool]
_UNTYPED = TypeTable({})
_MOST_SHOWN = 3


class Grade(msgspec.Struct, frozen=True):
    """A verdict. reasons are slugs, texts the same for people, in the order of the data; techniques are ATT&CK's."""

    risk: Risk
    reasons: list[str]
    texts: list[str]
    techniques: list[str]


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str
    text: str
    when: str
    risk: Risk = "low"
    technique: tuple[str, ...] = ()
    each: tuple[str, ...] = ()


class _Adjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str
    text: str
    when: str
    cap: Risk | None = None
    step: bool = False
    floor: Risk | None = None
    technique: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    grade: tuple[_Rule, ...]
    adjustment: tuple[_Adjustment, ...]


class _Compiled(NamedTuple):
    rules: list[tuple[_Rule, _Predicate]]
    adjustments: list[tuple[_Adjustment, _Predicate]]


def grade(request: dict[str, Any], actor: dict[str, Any]) -> Grade:
    """The verdict on a request, in the shape of sockwarden.request, by an actor, in that of sockwarden.actor.

    Values of a wrong type match nothing; an operation that is not in the catalogue counts as unknown.
    """
    operation = operation_of(str(request.get("operation")))
    risk = RISKS.index(operation.risk)
    reasons, texts, techniques = _Unique(), _Unique(), _Unique(operation.technique)
    if risk:
        reasons.add(operation.name)
        texts.add(operation.exposes)
    document = {"request": request, "actor": actor}
    compiled = _compiled()
    for rule, predicate in compiled.rules:
        shown = _matching(rule, predicate, document)
        if shown is not None:
            risk = max(risk, RISKS.index(rule.risk))
            reasons.add(rule.reason)
            texts.add(rule.text.replace("{}", shown))
            techniques.add(*rule.technique)
    for adjustment, predicate in compiled.adjustments:
        if predicate(document):
            adjusted = _adjusted(risk, adjustment)
            if adjusted != risk or adjustment.cap:
                reasons.add(adjustment.reason)
                texts.add(adjustment.text)
                techniques.add(*adjustment.technique)
            risk = adjusted
    return Grade(RISKS[risk], [*reasons], [*texts], [*techniques])


def _matching(rule: _Rule, predicate: _Predicate, document: dict[str, Any]) -> str | None:
    """The values that match, as a text; None where nothing does."""
    if not rule.each:
        return "" if predicate(document) else None
    found = [value for value in _values(rule.each, document) if predicate({**document, "value": value})]
    if not found:
        return None
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more


def _values(fields: tuple[str, ...], document: dict[str, Any]) -> Iterator[str]:
    for field in fields:
        value = get(document, field)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield one


def _adjusted(risk: int, adjustment: _Adjustment) -> int:
    if adjustment.cap:
        risk = min(risk, RISKS.index(adjustment.cap))
    if adjustment.step and risk >= RISKS.index("medium"):
        risk = min(risk + 1, len(RISKS) - 1)
    return max(risk, RISKS.index(adjustment.floor)) if adjustment.floor else risk


class _Unique(dict[str, None]):
    """Texts in order, each once."""

    def __init__(self, texts: tuple[str, ...] = ()) -> None:
        super().__init__(dict.fromkeys(texts))

    def add(self, *texts: str) -> None:
        self.update(dict.fromkeys(texts))


@cache
def _compiled() -> _Compiled:
    file = msgspec.toml.decode(packaged("grading.toml").read_bytes(), type=_File)
    return _Compiled(
        [(rule, _predicate(rule.when)) for rule in file.grade],
        [(adjustment, _predicate(adjustment.when)) for adjustment in file.adjustment],
    )


def _predicate(query: str) -> _Predicate:
    return compile_query(parse(query.strip()), types=_UNTYPED)
