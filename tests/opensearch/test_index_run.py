"""`sockwarden run --from index --once` as people start it: the published rule over both index families."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indices import connect, keyword_index, open_points_in_time, write
from node import Node

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
RULE = "unusual-process-connection-runtime-socket"


def run(node: Node, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOCKWARDEN_CLUSTER_URL": node.url, "LC_ALL": "C.UTF-8"}
    command = [*PROGRAM, *arguments, "--state", str(state)]
    return subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False, text=True)


def now(**fields: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time.time() - 30, UTC).isoformat(timespec="milliseconds")
    return connect(0, **fields) | {"@timestamp": moment, "network.direction": "egress"}


def test_the_published_rule_over_both_families(clean: Node, tmp_path: Path) -> None:
    path = "/var/run/docker.sock"
    keyword_index(clean, "auditbeat-1")
    clean.http.put(
        "/_index_template/logs",
        json={
            "index_patterns": ["logs-auditd_manager.auditd-*"],
            "data_stream": {},
            "template": {"mappings": KEYWORDS},
        },
    ).raise_for_status()
    lines = [line for n in range(40) for line in ({"create": {"_id": str(n)}}, now())]
    body = "\n".join(map(json.dumps, lines)) + "\n"
    headers = {"content-type": "application/x-ndjson"}
    stream = "/logs-auditd_manager.auditd-default/_bulk?refresh=true"
    assert not clean.http.post(stream, content=body, headers=headers).raise_for_status().json()["errors"]
    write(clean, "auditbeat-1", [now(destination__address=None, destination__path=path) for _ in range(25)])

    first = run(clean, tmp_path, "run", "--from", "index", "--once", "--rule", RULE, "--output", "ndjson")
    assert "Traceback" not in first.stderr, first.stderr
    alerts = [json.loads(line) for line in first.stdout.splitlines()]
    assert len(alerts) == 40, first.stderr
    assert len({alert["kibana"]["alert"]["uuid"] for alert in alerts}) == 40
    again = run(clean, tmp_path, "run", "--from", "index", "--once", "--rule", RULE, "--output", "ndjson")
    assert again.stdout == "", "known alerts are not given again"
    told = run(clean, tmp_path, "rules", "runs", "--json").stdout
    assert "auditbeat-*: 25 documents in the window, none carries destination.address" in told
    assert "--map destination.address=destination.path" in told

    mended = ("--map", "destination.address=destination.path")
    more = run(clean, tmp_path, "run", "--from", "index", "--once", "--rule", RULE, "--output", "ndjson", *mended)
    assert len(more.stdout.splitlines()) == 25, more.stderr
    assert open_points_in_time(clean) == []


def test_a_cluster_that_is_away_is_a_run_that_failed(clean: Node, tmp_path: Path) -> None:
    environment = {**os.environ, "SOCKWARDEN_CLUSTER_URL": "http://127.0.0.1:9"}
    command = [*PROGRAM, "run", "--from", "index", "--once", "--rule", RULE, "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    told = run(clean, tmp_path, "rules", "runs", "--json").stdout
    assert "cannot reach the cluster" in told and "refused" in told


KEYWORDS = {
    "properties": {"@timestamp": {"type": "date"}},
    "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
}
