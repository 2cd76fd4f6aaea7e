"""`sockwarden kql`."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
LINES = [
    {"@timestamp": "2026-11-15T10:00:00Z", "process": {"name": "curl", "pid": 7}},
    {"_index": "i", "_id": "1", "_source": {"@timestamp": "2026-11-15T10:00:01Z", "process": {"name": ["sh", "curl"]}}},
    {"@timestamp": "2026-11-15T10:00:02Z", "process.name": "dockerd"},
    {"hits": {"hits": [{"_source": {"process": {"name": "sh"}}}, {"_source": {"process": {"name": "curl"}}}]}},
]
TEXT = [json.dumps(line).encode() for line in LINES]


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, "kql", *arguments], input=stdin, capture_output=True, env=environment, timeout=60, check=False
    )


def test_check() -> None:
    assert run("check", "a:b and c:d").stdout == b"ok\n"
    assert json.loads(run("check", "--ast", "a:b").stdout) == ["is", {"v": "a"}, {"v": "b"}]
    assert run("check", "--normal", "(a : b) OR a:\u202ex").stdout == b"a:(b or \\u202ex)\n"
    assert run("check", "--file", "-", stdin=b"a:b").returncode == 0
    assert run("check", "--file", "-", stdin=b"\xff").returncode == 3


@pytest.mark.parametrize("command", ["check", "dsl", "sql", "match"])
def test_a_query_that_is_none_has_its_caret(command: str) -> None:
    result = run(command, "a:not b", *(["-"] if command == "match" else []))
    assert result.returncode == 3
    assert b"line 1, column 3" in result.stderr
    assert b"  ^" in result.stderr
    assert b"Write: not a:b" in result.stderr


def test_match(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\n".join([TEXT[0], b'{"torn"', TEXT[2]]))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"\n".join([TEXT[1], TEXT[3]])))
    result = run("match", "process.name:c*", str(tmp_path / "a.ndjson"), str(tmp_path / "b.json.gz"))
    assert result.stdout.splitlines() == [TEXT[0], TEXT[1], TEXT[3]]
    assert result.stderr.decode().splitlines() == ["3 of 4 lines match", "1 not read: a line that is no JSON"]
    assert result.returncode == 0
    piped = run("match", "process.name:dockerd", "-", stdin=b"\n".join(TEXT))
    assert piped.stdout.splitlines() == [TEXT[2]]
    assert piped.stderr.splitlines() == [b"1 of 4 line matches"]
    none = run("match", "process.name:none", "-", stdin=TEXT[0])
    assert (none.returncode, none.stdout) == (0, b"")
    missing = run("match", "a:b", str(tmp_path / "none"))
    assert missing.returncode == 3
    assert b"No such file" in missing.stderr


def test_dsl() -> None:
    query = "process.executable:/usr/*"
    assert json.loads(run("dsl", query).stdout)["bool"]["should"] == [
        {"query_string": {"fields": ["process.executable"], "query": r"\/usr\/*"}}
    ]
    assert json.loads(run("dsl", "--types", "ecs", query).stdout)["bool"]["should"] == [
        {"wildcard": {"process.executable": {"value": "/usr/*"}}}
    ]
    refused = run("dsl", "--types", "ecs", "a:b and process.pid:many")
    assert refused.returncode == 3
    assert "Elasticsearch's DSL cannot express `process.pid:many`" in refused.stderr.decode()
    assert "type long" in refused.stderr.decode()


def test_sql() -> None:
    condition = run("sql", "process.name:curl", "--document", 'a"b').stdout.decode()
    with duckdb.connect() as connection:
        for line, verdict in ((TEXT[0], True), (TEXT[2], False)):
            row = connection.execute(f'SELECT {condition} FROM (SELECT ?::JSON AS "a""b")', [line.decode()]).fetchone()  # noqa: S608
            assert row == (verdict,)
    refused = run("sql", "not \x1b[31m and message:x")
    assert refused.returncode == 3
    assert b"\x1b" not in refused.stderr
    assert b"SQL cannot express" in refused.stderr


def test_explain_shows_what_holds_and_why_not(tmp_path: Path) -> None:
    file = tmp_path / "documents.ndjson"
    file.write_text(json.dumps({"@timestamp": "2026-11-25T00:00:00Z", "process": {"name": "cu\x1b[31mrl"}}) + "\n")
    shown = run("explain", "process.name:curl and not process.pid:*", str(file))
    assert shown.returncode == 0
    assert b"no match" in shown.stdout
    assert "✗ process.name:curl  cu\\x1b[31mrl: no value is it" in shown.stdout.decode()
    told = json.loads(run("explain", "process.name:cu*", str(file), "--json").stdout)
    assert (told["matched"], told["field"], told["kind"]) == (True, "process.name", "keyword")
    assert run("explain", "a:b", "-", stdin=b"\n").returncode == 3


def test_a_byte_that_is_no_text_is_no_traceback() -> None:
    checked = run("check", "a: \udcff", "--ast")
    assert checked.returncode == 0 and json.loads(checked.stdout) and b"Traceback" not in checked.stderr
