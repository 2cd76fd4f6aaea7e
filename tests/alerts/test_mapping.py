"""Severity, risk score and name as a document decides them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.alerts import Detector, build

CASES = tomllib.loads((Path(__file__).parent / "mappings.toml").read_text())["case"]
RULE = Detector("rule-1", "A Rule", "medium", 47, "1", [], {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_mapping(case: dict[str, Any]) -> None:
    detector = msgspec.structs.replace(
        RULE,
        severity_mapping=tuple(map(tuple, case.get("severity_mapping", ()))),
        risk_score_mapping=tuple((*one, None)[:3] for one in case.get("risk_score_mapping", ())),
        rule_name_override=case.get("rule_name_override", ""),
    )
    signal = build({"_id": "a", **case["document"]}, detector, view=None)["kibana"]["alert"]
    expected = (case.get("severity", "medium"), case.get("risk_score", 47), case.get("name", "A Rule"))
    assert (signal["severity"], signal["risk_score"], signal["rule"]["name"]) == expected
    assert (signal["rule"]["severity"], signal["rule"]["risk_score"]) == ("medium", 47)
    assert signal["reason"].endswith(f": {expected[0]} alert {expected[2]}")
