"""The program itself over a real node, when things go wrong: killed in the middle of a run, more matches than a run may
make alerts of, a certificate that is not to be trusted, and rules that cannot be used beside rules that can.
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from gate import gate
from indices import connect, keyword_index, write
from node import Node

from sockwarden.document import get

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
PUBLISHED = "unusual-process-connection-runtime-socket"
INDEX = "auditbeat-1"
MAX_SIGNALS = 100
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}
Row = dict[str, Any]
GOOD = '''
[rule]
description = "A description."
name = "Good"
rule_id = "00000000-0000-4000-8000-000000000001"
type = "query"
language = "kuery"
index = ["auditbeat-*"]
severity = "low"
risk_score = 21
query = """
host.os.type:linux and
  destination.address:"/run/docker.sock"
"""
'''
BROKEN = {
    "query.toml": (
        GOOD.replace('"/run/docker.sock"', "(a or )"),
        (
            'query.toml: cannot be used as a rule: 1 error\nline 13, column 29: query: expected a value, "(" or "not", '
            'found ")"\n      destination.address:(a or )\n                                ^\n'
        ),
    ),
    "score.toml": (GOOD.replace("21", "2100"), "score.toml: cannot be used as a rule: 1 error\nline 10: `risk_score`"),
    "kind.toml": (GOOD.replace('"query"', '"eql"'), "kind.toml: cannot be used as a rule: 1 error\nline 6: type eql"),
    "syntax.toml": ("[rule\n", "syntax.toml: cannot be used as a rule: 1 error\nline 1, column 6: TOML syntax"),
    "exceptions/list.toml": ("[[list\n", "list.toml: cannot be used as an exception list: 1 error\nline 1, column 7"),
}


class Program:
    """`sockwarden` with settings and a state folder of its own."""

    def __init__(self, folder: Path, url: str, ca_file: Path | None = None) -> None:
        self.rules = folder / "rules"
        (self.rules / "exceptions").mkdir(parents=True)
        self.state, self.file, self.config = folder / "state", folder / "alerts.ndjson", folder / "config.toml"
        trusted = f'ca_file = "{ca_file}"\n' if ca_file else ""
        self.config.write_text(
            f'[rules]\nfolder = "{self.rules}"\n[cluster]\nurl = "{url}"\n{trusted}'
            f'[sinks]\nfile.path = "{self.file}"\nterminal.enabled = false\n'
        )

    def command(self, *arguments: str) -> list[str]:
        return [*PROGRAM, *arguments, "--state", str(self.state)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, env=ENVIRONMENT, timeout=120, check=False, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def once(self, *rules: str) -> subprocess.CompletedProcess[str]:
        selected = [word for rule in rules for word in ("--rule", rule)]
        return self.run("run", "--from", "index", "--once", "--config", str(self.config), *selected)

    def runs(self) -> list[Row]:
        """Runs, the newest first."""
        rows = [json.loads(line) for line in self.run("rules", "runs", "--json").stdout.splitlines()]
        return [row for row in rows if row["kind"] == "run"]

    def delivered(self) -> Iterator[Row]:
        return map(json.loads, self.file.read_bytes().splitlines()) if self.file.exists() else iter(())


def now(number: int) -> Row:
    """A match of the last minutes; each has a time of its own."""
    moment = datetime.fromtimestamp(time.time() - 150 + number / 10, UTC).isoformat(timespec="milliseconds")
    address = ("/run/docker.sock", ["/run/containerd/containerd.sock"])[number % 5 == 0]
    return connect(0, destination__address=address) | {"@timestamp": moment, "network.direction": "egress"}


def origin(alert: Row) -> str:
    """The `_id` of the document that an alert is about."""
    return str(get(alert, "kibana.alert.ancestors")[0]["id"])


def is_summary(alert: Row) -> bool:
    return bool(get(alert, "event.action") == "max-signals-exceeded")


def test_killed_in_the_middle_of_a_run(clean: Node, tmp_path: Path) -> None:
    keyword_index(clean, INDEX)
    write(clean, INDEX, map(now, range(60)))
    with gate(clean) as between:
        program = Program(tmp_path, between.url)
        program.once(PUBLISHED)
        first = Counter(map(origin, program.delivered()))
        assert first == Counter(str(number) for number in range(60))

        write(clean, INDEX, (now(number) for number in range(60, 90)), first=60)
        between.searches = [False]
        arguments = ("run", "--from", "index", "--once", "--config", str(program.config), "--rule", PUBLISHED)
        with subprocess.Popen(
            program.command(*arguments), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            assert between.holding.wait(60), "it is in the middle of its search"
            running.send_signal(signal.SIGKILL)
        between.opened.set()
        assert running.returncode == -signal.SIGKILL
        assert len(program.runs()) == 1, "the run that was killed left nothing"
        assert Counter(map(origin, program.delivered())) == first

        assert program.once(PUBLISHED).returncode == 0
        assert Counter(map(origin, program.delivered())) == Counter(str(number) for number in range(90))
        assert program.runs()[0]["known"] == 60


def test_more_than_a_run_may_make_alerts_of(clean: Node, tmp_path: Path) -> None:
    keyword_index(clean, INDEX)
    write(clean, INDEX, map(now, range(250)))
    program = Program(tmp_path, clean.url)
    done = program.once(PUBLISHED)
    assert done.returncode == 0
    assert "150 matches beyond max_signals (100) made no alerts" in done.stderr

    alerts = list(program.delivered())
    (summary,) = filter(is_summary, alerts)
    assert {origin(alert) for alert in alerts if alert is not summary} == {str(n) for n in range(MAX_SIGNALS)}
    assert len(alerts) == MAX_SIGNALS + 1
    assert get(summary, "sockwarden.overflow.executables") == [{"name": "/usr/bin/curl", "count": 150}]
    assert get(summary, "sockwarden.overflow.sockets") == [
        {"name": "/run/docker.sock", "count": 120},
        {"name": "/run/containerd/containerd.sock", "count": 30},
    ]
    assert "to /run/docker.sock (120)" in summary["message"]

    (run,) = program.runs()
    assert (run["status"], run["alerts"], run["overflow"]) == ("partial", MAX_SIGNALS, 150)
    assert any("max_signals" in warning for warning in run["warnings"])
    kept = program.run("alerts", "list", "--overflow", "--limit", "1000", "--json").stdout.splitlines()
    assert {origin(json.loads(line)) for line in kept} == {str(number) for number in range(MAX_SIGNALS, 250)}
    shown = program.run("alerts", "list", "--overflow", "--limit", "3")
    assert shown.stdout.count("/usr/bin/curl → /run/") == 3
    assert "147 more; --limit 150 shows all." in shown.stderr
    identity = shown.stdout.splitlines()[1].split()[0]
    assert "/usr/bin/curl" in program.run("alerts", "show", identity).stdout


def test_what_is_broken_keeps_nothing_from_the_rest(clean: Node, tmp_path: Path) -> None:
    keyword_index(clean, INDEX)
    write(clean, INDEX, map(now, range(10)))
    program = Program(tmp_path, clean.url)
    (program.rules / "good.toml").write_text(GOOD)
    for name, (content, _) in BROKEN.items():
        (program.rules / name).write_text(content)
    done = program.once()
    assert done.returncode == 0
    for name, (_, told) in BROKEN.items():
        assert done.stderr.count(f"{program.rules / name}: cannot be used") == 1
        assert told in done.stderr, name
    by_rule = Counter(get(alert, "kibana.alert.rule.name") for alert in program.delivered())
    assert by_rule == {"Good": 8, "Unusual Process Connection to Docker or Containerd Socket": 10}
    assert {row["rule_name"] for row in program.runs()} > set(by_rule)

    named = program.once(str(program.rules / "query.toml"))
    assert named.returncode == 3
    assert re.search(r"error: \S+query\.toml: cannot be used as a rule", named.stderr)
    assert re.search(r"^ +\^$", named.stderr, re.MULTILINE)


@pytest.mark.parametrize("kind", ["of another authority", "of another host", "expired"])
def test_a_certificate_that_is_not_to_be_trusted(clean: Node, tmp_path: Path, kind: str) -> None:
    keyword_index(clean, INDEX)
    write(clean, INDEX, map(now, range(10)))
    authority, other = trustme.CA(), trustme.CA()
    signer = other if kind == "of another authority" else authority
    past = datetime(2020, 1, 1, tzinfo=UTC) if kind == "expired" else None
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "other.example.org" if kind == "of another host" else "127.0.0.1"
    signer.issue_cert(name, not_after=past).configure_cert(server)
    good = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(good)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)

    with gate(clean, server) as wrong:
        program = Program(tmp_path / "wrong", wrong.url, ca_file)
        done = program.once(PUBLISHED)
    assert done.returncode == 3
    assert done.stderr.count("the cluster is not trusted") == 1, done.stderr
    (run,) = program.runs()
    assert run["status"] == "failed" and "the cluster is not trusted" in run["error"] and wrong.url in run["error"]
    (told,) = program.delivered()
    assert get(told, "event.action") == "rule-run-failed"

    with gate(clean, good) as right:
        program.config.write_text(program.config.read_text().replace(wrong.url, right.url))
        assert program.once(PUBLISHED).returncode == 0
    assert program.runs()[0]["alerts"] == 10, "what could not be looked at then was caught up with"


def test_a_ca_file_that_holds_none(clean: Node, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    program = Program(tmp_path / "own", "https://127.0.0.1:9", tmp_path / "ca.pem")
    done = program.once(PUBLISHED)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {tmp_path}/ca.pem: ca_file cannot be used\n  it holds no certificate in PEM")
