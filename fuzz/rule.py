"""Rule files in Elastic's TOML format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from fuzz.hunting import show
from fuzz.kql import witness
from fuzz.properties import is_safe, satisfies

from sockwarden.alerts import build
from sockwarden.content import packaged
from sockwarden.detect import RuleDetection
from sockwarden.errors import RuleError
from sockwarden.rules import Rule, parse_rule
from sockwarden.rules.files import MAX_BYTES

LONGEST = 12288

_BROKEN = Path(__file__).parents[1] / "tests" / "rules" / "broken"


def seeds() -> Iterator[bytes]:
    """The rules that come with sockwarden, and the broken ones of the tests."""
    for file in (*packaged("rules").iterdir(), *_BROKEN.glob("*.toml")):
        if file.name.endswith(".toml"):
            yield file.read_bytes()


def check(data: bytes) -> None:
    """A text is a rule that judges documents and makes alerts, or a list of its errors."""
    try:
        rule = parse_rule(data.decode("utf-8", "replace"), "fuzz.toml")
    except RuleError as error:
        assert len(data) <= MAX_BYTES and len(str(error)) < 100_000
        assert all(map(is_safe, str(error).split("\n"))), str(error)
        return
    _judges(rule)


def _judges(rule: Rule) -> None:
    parameters = rule.parameters()
    assert msgspec.json.decode(msgspec.json.encode(parameters)).keys() == parameters.keys()
    detection = RuleDetection(rule)
    for typed in (False, True):
        document = {"_id": "1", "_index": "sockwarden", "_version": 1, **witness(rule.tree, typed=typed)}
        if rule.matches(document):
            assert satisfies(document, detection.required_literals)
            show(list(detection.judge(document)))
    show([build({}, detection.detector, view=None)])
