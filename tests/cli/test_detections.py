"""Which rules run: the packaged ones, the folder's, without those that are disabled or lack their exceptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockwarden.cli.detections import Known, chosen, configured, find, known_of
from sockwarden.detect import RuleDetection
from sockwarden.errors import RuleError, UsageError
from sockwarden.rules import Rule
from sockwarden.settings import Config, parse_config

RULE = """
[rule]
description = "A description."
name = "Mine"
rule_id = "00000000-0000-4000-8000-000000000001"
type = "query"
language = "kuery"
index = ["logs-*"]
severity = "low"
risk_score = 21
query = 'event.action:"connected-to"'
"""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def known(tmp_path: Path, told: list[str]) -> Known:
    (tmp_path / "exceptions").mkdir()
    (tmp_path / "mine.toml").write_text(RULE)
    return Known(tmp_path, told.append)


def names(known: Known) -> set[str]:
    return {one.detector.name for one in chosen((), known)}


def test_a_bad_file_is_told_once_and_again_when_it_was_well_between(
    known: Known, told: list[str], tmp_path: Path
) -> None:
    everything = names(known)
    assert "Mine" in everything
    bad = tmp_path / "bad.toml"
    for _ in range(2):
        bad.write_text("[rule")
        for _ in range(3):
            known.load()
            assert names(known) == everything
        bad.unlink()
        assert known.changed()
        known.load()
        assert not known.changed()
    assert [text.split(":")[0] for text in told] == [str(bad), str(bad)]


def test_a_disabled_rule_does_not_run_and_that_is_said(known: Known, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RULE + "enabled = false\n")
    known.load()
    assert "Mine" not in names(known)
    assert told == ["the rule 'Mine' is not run: `enabled` is false in mine.toml"]
    with pytest.raises(UsageError, match="there is nothing to run"):
        chosen(["mine"], known)


def test_a_rule_without_its_exceptions_does_not_run(known: Known, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RULE + 'exceptions_list = [{ list_id = "gone", type = "detection" }]\n')
    known.load()
    assert "Mine" not in names(known)
    assert "there is no exception list 'gone'" in told[0]
    with pytest.raises(RuleError, match="no exception list 'gone'"):
        chosen(["mine"], known)


def test_no_way_leads_past_a_broken_list(known: Known, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "exceptions" / "a.toml").write_text('list_id = "a"\nname = "A"\napplies_to = ["mine"]\nitem = 1\n')
    known.load()
    assert "Mine" not in names(known)
    assert len(told) == 2
    (rule,) = find("mine", known)
    assert isinstance(rule, Rule)
    with pytest.raises(RuleError):
        RuleDetection(rule)


def test_the_settings_name_the_folder(known: Known, tmp_path: Path) -> None:
    def run(text: str) -> set[str]:
        config: Config = parse_config(text, Path("config.toml")).config
        return {one.detector.name for one in configured(config, known_of(config))}

    assert "Mine" in run(f'[rules]\nfolder = "{tmp_path}"\n')
    assert "Mine" not in run(f'[rules]\nfolder = "{tmp_path}"\ndisable = ["mine"]\n')
    assert run(f'[rules]\nfolder = "{tmp_path}"\nenable = ["mine"]\n') == {"Mine"}
    assert "Mine" not in run('[rules]\nfolder = ""\n')
