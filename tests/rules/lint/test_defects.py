"""Each defects/NAME.toml has one thing wrong; its first lines say what lint must find: exactly that, at these lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockwarden.rules.lint import CODES, lint

HERE = Path(__file__).parent
DEFECTS = sorted((HERE / "defects").glob("*.toml"))
_EXPECTED = re.compile(r"^# expect: (\S+) at line (\d+)$", re.MULTILINE)


def found_in(path: Path) -> list[tuple[str, int]]:
    return sorted((finding.code, finding.line) for finding in lint([(path.name, path.read_text("utf-8"))]))


@pytest.mark.parametrize("path", DEFECTS, ids=lambda path: path.stem)
def test_a_defect_is_named_at_its_line(path: Path) -> None:
    expected = [(code, int(line)) for code, line in _EXPECTED.findall(path.read_text("utf-8"))]
    assert expected and found_in(path) == sorted(expected)


def test_a_clean_rule_gives_nothing() -> None:
    assert found_in(HERE / "clean.toml") == []


def test_every_code_has_a_defect() -> None:
    named = {code for path in DEFECTS for code, _ in _EXPECTED.findall(path.read_text("utf-8"))}
    assert named | {"duplicate-rule-id", "duplicate-name", "not-readable"} == CODES.keys()
