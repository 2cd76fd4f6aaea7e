"""`sockwarden sinks`, as people start it, with real receivers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sockwarden.sinks.spool import Spool

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def run(*arguments: str, config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "config.toml"
    path.write_text(config)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SOCKWARDEN_STATE": str(folder / "state")}
    command = [*PROGRAM, *arguments, *(() if arguments[0] == "config" else ("--config", str(path)))]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.fixture
def hook() -> Iterator[tuple[int, list[bytes]]]:
    """The port of a web server, and what came; it refuses what comes to /no."""
    came: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(400 if self.path == "/no" else 204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1], came
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_sink_gets_the_test(hook: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, came = hook
    (tmp_path / "url").touch(0o600)
    (tmp_path / "url").write_text(f"http://127.0.0.1:{port}/secret\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(10)
        config = f"""
[sinks.file]
path = "{tmp_path}/alerts"
form = "tracee"
[[sinks.webhook]]
name = "chat"
url_file = "{tmp_path}/url"
form = "slack"
min_severity = "critical"
[[sinks.webhook]]
name = "soar"
url = "http://127.0.0.1:{port}/secret"
form = "ecs"
[[sinks.syslog]]
name = "siem"
host = "127.0.0.1"
port = {log.getsockname()[1]}
transport = "udp"
"""
        result = run("sinks", "test", config=config, folder=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [[name, "ok"] for name in ("file", "chat", "soar", "siem")]
        assert "secret" not in result.stdout and "nobody knows whether it arrived" in lines[-1]
        message = log.recv(65_535).decode()
    slack, ecs = map(json.loads, came)
    for text in (message, json.dumps(slack), json.dumps(ecs)):
        assert "This is a test" in text and "nothing happened" in text
    assert ecs["tags"] == ["sockwarden-test"]
    assert json.loads((tmp_path / "alerts").read_text())["SigMetadata"]["ID"] == "sockwarden-test"
    assert not (tmp_path / "state").exists(), "the test does not go through the spool"


def test_what_fails_is_told_and_decides_the_exit_code(hook: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, _ = hook
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    config = f"""
sinks.file.path = "{tmp_path}/no/such/folder"
[[sinks.webhook]]
name = "good"
url = "http://127.0.0.1:{port}/"
[[sinks.webhook]]
name = "bad"
url = "http://127.0.0.1:{port}/no"
[[sinks.syslog]]
name = "away"
host = "127.0.0.1"
port = {closed}
"""
    result = run("sinks", "test", config=config, folder=tmp_path)
    assert result.returncode == 1
    for part in ("file  failed", "No such file", "good  ok", "bad  failed", "answered 400", "away  failed", "refused"):
        assert part in result.stdout
    result = run("sinks", "test", "good", config=config, folder=tmp_path)
    assert result.returncode == 0 and len(result.stdout.splitlines()) == 1
    result = run("sinks", "test", "goood", config=config, folder=tmp_path)
    assert result.returncode == 2 and "Sinks are: file, good, bad, away." in result.stderr


def test_nothing_to_test(tmp_path: Path) -> None:
    result = run("sinks", "test", config="", folder=tmp_path)
    assert result.returncode == 2 and "nothing to test" in result.stderr


def test_list_says_what_waits_and_no_secret(tmp_path: Path) -> None:
    config = """
[sinks.terminal]
enabled = false
[[sinks.webhook]]
name = "chat"
url = "https://user:hushed@hooks.example.org/services/hush"
form = "teams"
headers = [{ name = "Authorization", value = "Bearer hush" }]
[[sinks.webhook]]
name = "broken"
url = "https://hooks.example.org/hush"
[[sinks.syslog]]
name = "siem"
host = "::1"
transport = "tls"
min_severity = "high"
"""
    state = tmp_path / "state"
    spool = Spool(state / "spool-chat.db", 1 << 20)
    spool.add_all([("a", b""), ("b", b""), ("c", b"")])
    spool.done(spool.take(1, 1))
    spool.close()
    (state / "spool-broken.db").write_bytes(b"no database" * 100)
    result = run("sinks", "list", "--json", config=config, folder=tmp_path)
    chat, broken, siem = map(json.loads, result.stdout.splitlines())
    assert chat == {
        "name": "chat",
        "kind": "webhook",
        "target": "https://hooks.example.org/…",
        "form": "teams",
        "waiting": 2,
        "dropped": 0,
        "delivered": 1,
    }
    assert "not a database" in broken["spool"] and "waiting" not in broken
    assert (siem["target"], siem["min_severity"], siem["waiting"]) == ("tls://[::1]:6514", "high", 0)
    result = run("sinks", "list", config=config, folder=tmp_path)
    assert result.returncode == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1] == ["webhook", "chat", "https://hooks.example.org/…", "teams", "low", "2", "0", "1"]
    shown = run("config", "show", "--config", str(tmp_path / "config.toml"), config=config, folder=tmp_path)
    for output in (result.stdout, shown.stdout):
        assert "hooks.example.org" in output and "hush" not in output


@pytest.mark.parametrize(
    ("template", "says"),
    [('{"text": "{{ message }}"', ["line 1", "not JSON", "^"]), (None, ["cannot be read", "No such file"])],
)
def test_check_reads_what_sinks_need(tmp_path: Path, template: str | None, says: list[str]) -> None:
    if template:
        (tmp_path / "t.json").write_text(template)
    hook = (
        f'[[sinks.webhook]]\nname = "a"\nurl = "https://h/"\nform = "template"\ntemplate_file = "{tmp_path}/t.json"\n'
    )
    result = run("config", "check", str(tmp_path / "config.toml"), config=hook, folder=tmp_path)
    assert result.returncode == 3 and "Traceback" not in result.stderr
    for part in (*says, "t.json"):
        assert part in result.stderr
