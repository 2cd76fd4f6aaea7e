"""`sockwarden stories` as people start it: what a run kept, escaped, with the way to more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from story_documents import document_of

from sockwarden.alerts import Detector, build
from sockwarden.cli.main import cli
from sockwarden.cli.watch import watch
from sockwarden.settings import Config
from sockwarden.store import Store
from sockwarden.store.stories import story_row
from sockwarden.stories import Stories


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["stories", *arguments], env={"COLUMNS": "100"})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    stories = Stories("boot", reads=True)
    create = {"risk": "critical", "operation": "container-create", "summary": "create web\x1b[2J", "reasons": ["x\x07"]}
    for document in (
        document_of(0, executable="/usr/bin/cu\x1b[31mrl", login=("1000", 3)),
        document_of(1, executable="/usr/bin/cu\x1b[31mrl", login=("1000", 3), asked=create),
        document_of(3600, container="c0ffee"),
    ):
        stories.take(document, [], 0)
    with Store(tmp_path, create=True) as store:
        store.stories.write([story_row(story) for story in stories.changed()])
    return tmp_path


def test_list(state: Path) -> None:
    everything = run("list", "--state", str(state))
    assert everything.exit_code == 0 and "\x1b[2J" not in everything.output and "\x1b[31m" not in everything.output
    assert [line.split()[3] for line in everything.output.splitlines()[1:] if "2026" in line] == ["low", "critical"]
    assert "/usr/bin/cu\\x1b[31mrl 4711 → docker: create web\\x1b[2J" in everything.output
    high = run("list", "--state", str(state), "--level", "high", "--json")
    assert [json.loads(line)["level"] for line in high.output.splitlines()] == ["critical"]
    since = run("list", "--state", str(state), "--since", "2026-11-18T11:30:00", "--json")
    assert [json.loads(line)["kind"] for line in since.output.splitlines()] == ["container"]
    assert "no stories" in run("list", "--state", str(state), "--since", "2027-01-01").output


def test_show(state: Path) -> None:
    story = json.loads(run("list", "--state", str(state), "--level", "high", "--json").output)
    shown = run("show", story["id"][:7], "--state", str(state))
    assert shown.exit_code == 0 and "\x1b" not in shown.output and "\x07" not in shown.output
    for text in (
        f"▲ critical  story {story['id'][:8]}  /usr/bin/cu\\x1b[31mrl 4711 asked docker",
        "because: x\\x07",
        "actor     a session",
        "in all    1 access, 1 request",
        "create web\\x1b[2J  " + story["asked"][0]["access"][:8],
        "sockwarden accesses show ID",
    ):
        assert text in shown.output
    assert json.loads(run("show", story["id"], "--state", str(state), "--json").output) == story


def test_an_alert_says_to_which_story_it_belongs(state: Path) -> None:
    document = document_of()
    alert = build(document, Detector("r", "R", "high", 73, "1", [], {}), view=None)
    alert["sockwarden"] |= {"story": {"id": "abcdef0123"}, "alert": {"raised_from": "medium"}}
    with Store(state, create=False) as store:
        store.add([alert])
    shown = CliRunner().invoke(cli, ["alerts", "show", alert["kibana"]["alert"]["uuid"], "--state", str(state)])
    assert "sockwarden stories show abcdef01" in shown.output
    assert "from medium, by what was asked over the connection" in shown.output


def test_what_goes_to_people_can_be_chosen() -> None:
    assert Config().watch.notify == "graded"
    (option,) = [one for one in watch.params if one.name == "notify"]
    assert list(getattr(option.type, "choices", ())) == ["graded", "all"]
