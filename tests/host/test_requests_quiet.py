"""What people see of a day at a host: an agent that looks and an admin who works are quiet; a break-out is not."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from asking import HERE, Clients, rows, settled
from runtimes import IMAGE, WELL_KNOWN, Runtime
from watching import Watch, watching

from sockwarden.store import Store
from sockwarden.stories import Story

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "asking_fixtures"]

LOOKS = (
    "len([client.containers.list(all=True) for _ in range(200)])",
    "len([client.containers.get('idle').attrs for _ in range(200)])",
    "len([client.containers.get('idle').stats(stream=False) for _ in range(3)])",
    "len([list(client.events(since=1, until=2)) for _ in range(100)])",
    "len([(client.info(), client.version(), client.ping(), client.images.list()) for _ in range(100)])",
)
"""What an agent does all day, again and again."""
BREAKS_OUT = f"client.containers.create('{IMAGE}', 'sleep 9', privileged=True, network_mode='none', name='broken').id"
ADMINS = ("docker", "buildkit", "legacy")
"""Clients of an admin."""
WORKS = ("low", "medium")
"""Risks of what an admin does in an hour."""
CLEANS_UP = "-dangerous"
"""How rows end that remove what others made that are no work."""


class Notified:
    """The receivers of a watch: a webhook's other end and a syslog server; and what came."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self._datagrams: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.log.bind(("127.0.0.1", 0))
        self.log.setblocking(False)

    def config(self) -> str:
        return (
            f'[[sinks.webhook]]\nname = "hook"\nurl = "http://127.0.0.1:{self.server.server_address[1]}/"\n'
            f'[[sinks.syslog]]\nname = "log"\nhost = "127.0.0.1"\nport = {self.log.getsockname()[1]}\n'
            'transport = "udp"\n'
        )

    def logged(self) -> list[bytes]:
        """The datagrams that came so far."""
        while True:
            try:
                self._datagrams.append(self.log.recv(1 << 16))
            except BlockingIOError:
                return self._datagrams


@contextmanager
def notified(folder: Path) -> Iterator[tuple[Watch, Notified]]:
    """A watch as it is by default, with receivers."""
    receivers = Notified()
    thread = threading.Thread(target=receivers.server.serve_forever)
    thread.start()
    try:
        (folder / "config.toml").touch(mode=0o600)
        (folder / "config.toml").write_text(receivers.config(), encoding="ascii")
        with watching(folder, "--sensor=ebpf") as watch:
            yield watch, receivers
    finally:
        receivers.server.shutdown()
        thread.join()
        receivers.server.server_close()
        receivers.log.close()


def stories(watch: Watch) -> list[Story]:
    with Store(watch.state, create=False) as store:
        return list(store.stories.newest(10_000))


def test_an_agents_day(clients: Clients, docker: Runtime, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "by_sdk.py"), str(WELL_KNOWN)]
    with (
        notified(tmp_path) as (watch, receivers),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent,
    ):

        def ask(expression: str) -> str:
            assert agent.stdin
            assert agent.stdout
            print(expression, file=agent.stdin, flush=True)
            return agent.stdout.readline().strip()

        try:
            assert all(int(ask(expression)) > 0 for expression in LOOKS)
            looked = [one for one in settled(watch, docker) if one["process"]["pid"] == agent.pid]
            assert len(looked) > 1000
            told = stories(watch)
            assert [(one.who, one.reasons) for one in told if one.level != "low"] == []
            assert receivers.got == receivers.logged() == []
            broken = ask(BREAKS_OUT)
            settled(watch, docker)
            watch.until(lambda: any(one.level == "critical" for one in stories(watch)), "a story is critical")
            (story,) = [one for one in stories(watch) if one.level == "critical"]
            assert "privileged" in story.reasons
            assert story.who["process"]["pid"] == agent.pid
            assert broken in [one.returned for one in story.asked]
            assert story.id in [one.id for one in told], "it is the story of the one who looked"
            watch.until(lambda: receivers.got, "the webhook is told")
            watch.until(receivers.logged, "syslog is told")
        finally:
            if agent.stdin:
                agent.stdin.close()
            docker("rm", "--force", "broken")


def test_an_admins_hour(clients: Clients, docker: Runtime, tmp_path: Path) -> None:
    with notified(tmp_path) as (watch, receivers):
        hour = [row for row in rows() if row.client in ADMINS and row.risk in WORKS]
        hour = [row for row in hour if not row.name.endswith(CLEANS_UP)]
        assert len(hour) > 40
        for row in hour:
            clients.do(row)
        settled(watch, docker)
        assert {one.level for one in stories(watch)} <= set(WORKS)
        assert receivers.got == receivers.logged() == []
        clients.do(next(row for row in rows() if row.name == "docker-run-privileged"))
        watch.until(lambda: receivers.got, "the webhook is told of what is no work")
