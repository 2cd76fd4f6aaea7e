"""Which rules run: the packaged ones, the folder's, without those that are disabled or lack their exceptions."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sockwarden.cli.config import check
from sockwarden.cli.detections import Known, chosen, configured, find, known_of
from sockwarden.detect import RuleDetection
from sockwarden.errors import InputError, RuleError, UsageError
from sockwarden.rules import Rule
from sockwarden.settings import Config
from sockwarden.settings.load import parse_config

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

LIST = """
list_id = "a"
name = "A"
applies_to = ["mine"]

[[item]]
item_id = "i"
name = "I"

[[item.entries]]
field = "user.id"
operator = "included"
type = "exists"
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


def test_a_file_that_breaks_goes_on_with_what_it_held(known: Known, told: list[str], tmp_path: Path) -> None:
    mine, exceptions = tmp_path / "mine.toml", tmp_path / "exceptions" / "a.toml"
    exceptions.write_text(LIST)
    known.load()
    for file, name in ((mine, "mine.toml"), (exceptions, "a.toml")):
        sound = file.read_text()
        file.write_text(sound + "\nbroken")
        assert known.changed()
        known.load()
        (rule,) = (one.rule for one in chosen((), known) if isinstance(one, RuleDetection) and one.rule.stem == "mine")
        assert [item.name for item in rule.exceptions] == ["I"]
        assert name in told[-1] and "stays in force" in told[-1]
        file.write_text(sound)
    mine.unlink()
    known.load()
    assert "Mine" not in names(known)


def test_a_new_mode_is_a_change(known: Known, tmp_path: Path) -> None:
    assert not known.changed()
    (tmp_path / "mine.toml").chmod(0o600)
    assert known.changed()


def test_a_list_for_nobody_is_told(known: Known, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "exceptions" / "a.toml").write_text(LIST.replace("mine", "nobody"))
    known.load()
    assert told == ["the exception list 'a' is for 'nobody', which is no rule's id, name or file stem"]
    assert "Mine" in names(known)


def test_an_exception_that_has_ended_is_told_once(known: Known, told: list[str], tmp_path: Path) -> None:
    ended = LIST.replace('item_id = "i"', 'item_id = "i"\nexpire_time = "2026-01-01T00:00:00Z"')
    (tmp_path / "exceptions" / "a.toml").write_text(ended)
    known.load()
    assert "Mine" in names(known)
    known.tell_expired()
    assert told == ["the exception 'I' of a ended at 2026-01-01T00:00:00Z and applies no more"]


def test_config_check_fails_on_what_is_wrong_in_the_folder(known: Known, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f'[rules]\nfolder = "{tmp_path}"\n')
    assert CliRunner().invoke(check, [str(config)]).exit_code == 0
    (tmp_path / "mine.toml").write_text(RULE + 'exceptions_list = [{ list_id = "gone" }]\n')
    result = CliRunner().invoke(check, [str(config)])
    assert isinstance(result.exception, InputError)
    assert "no exception list 'gone'" in result.stderr


def test_the_settings_name_the_folder(known: Known, tmp_path: Path) -> None:
    def run(text: str) -> set[str]:
        config: Config = parse_config(text, Path("config.toml")).config
        return {one.detector.name for one in configured(config, known_of(config))}

    assert "Mine" in run(f'[rules]\nfolder = "{tmp_path}"\n')
    assert "Mine" not in run(f'[rules]\nfolder = "{tmp_path}"\ndisable = ["mine"]\n')
    assert run(f'[rules]\nfolder = "{tmp_path}"\nenable = ["mine"]\n') == {"Mine"}
    assert "Mine" not in run('[rules]\nfolder = ""\n')
