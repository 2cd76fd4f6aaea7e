"""`sockwarden hunt` with rules that group their matches, or that are only for other rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sockwarden.cli.alerts import alerts
from sockwarden.cli.hunt import hunt
from sockwarden.content import packaged

LOG = Path(__file__).parents[1] / "data" / "captures" / "inode-rules.audit.log"
OURS = "unusual-process-runtime-socket-access.toml"
BLOCK = 'building_block_type = "default"'
GROUPS = '[rule.alert_suppression]\ngroup_by = ["process.executable"]\nduration = { value = 1, unit = "h" }\n'

Rule = Callable[..., Path]


@pytest.fixture
def rule(tmp_path: Path) -> Rule:
    """Our rule with these keys more, in a file."""

    def make(key: str = "", table: str = "") -> Path:
        text = packaged("rules").joinpath(OURS).read_text("utf-8")
        path = tmp_path / "rule.toml"
        path.write_text(text.replace("[rule]\n", f"[rule]\n{key}\n", 1) + "\n" + table)
        return path

    return make


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(hunt, [str(LOG), *map(str, arguments)], standalone_mode=False, catch_exceptions=False)


def test_one_alert_counts_the_others(rule: Rule, tmp_path: Path) -> None:
    each = ask("--rule", rule(), "--output", "ndjson")
    found = ask("--rule", rule(table=GROUPS), "--output", "ndjson", "--store", "--state", tmp_path)
    one, many = (result.stdout.splitlines() for result in (found, each))
    executables = {json.loads(line)["process"]["executable"] for line in many}
    assert len(one) == len(executables) < len(many)
    suppressed = len(many) - len(one)
    assert f"Suppressed: {suppressed} matches" in found.stderr
    kept = CliRunner().invoke(alerts, ["list", "--json", "--state", str(tmp_path)]).stdout.splitlines()
    counts = [json.loads(line)["kibana"]["alert"]["suppression"]["docs_count"] for line in kept]
    assert (len(counts), sum(counts)) == (len(one), suppressed)


def test_building_blocks_alarm_nobody(rule: Rule) -> None:
    text = ask("--rule", rule(BLOCK), "--fail-on", "low")
    assert text.return_value == 0 and "▲" not in text.stdout and "building blocks" in text.stderr
    assert "building_block_type" in ask("--rule", rule(BLOCK), "--output", "ndjson").stdout
    assert ask("--rule", rule(), "--fail-on", "low").return_value == 1
