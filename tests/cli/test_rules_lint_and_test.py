"""`sockwarden rules lint` and `sockwarden rules test` as people start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
LINT = Path(__file__).parents[1] / "rules" / "lint"
CLEAN = (LINT / "clean.toml").read_text("utf-8")
QUERY = "host.os.type:linux and event.category:process and process.executable:/dev/shm/*"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, "rules", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=60,
        check=False,
    )


def test_lint_of_what_is_packaged_is_quiet() -> None:
    result = run("lint")
    assert (result.returncode, result.stdout) == (0, "")
    assert "rule files: nothing found" in result.stderr


def test_lint_tells_file_line_column_and_shows_the_place(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CLEAN.replace("risk_score = 47", "risk_score = 99"))
    result = run("lint", "mine.toml", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "mine.toml:20:1: error risk-score-band: a risk score of 99 is critical, and the severity is medium",
        "    risk_score = 99",
        "    ^",
        '    Write a score from 22 to 47, or severity = "critical".',
    ]
    assert result.stderr.strip() == "1 rule file: 1 error"


def test_lint_of_a_folder_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CLEAN)
    (tmp_path / "b.toml").write_text(CLEAN.replace("[rule]", "[rul]"))
    (tmp_path / "c.txt").write_text("no rule")
    result = run("lint", "--json", str(tmp_path))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1 and rows
    assert {row["code"] for row in rows} == {"not-a-rule"} and {row["file"] for row in rows} == {
        str(tmp_path / "b.toml")
    }
    assert rows[0].keys() == {"file", "line", "column", "code", "severity", "message", "todo"}


def test_lint_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(CLEAN.replace("risk_score = 47", "risk_score = 99"))
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    result = run("lint", "missing.toml", "b.toml", "c.toml", cwd=tmp_path)
    assert result.returncode == 3
    assert "missing.toml:1:1: error not-readable: cannot read the rule: No such file" in result.stdout
    assert "c.toml:1:1: error not-readable: not a text in UTF-8" in result.stdout
    assert "b.toml:20:1: error risk-score-band" in result.stdout


def test_what_others_wrote_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(CLEAN.replace('"OS: Linux",', '"OS: Linux\\u001b[2J", "OS: Linux\\u001b[2J",'))
    for command in ("lint", "test"):
        result = run(command, "x.toml", cwd=tmp_path)
        assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("command", ["lint", "test"])
def test_names_and_wrong_ones(command: str, tmp_path: Path) -> None:
    assert run(command, "audit-records-lost").returncode == 0
    wrong = run(command, "audit-record-lost")
    assert wrong.returncode == 2 and "audit-records-lost" in wrong.stderr
    empty = run(command, str(tmp_path))
    assert empty.returncode == 2 and "holds no rule file" in empty.stderr


def test_the_page_names_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    listed = run("lint", "--codes").stdout.splitlines()[1:]
    codes = [line.split()[0] for line in listed if line.strip() and not line.startswith("     ")]
    assert len(codes) > 45
    assert [code for code in codes if f"`{code}`" not in page] == []


def test_test_of_what_is_packaged_passes() -> None:
    result = run("test")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "38 of 38 passed" in result.stdout
    assert result.stderr == ""


def case(name: str, *, match: bool, executable: str) -> str:
    process = {"executable": executable}
    document = {"host": {"os": {"type": "linux"}}, "event": {"category": ["process"]}, "process": process}
    return json.dumps({"name": name, "match": match, "document": document})


def test_a_case_that_fails_is_shown_with_what_decided(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CLEAN)
    cases = [
        case("in shared memory", match=True, executable="/dev/shm/x"),  # noqa: S108 - a document's
        case("deep", match=True, executable="/dev/x"),
    ]
    (tmp_path / "mine.cases.ndjson").write_text("\n".join(cases))
    result = run("test", "mine.toml", cwd=tmp_path)
    assert result.returncode == 1
    assert "1 of 2 passed" in result.stdout
    assert "mine: deep (case) must match and does not" in result.stdout
    assert "process.executable:/dev/shm/* does not hold; found: /dev/x" in result.stdout
    (row,) = [json.loads(line) for line in run("test", "--json", "mine.toml", cwd=tmp_path).stdout.splitlines()]
    assert row["cases"] == {"passed": 1, "total": 2}
    (failure,) = row["failures"]
    assert (failure["name"], failure["must_match"], failure["generated"]) == ("deep", True, False)
    assert failure["decided_by"][0]["values"] == ["/dev/x"]


def test_a_branch_that_no_case_meets_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CLEAN.replace(QUERY, f"{QUERY} and not process.name:known"))
    (tmp_path / "mine.cases.ndjson").write_text(case("a", match=True, executable="/dev/shm/x"))  # noqa: S108
    result = run("test", "mine.toml", cwd=tmp_path)
    assert result.returncode == 0
    assert "mine: in no case holds not process.name:known" in result.stderr


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CLEAN)
    (tmp_path / "a.cases.ndjson").write_text("no case\n")
    (tmp_path / "b.toml").write_text(CLEAN.replace("[rule]", "[rul]"))
    (tmp_path / "c.toml").write_text(CLEAN)
    result = run("test", str(tmp_path))
    assert result.returncode == 3
    assert "a.cases.ndjson: cannot be used as a rule's cases" in result.stderr and "line 1" in result.stderr
    assert "b.toml: cannot be used as a rule" in result.stderr
    assert " c " in result.stdout
