"""`sockwarden doctor --index` and `setup index` as people start them, over a real node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from indices import connect, keyword_index, write
from node import Node

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.pipeline.doctor.index import examine_index

NOW = 1_800_000_000_000 + 60_000
PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def findings(node: Node, *patterns: str) -> Mapping[str, tuple[str, str, str]]:
    client = Client(Connection(node.url))
    found = {one.name: (one.state, one.message, one.todo) for one in examine_index(client, patterns, NOW)}
    client.close()
    return found


def run(node: Node, *arguments: str, config: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOCKWARDEN_CLUSTER_URL": node.url, "LC_ALL": "C.UTF-8"}
    command = [*PROGRAM, *arguments, *(("--config", config) if config else ())]
    return subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, text=True)


def test_each_host_has_a_verdict_and_its_mend(clean: Node) -> None:
    keyword_index(clean, "auditbeat-1")
    path = "/var/run/docker.sock"
    hosts = {
        "good": connect(50_000),
        "by-path": connect(50_000, destination__address=None, destination__path=path),
        "no-program": connect(50_000, process__executable=None),
        "no-os": connect(50_000, host__os__type=None),
        "stale": connect(-3_600_000),
        "silent": connect(-2 * 86_400_000),
        "quiet": connect(50_000, event__category="process", event__action="executed", destination__address=None),
    }
    write(clean, "auditbeat-1", [document | {"host.name": name} for name, document in hosts.items() for _ in range(4)])
    write(clean, "auditbeat-1", [connect(55_000, destination__address=None) | {"host.name": "partly"}], first=900)
    write(clean, "auditbeat-1", [connect(55_000) | {"host.name": "partly"}], first=901)
    found = findings(clean, "auditbeat-*", "logs-*")
    states = {name.rpartition(" ")[2]: found[name][0] for name in found if name.startswith("auditbeat-* ")}
    assert states == {
        "good": "ok",
        "by-path": "fail",
        "no-program": "fail",
        "no-os": "fail",
        "stale": "warn",
        "silent": "fail",
        "quiet": "warn",
        "partly": "warn",
    }
    assert found["cluster"][0] == "ok" and "opensearch 2." in found["cluster"][1]
    assert found["index logs-*"][:2] == ("warn", "no index matches it")
    good = found["auditbeat-* good"]
    assert good[1] == (
        "newest event 10 s ago; 4 events in 24 h, 4 of them connects, of which 100% carry process.executable, "
        "100% carry destination.address"
    )
    assert "--map destination.address=destination.path" in found["auditbeat-* by-path"][2]
    assert "50% carry destination.address" in found["auditbeat-* partly"][1]


def test_many_hosts_are_bounded_and_the_rest_is_told(clean: Node) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(1) | {"host.name": f"h{number}"} for number in range(80)])
    found = findings(clean, "t")
    assert len(found) == 52 and found["index t"][1] == "the 50 busiest hosts; 30 documents are of others"


def test_names_in_a_text_field_are_found_by_their_keyword(clean: Node) -> None:
    write(clean, "dynamic", [connect(1) | {"host.name": "a"}])
    assert findings(clean, "dynamic")["dynamic a"][0] == "ok"


def test_an_empty_index_and_no_cluster(clean: Node) -> None:
    keyword_index(clean, "t", host__name="keyword")
    assert findings(clean, "t")["index t"][0] == "fail"
    client = Client(Connection("http://127.0.0.1:9"), attempts=1)
    (one,) = examine_index(client, ("t",), NOW)
    assert one.state == "fail" and "refused" in one.message and one.todo
    client.close()


def test_as_a_command(clean: Node, tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text("[sinks.index]\nenabled = true\n")
    done = run(clean, "doctor", "--index", "--json", config=str(settings))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["name"] == "cluster" and lines[-1]["name"] == "index templates", done.stderr
    assert lines[-1]["state"] == "warn" and lines[-1]["todo"] == "sockwarden setup index apply"
    assert done.returncode == any(line["state"] == "fail" for line in lines)
    assert any("auditbeat-*" in line["name"] for line in lines)

    first, second = (run(clean, "setup", "index", "apply") for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.count(": make it") == 3 and second.stdout.count(": unchanged") == 3
    assert '"state":"ok"' in run(clean, "doctor", "--index", "--json", config=str(settings)).stdout.splitlines()[-1]

    tested = run(clean, "sinks", "test", config=str(settings))
    assert tested.returncode == 0 and "sockwarden-alerts-default" in tested.stdout, tested.stdout + tested.stderr
    listed = run(clean, "sinks", "list", "--state", str(tmp_path), config=str(settings))
    assert "logs-sockwarden.access-default" in listed.stdout, listed.stderr

    removed = run(clean, "setup", "index", "remove")
    assert removed.returncode == 0 and removed.stdout.count(": delete it") == 3, removed.stderr


@pytest.mark.parametrize("command", [("doctor", "--index"), ("setup", "index", "apply"), ("sinks", "test")])
def test_an_open_secret_and_a_url_with_credentials_are_one_clear_error(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    key = tmp_path / "key"
    key.write_text("id:very-secret")
    key.chmod(0o644)
    settings = tmp_path / "config.toml"
    for cluster, says in (
        (f'url = "https://127.0.0.1:1"\napi_key_file = "{key}"\n', "others may read"),
        ('url = "https://elastic:very-secret@127.0.0.1:1"\n', "carries credentials"),
    ):
        settings.write_text(f"[cluster]\n{cluster}[sinks.index]\nenabled = true\n")
        done = subprocess.run(
            [*PROGRAM, *command, "--config", str(settings)], capture_output=True, timeout=60, check=False, text=True
        )
        assert done.returncode == 3 and says in done.stderr, done.stdout + done.stderr
        assert "very-secret" not in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_templates_are_printed_without_a_cluster() -> None:
    done = subprocess.run([*PROGRAM, "setup", "index", "print"], capture_output=True, timeout=60, check=True, text=True)
    paths = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert [path.rpartition("/")[2] for path in paths] == ["sockwarden-ecs", "sockwarden-accesses", "sockwarden-alerts"]
