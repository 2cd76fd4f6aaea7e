"""The user's rules folder: what is wrong in one file keeps nothing from the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockwarden.errors import InputError
from sockwarden.rules import Folder, load_packaged

RULE = """
[rule]
description = "A description."
name = "{name}"
rule_id = "{rule_id}"
type = "query"
language = "kuery"
index = ["logs-*"]
severity = "low"
risk_score = 21
query = 'event.action:"connected-to"'
{more}
"""
LIST = """
list_id = "{list_id}"
name = "A list"
applies_to = {applies_to}
[[item]]
name = "Backups"
item_id = "i"
[[item.entries]]
field = "user.id"
operator = "included"
type = "list"
list = {{ id = "users", type = "keyword" }}
"""
ACCESS = {"event": {"action": "connected-to"}, "user": {"id": "7"}}


def write(folder: Path, name: str, number: int, more: str = "") -> None:
    rule_id = f"00000000-0000-4000-8000-{number:012}"
    (folder / f"{name}.toml").write_text(RULE.format(name=name, rule_id=rule_id, more=more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("exceptions", "lists"):
        (tmp_path / "rules" / name).mkdir(parents=True)
    return tmp_path / "rules"


def test_there_may_be_no_folder(tmp_path: Path) -> None:
    content = Folder(tmp_path / "none").load()
    assert not content.rules
    assert not content.errors


def test_exceptions_reach_the_rules_that_name_them_and_those_they_name(folder: Path) -> None:
    write(folder, "naming", 1, 'exceptions_list = [{ list_id = "mine", type = "detection" }]')
    write(folder, "named", 2)
    write(folder, "neither", 3)
    (folder / "exceptions" / "a.toml").write_text(LIST.format(list_id="mine", applies_to='["NAMED"]'))
    (folder / "lists" / "users").write_text("6\n7\n")
    content = Folder(folder).load()
    assert not content.errors
    rules, errors = content.with_exceptions(content.rules)
    assert not errors
    excepted = {rule.stem: rule.excepted(ACCESS, 0) for rule in rules}
    assert {stem: item and item.name for stem, item in excepted.items()} == {
        "naming": "Backups",
        "named": "Backups",
        "neither": None,
    }


def test_a_packaged_rule_gets_exceptions_without_being_edited(folder: Path) -> None:
    packaged = load_packaged()
    applies_to = f'["{packaged[0].rule_id}"]'
    (folder / "exceptions" / "a.toml").write_text(LIST.format(list_id="mine", applies_to=applies_to))
    (folder / "lists" / "users").write_text("7")
    rules, _ = Folder(folder).load().with_exceptions(packaged)
    assert [len(rule.exceptions) for rule in rules] == [1] + [0] * (len(packaged) - 1)


def test_a_broken_value_list_is_one_error_and_stops_only_its_rules(folder: Path) -> None:
    write(folder, "naming", 1, 'exceptions_list = [{ list_id = "mine", type = "detection" }]')
    write(folder, "other", 2)
    (folder / "exceptions" / "a.toml").write_text(LIST.format(list_id="mine", applies_to="[]"))
    content = Folder(folder).load()
    (error,) = content.errors
    assert "users: cannot read the value list" in str(error)
    rules, errors = content.with_exceptions(content.rules)
    assert [rule.stem for rule in rules] == ["other"]
    assert "the rule 'naming' is not run" in str(errors[0])


def test_a_list_that_is_not_there(folder: Path) -> None:
    write(folder, "naming", 1, 'exceptions_list = [{ list_id = "gone", type = "detection" }]')
    content = Folder(folder).load()
    rules, errors = content.with_exceptions(content.rules)
    assert not rules
    assert "there is no exception list 'gone'" in str(errors[0])


def test_bad_files_keep_nothing_from_the_others(folder: Path) -> None:
    write(folder, "good", 1)
    write(folder, "twin", 1)
    write(folder, "other", 2)
    (folder / "bad.toml").write_text("[rule")
    (folder / "exceptions" / "bad.toml").write_text("= 1")
    content = Folder(folder).load()
    assert [rule.stem for rule in content.rules] == ["good", "other"]
    assert [Path(error.where).name for error in content.errors] == ["bad.toml", "twin.toml", "bad.toml"]


def test_a_rule_replaces_the_packaged_one_with_its_id(folder: Path) -> None:
    packaged = load_packaged()
    text = RULE.format(name="Mine", rule_id=packaged[0].rule_id, more="")
    (folder / "mine.toml").write_text(text)
    rules, notes = Folder(folder).load().over(packaged)
    assert [rule.stem for rule in rules] == [*(rule.stem for rule in packaged[1:]), "mine"]
    assert notes == [f"the packaged rule {packaged[0].stem} is replaced by mine.toml of the rules folder"]


def test_what_changed_is_seen(folder: Path) -> None:
    write(folder, "one", 1)
    place = Folder(folder)
    place.load()
    assert not place.changed()
    for change in (
        lambda: write(folder, "two", 2),
        lambda: (folder / "lists" / "users").write_text("7"),
        lambda: (folder / "two.toml").replace(folder / "one.toml"),
        (folder / "one.toml").unlink,
    ):
        change()
        assert place.changed()
        place.load()
        assert not place.changed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to lose")
@pytest.mark.parametrize("part", [".", "exceptions", "lists"])
def test_root_does_not_read_a_folder_that_others_may_change(folder: Path, part: str) -> None:
    (folder / part).chmod(0o777)
    with pytest.raises(InputError, match="others than root may change the rules folder"):
        Folder(folder).load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to lose")
def test_root_does_not_read_a_file_that_others_may_change(folder: Path) -> None:
    write(folder, "open", 1)
    write(folder, "closed", 2)
    (folder / "open.toml").chmod(0o666)
    content = Folder(folder).load()
    assert [rule.stem for rule in content.rules] == ["closed"]
    assert "others than root may change the rule" in str(content.errors[0])
