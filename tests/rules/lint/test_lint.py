"""What lint says of several files, of suppressions and of hostile ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sockwarden.content import packaged
from sockwarden.rules.lint import CODES, Finding, lint
from sockwarden.rules.lint.attack import attack

CLEAN = (Path(__file__).parent / "clean.toml").read_text("utf-8")
QUERY = "host.os.type:linux and event.category:process and process.executable:/dev/shm/*"


def codes(text: str) -> list[str]:
    return [finding.code for finding in lint([("rule.toml", text)])]


def asking(query: str) -> list[Finding]:
    return list(lint([("rule.toml", CLEAN.replace(QUERY, query))]))


def test_nothing_is_found_in_what_is_packaged() -> None:
    files = [file for file in packaged("rules").iterdir() if file.name.endswith(".toml")]
    assert files and [*lint((file.name, file.read_text("utf-8")) for file in files)] == []


def test_what_the_published_rule_suppresses_is_found_without_the_comment() -> None:
    text = (packaged("rules") / "unusual-process-connection-runtime-socket.toml").read_text("utf-8")
    bare = "".join(line for line in text.splitlines(keepends=True) if "# lint:" not in line)
    mapping, finding = lint([("published.toml", bare)])
    assert mapping.code == finding.code == "field-never-carried"
    assert "never carries `sockwarden.request.risk`" in mapping.message
    assert "`auditbeat-*` never carries `destination.address`" in finding.message
    assert finding.shown.splitlines() == ["destination.address:(", "^"]


def test_two_files_of_one_rule() -> None:
    found = list(lint([("a.toml", CLEAN), ("b.toml", CLEAN)]))
    assert [(one.file, one.code) for one in found] == [("b.toml", "duplicate-name"), ("b.toml", "duplicate-rule-id")]
    assert all("a.toml" in one.message for one in found)


def test_a_duplicate_can_be_suppressed_too() -> None:
    text = CLEAN.replace('name = "Prog', '# lint: off duplicate-name: a copy on trial\nname = "Prog')
    found = list(lint([("a.toml", CLEAN), ("b.toml", text)]))
    assert [one.code for one in found] == ["duplicate-rule-id"]


@pytest.mark.parametrize(
    "line",
    [
        "risk_score = 48 # lint: off risk-score-band: on trial",
        "# lint: off risk-score-band: on trial\nrisk_score = 48",
        "# lint: off risk-score-band: on trial\n\n# and another comment\nrisk_score = 48",
        "#lint:off risk-score-band : on trial: for a week",
    ],
)
def test_where_a_suppression_may_stand(line: str) -> None:
    if "48" not in line:
        line += "\nrisk_score = 48"
    assert codes(CLEAN.replace("risk_score = 47", line)) == []


def test_several_codes_in_one_suppression() -> None:
    text = CLEAN.replace(QUERY, "destination.address:* and (destination.address:*)")
    comment = "# lint: off field-never-carried, query-form, redundant-condition: on trial\nquery = "
    assert codes(text.replace("query = ", comment)) == []


def test_a_suppression_in_an_array_is_for_the_next_element() -> None:
    doubled = '  "OS: Linux",\n  # lint: off tag-duplicate: on trial\n  "OS: linux",\n  "OS: LINUX",'
    assert codes(CLEAN.replace('  "OS: Linux",', doubled)) == ["tag-duplicate"]


def test_a_comment_within_a_text_is_none() -> None:
    assert codes(CLEAN.replace("Look at", "# lint: off nothing here: look at")) == []
    assert codes(CLEAN.replace('"Look at the parent first."', '"""\n# lint: nothing\n"""')) == []


def test_above_a_table_a_suppression_is_for_what_the_table_lacks() -> None:
    text = CLEAN.replace('false_positives = ["None is known."]\n', "").replace("risk_score = 47", "risk_score = 48")
    comment = "# lint: off false-positives-missing, risk-score-band: on trial\n[rule]"
    assert sorted(codes(text.replace("[rule]", comment, 1))) == ["risk-score-band", "suppression-unused"]


@pytest.mark.parametrize(
    "query",
    [
        "process.command_line:*a=b* and process.executable:/usr/bin/x",
        'process.args:("a && b" or "--x=y" or "what?" or "a,b")',
        "process.args:--user=root",
        "process.executable:/tmp/ or process.working_directory:/var/lib/",
        "process.name:(an or a) and process.args:or*",
        "process.name:a* and not process.name:ab*",
        "process.executable:(* and not (/usr/bin/a or /usr/bin/b))",
        "process.args:a and process.args:b",
        "event.category:process and event.category:network",
        "process.name:a and process.pid:1 or process.name:b and process.pid:2",
        "source.ip:10.0.0.0/8 and destination.port >= 1024 and @timestamp < now-1d",
        "process.pid:1 or not process.pid:*",
        "auditd.data.anything:x and user.audit.name:root",
        "process.executable.text:sh or _id:x",
        "file.pe.sections:{ name:x }",
    ],
)
def test_what_is_meant_is_not_found(query: str) -> None:
    assert [f"{one.code} {one.message}" for one in asking(query) if one.code not in ("tag-os", "query-form")] == []


def test_on_indices_that_nobody_knows_fields_are_their_owners() -> None:
    text = CLEAN.replace("auditbeat-*", "our-own-*").replace("process.executable", "ours.of_the_shop")
    assert codes(text) == []


def test_an_escaped_query_is_pointed_at_as_a_whole() -> None:
    text = CLEAN.replace(f"'''\n{QUERY}\n'''", '"host.os.type:linux and process.args:\\"*\\""')
    (finding,) = [one for one in lint([("rule.toml", text)]) if one.code == "literal-quoted-star"]
    assert finding.shown.splitlines()[0].startswith("query = ")


def test_line_ends_of_windows_change_no_place() -> None:
    text = CLEAN.replace("risk_score = 47", "risk_score = 48")
    rows = [[one.row() for one in lint([("rule.toml", given)])] for given in (text, text.replace("\n", "\r\n"))]
    assert rows[0] == rows[1] and rows[0]


def test_every_finding_says_what_to_do() -> None:
    for path in (Path(__file__).parent / "defects").glob("*.toml"):
        for finding in lint([(path.name, path.read_text("utf-8"))]):
            assert finding.todo or finding.code == "not-a-rule", path
            assert finding.severity == CODES[finding.code][0]
            assert len(finding.shown.splitlines()) == 2 and finding.shown.isprintable() is False


@pytest.mark.parametrize(
    "query",
    [
        "process.name:(" + " or ".join(f"a{n}" for n in range(20_000)) + ")",
        "process.name:(" + " or ".join(f"a{n}*" for n in range(20_000)) + ")",
        " and ".join(f"not process.name:a{n}*" for n in range(5_000)),
        " and ".join(f"proces.nam{n}:x" for n in range(5_000)),
        "(" * 99 + "process.name:a" + ")" * 99,
        "process.name:" + "=" * 50_000,
        "a" + "=" * 100_000 + " b",
        "process.name:" + "a " * 50_000 + "adn",
        "not (" * 40 + " and ".join("process.name:a" for _ in range(2_000)) + ")" * 40,
    ],
    ids=range(9),
)
def test_a_hostile_query_costs_little(query: str) -> None:
    started = time.process_time()
    asking(query)
    assert time.process_time() - started < 10


def test_hostile_comments_cost_little() -> None:
    text = CLEAN + "\n# lint: off risk-score-band: x" * 20_000 + "\n# lint:" * 20_000
    started = time.process_time()
    assert len(codes(text)) == 400
    assert time.process_time() - started < 10


def test_attack_is_whole() -> None:
    data = attack()
    assert data.version == "17.0" and len(data.tactics) == 14 and len(data.techniques) == 665
    assert all(tactic in data.tactics for _, tactics in data.techniques.values() for tactic in tactics)
    assert all(one.partition(".")[0] in data.techniques for one in data.techniques)
    assert data.techniques["T1611"] == ("Escape to Host", ("TA0004",))
