"""A folder as a source, with real files and the real duckdb."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from sockwarden.errors import InputError
from sockwarden.kql import TypeTable
from sockwarden.readers.folder import Folder
from sockwarden.rules import Rule, parse_rule

TYPES = TypeTable({"process.executable": "keyword", "event.severity": "long", "@timestamp": "date", "message": "text"})
START, END = 1_794_700_800_000, 1_794_787_199_999
"""2026-11-15, the whole day."""


def rule(query: str, **more: Any) -> Rule:
    loaded = parse_rule(
        f"""
[rule]
name = "A rule"
rule_id = "0af7b8a8-2c3b-4a53-9d3c-5b1f7a7c8a01"
description = "d"
author = ["a"]
license = "Apache-2.0"
severity = "low"
risk_score = 21
type = "query"
language = "kuery"
index = ["auditbeat-*"]
query = '''{query}'''
""",
        "rule.toml",
    )
    return replace(loaded, **more)


def document(number: int, executable: Any = "/usr/bin/curl", **more: Any) -> dict[str, Any]:
    return {
        "@timestamp": f"2026-11-15T10:00:{number:02}.000Z",
        "process": {"executable": executable, "pid": number},
        **more,
    }


def write(path: Path, *documents: Any) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in documents), "utf-8")


def pids(folder: Folder, query: str = "process.executable:*curl", **more: Any) -> list[int]:
    return [each["process"]["pid"] for each in folder.search(rule(query, **more), START, END)]


def test_every_kind_of_file_in_one_order(tmp_path: Path) -> None:
    write(tmp_path / "b.ndjson", document(4), document(1), document(2, "/bin/sh"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "it's [1]*?.jsonl.gz").write_bytes(gzip.compress(json.dumps(document(3)).encode()))
    write(tmp_path / "x.tmp", document(5))
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_json('{tmp_path}/x.tmp')) TO '{tmp_path}/p.parquet'")
        connection.execute("CREATE TABLE line AS SELECT ? AS content", [json.dumps(document(5))])
        as_is = "FORMAT csv, COMPRESSION zstd, QUOTE '', ESCAPE '', DELIM '\x01', HEADER false"
        connection.execute(f"COPY line TO '{tmp_path}/z.json.zst' ({as_is})")
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder) == [1, 3, 4, 5, 5]
    assert folder.warnings() == []
    write(tmp_path / "late.json", document(0))
    assert pids(folder) == [0, 1, 3, 4, 5, 5]


def test_documents_are_whole_and_carry_their_identity(tmp_path: Path) -> None:
    write(
        tmp_path / "a.ndjson",
        {"_index": "auditbeat-9", "_id": "x", "_version": 3, "_source": document(1)},
        document(2, tags=["t"]),
    )
    first, second = Folder(str(tmp_path), TYPES).search(rule("process.pid:*"), START, END)
    assert (first["_index"], first["_id"], first["_version"]) == ("auditbeat-9", "x", 3)
    assert second["tags"] == ["t"]
    assert second["_index"] == "sockwarden"
    assert len(second["_id"]) == 64


def test_a_parquet_row_is_the_same_document_as_its_line(tmp_path: Path) -> None:
    for name in ("lines", "parquet"):
        (tmp_path / name).mkdir()
    write(tmp_path / "lines" / "a.ndjson", document(1), document(2, user={"name": "root"}))
    with duckdb.connect() as connection:
        columns = (
            "{'@timestamp': 'TIMESTAMP', process: 'STRUCT(executable VARCHAR, pid INT)', user: 'STRUCT(name VARCHAR)'}"
        )
        connection.execute(f"CREATE TABLE rows_ AS FROM read_json('{tmp_path}/lines/a.ndjson', columns={columns})")
        connection.execute(f"COPY rows_ TO '{tmp_path}/parquet/a.parquet'")
    lines, packed = (
        list(Folder(str(tmp_path / name), TYPES).search(rule("process.pid:*"), START, END))
        for name in ("lines", "parquet")
    )
    assert [{**each, "@timestamp": each["@timestamp"].replace(".000Z", "Z"), "_id": ""} for each in lines] == [
        {**each, "_id": ""} for each in packed
    ]
    assert "user" not in packed[0]


def test_the_window_is_inclusive_and_by_the_rules_time(tmp_path: Path) -> None:
    write(
        tmp_path / "a.ndjson",
        {**document(1), "@timestamp": "2026-11-15T00:00:00.000Z"},
        {**document(2), "@timestamp": "2026-11-15T23:59:59.999999Z"},
        {**document(3), "@timestamp": "2026-11-16T00:00:00Z"},
        {**document(4), "@timestamp": "2026-11-14T23:59:59.999Z"},
        {**document(5), "@timestamp": 1794744000000},
        {**document(6), "@timestamp": "2026-11-16T00:30:00+01:00"},
        {**document(7), "@timestamp": "2026-11-17T00:00:00Z", "event": {"ingested": "2026-11-15T12:00:00Z"}},
        {**document(8), "event": {"ingested": "2026-11-17T12:00:00Z"}},
        {**document(9), "@timestamp": "yesterday"},
        {"process": document(10)["process"]},
    )
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder) == [1, 8, 5, 6, 2]
    assert folder.warnings() == ["2 matching documents have no date"]
    assert pids(folder, timestamp_override="event.ingested") == [1, 5, 7, 6, 2]
    assert pids(folder, timestamp_override="event.ingested", timestamp_override_fallback_disabled=True) == [7]


def test_files_that_disagree(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson", document(1, event={"severity": "5"}), document(2, event={"severity": [3, 5]}))
    write(tmp_path / "b.ndjson", document(3, event=[{"severity": 5}]), document(4, event={"severity": {"x": 5}}))
    write(tmp_path / "c.ndjson", {"@timestamp": "2026-11-15T10:00:05Z", "event.severity": 5, "process.pid": 5})
    write(tmp_path / "d.ndjson", document(6, event={"severity": [[5]]}), document(7, event=None))
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder, "event.severity:5") == [1, 2, 3, 5, 6]
    assert pids(folder, "not event.severity:5") == [4, 7]
    assert pids(folder, "no.such.field:x") == []
    assert folder.warnings() == []


def test_a_search_response_on_one_line(tmp_path: Path) -> None:
    hits = [
        {"_index": "i", "_id": str(n), "_source": document(n, "/bin/sh" if n == 2 else "/bin/curl")} for n in (3, 2, 1)
    ]
    write(tmp_path / "a.json", {"hits": {"hits": hits}})
    assert pids(Folder(str(tmp_path), TYPES)) == [1, 3]


def test_ties_by_id(tmp_path: Path) -> None:
    same = {"@timestamp": "2026-11-15T10:00:00Z"}
    write(tmp_path / "a.ndjson", *({"_index": "i", "_id": i, "_source": {**document(0), **same}} for i in "cab"))
    found = Folder(str(tmp_path), TYPES).search(rule("process.pid:*"), START, END)
    assert [each["_id"] for each in found] == ["a", "b", "c"]


def test_what_sql_refuses_is_judged_by_the_rule(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson", document(1, message="no such file"), document(2, message="other"))
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder, 'message:"no such file"') == [1]
    (warning,) = folder.warnings()
    assert "judged one by one" in warning
    assert 'message:"no such file"' in warning


def test_bad_input_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [json.dumps(document(n)).encode() for n in (1, 2)]
    (tmp_path / "a.ndjson").write_bytes(
        b"\n".join([lines[0], b'{"torn": ', b"[1]", b'"x"', b'{"a":"\xff"}', b"", lines[1]])
    )
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(lines[0])[:20])
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "empty.ndjson").write_bytes(b"")
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "a.ndjson")
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder) == [1, 2]
    gz, parquet, torn = sorted(folder.warnings(), key=lambda warning: "torn" in warning or "lines" in warning)
    assert {Path(text.split(" was not read")[0]).name for text in (gz, parquet)} == {"b.json.gz", "c.parquet"}
    assert torn == "4 lines were no document"
    assert folder.warnings() == []


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), TYPES)
    assert pids(folder) == []
    assert "no file of documents" in folder.warnings()[0]
    with pytest.raises(InputError, match="cannot be read"):
        pids(Folder(str(tmp_path / "none"), TYPES))


def test_without_duckdb_one_clear_error(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from sockwarden.readers.folder import _connect\n"
        "try:\n    _connect('x')\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "InputError folders are searched by duckdb, which is not installed\npip install 'sockwarden[duckdb]'\n"
    )


@pytest.mark.parametrize("beside", [None, "x", [], 1])
def test_a_source_that_is_no_object_hides_nothing(tmp_path: Path, beside: Any) -> None:
    write(tmp_path / "a.ndjson", document(1, _source=beside))
    assert pids(Folder(str(tmp_path), TYPES)) == [1]


def test_a_dotted_key_with_an_escaped_quote_is_left_to_the_rule(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson", document(1, **{'labels.a"b': "x"}), document(2))
    assert pids(Folder(str(tmp_path), TYPES), "labels:*") == [1]
