"""Each broken/NAME.toml is refused with exactly the words in broken/NAME.txt.

REWRITE_GOLDEN=1 writes the words anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockwarden.errors import RuleError
from sockwarden.rules import load_rule
from sockwarden.rules.elastic import OTHER_TYPES

BROKEN = Path(__file__).parent / "broken"
RULES = sorted(BROKEN.glob("*.toml"))


@pytest.mark.parametrize("rule", RULES, ids=lambda path: path.stem)
def test_a_broken_rule_is_refused_with_these_words(rule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    with pytest.raises(RuleError) as refused:
        load_rule(Path(rule.name))
    told = f"{refused.value}\n"
    golden = rule.with_suffix(".txt")
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(told, "utf-8")
    assert told == golden.read_text("utf-8")


def test_no_words_are_left_without_their_rule() -> None:
    assert {path.stem for path in BROKEN.iterdir()} == {path.stem for path in RULES}
    assert {path.suffix for path in BROKEN.iterdir()} == {".toml", ".txt"}


@pytest.mark.parametrize("other", OTHER_TYPES)
def test_other_rule_types_are_refused_by_name(other: str, tmp_path: Path) -> None:
    path = tmp_path / "rule.toml"
    path.write_text(f'[rule]\nname = "A name"\ntype = "{other}"\n')
    with pytest.raises(RuleError) as refused:
        load_rule(path)
    assert refused.value.why == f"line 3: type {other} is not run here; only query"
