"""Audit records to documents: a golden pair for each quirk.

A pair is golden/QUIRK.log, raw lines, and golden/QUIRK.json: each event's document (null for an event that makes
none), the reason of each line that was rejected, and the assembler's counts. REWRITE_GOLDEN=1 writes the second from
the first; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.auditrecords import Assembler, Record, Rejected, document_of, parse_line

FOLDER = Path(__file__).parent / "golden"
INPUTS = sorted(FOLDER.glob("*.log"))


def outcome(lines: list[bytes]) -> dict[str, Any]:
    """What the lines come to."""
    assembler = Assembler()
    parsed = [parse_line(line) for line in lines]
    events = [event for record in parsed if isinstance(record, Record) for event in assembler.push(record)]
    events += assembler.flush()
    return {
        "documents": [document_of(event) for event in events],
        "rejected": [one.reason for one in parsed if isinstance(one, Rejected)],
        "counts": msgspec.to_builtins(assembler.counts),
    }


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_golden_pair(path: Path) -> None:
    result = outcome(path.read_bytes().removesuffix(b"\n").split(b"\n"))
    golden = path.with_suffix(".json")
    if os.environ.get("REWRITE_GOLDEN"):
        text = json.dumps(result, sort_keys=True, indent=1, ensure_ascii=False)
        golden.write_text(text + "\n", encoding="utf-8")
    assert result == json.loads(golden.read_text(encoding="utf-8"))


def test_no_golden_file_is_an_orphan() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in INPUTS} != set()
    assert {path.suffix for path in FOLDER.iterdir()} == {".log", ".json"}
