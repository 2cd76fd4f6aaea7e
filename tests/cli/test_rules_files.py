"""`sockwarden rules export` and `import` as people start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sockwarden.rules import Folder

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def objects(export: Path) -> list[str]:
    """Its lines, whatever the order of keys: a table of TOML stands behind what is none."""
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in export.read_text().splitlines())


def test_there_and_back(tmp_path: Path) -> None:
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    exported = run("rules", "export", "--folder", one, "--output", str(first))
    assert (exported.returncode, exported.stdout, exported.stderr) == (0, "", "")
    imported = run("rules", "import", str(first), "--folder", other)
    assert imported.returncode == 0, imported.stderr
    assert ", 0 refused, 0 conflicting." in imported.stderr
    again = run("rules", "export", "--folder", other, "--output", str(second))
    assert again.returncode == 0, again.stderr
    assert objects(first) == objects(second)
    conflicting = run("rules", "import", str(first), "--folder", other)
    assert conflicting.returncode == 3
    assert conflicting.stderr.count("is there already") == len(first.read_text().splitlines()) - 1
    assert run("rules", "import", str(first), "--folder", other, "--overwrite").returncode == 0


def test_what_is_refused_is_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    rule: dict[str, Any] = {
        "type": "query",
        "language": "kuery",
        "query": "a:b",
        "index": ["x"],
        "name": "A/../rule",
        "description": "D",
    }
    rule |= {"rule_id": "00000000-0000-4000-8000-000000000001", "severity": "low", "risk_score": 1}
    head: dict[str, Any] = {"list_id": "l", "name": "L", "type": "detection"}
    entries: list[dict[str, Any]] = [
        {"field": "a", "type": "list", "operator": "included", "list": {"id": "users", "type": "keyword"}}
    ]
    item: dict[str, Any] = {"list_id": "l", "name": "I", "item_id": "i", "type": "simple", "entries": entries}
    lines = [rule, head, item, {"type": "eql", "rule_id": "x", "name": "\x1b[31mred"}]
    file = tmp_path / "x.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    result = run("rules", "import", str(file), "--folder", str(tmp_path / "rules"))
    assert result.returncode == 3
    assert "line 4: refused: rule of type eql" in result.stderr
    assert "\x1b" not in result.stderr
    assert "needs the value list" in result.stderr
    assert "2 imported, 1 refused, 0 conflicting." in result.stderr
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.toml")) == [
        Path("rules/a-rule.toml"),
        Path("rules/exceptions/l.toml"),
    ]
    (tmp_path / "rules" / "lists").mkdir()
    (tmp_path / "rules" / "lists" / "users").write_text("7")
    assert not Folder(tmp_path / "rules").load().errors


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "out").symlink_to(tmp_path / "secret")
    assert (
        run("rules", "export", "--folder", str(tmp_path / "rules"), "--output", str(tmp_path / "out")).returncode == 0
    )
    assert (tmp_path / "secret").read_text() == "secret"
    assert not (tmp_path / "out").is_symlink()
