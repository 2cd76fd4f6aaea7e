"""A watch as a service: what it tells the service manager, and the counts that it exports."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runtimes import run
from watching import watching

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("audit")]
pytest_plugins = ["runtime_fixtures"]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket as a service manager has it, which asks for a sign of life every 0.2 s."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield listener


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def value(text: str, name: str) -> int:
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def test_it_says_when_it_is_ready_that_it_lives_and_that_it_ends(manager: socket.socket, tmp_path: Path) -> None:
    with watching(tmp_path) as watch:
        said = [manager.recv(4096).decode() for _ in range(4)]
        assert said[0].startswith("READY=1\nSTATUS=watching by audit")
        assert said[1:] == ["WATCHDOG=1"] * 3
        watch.stop()
    manager.setblocking(False)
    while (last := manager.recv(4096)) == b"WATCHDOG=1":
        pass
    assert last == b"STOPPING=1"


def test_its_counts_are_in_a_file_and_on_a_port(client: Path, tmp_path: Path, require: Callable[..., str]) -> None:
    file, port, address = tmp_path / "sockwarden.prom", free_port(), tmp_path / "engine.sock"
    config = f'[[sockets.extra]]\naddress = "{address}"\nruntime = "docker"\n'
    config += f'[metrics]\nfile = "{file}"\nlisten = "127.0.0.1:{port}"\n'
    (tmp_path / "config.toml").write_text(config, encoding="ascii")
    (tmp_path / "config.toml").chmod(0o600)

    def asked() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        with watching(tmp_path) as watch:
            assert value(asked(), "sockwarden_sockets") >= 1
            run(client, "connect", address, "counted")
            watch.until_marked("counted")
            watch.until(lambda: value(asked(), "sockwarden_accesses_total") >= 1, "the port has the access")
            watch.until(lambda: value(file.read_text(), "sockwarden_accesses_total") >= 1, "the file has it")
            assert value(asked(), "sockwarden_lost_total") == 0
