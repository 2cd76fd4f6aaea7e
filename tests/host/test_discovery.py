"""Discovery against real daemons: dockerd with folders of its own, its private containerd, and what else they open."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockwarden.sockets import LiveSocket, packaged
from sockwarden.sockets.discovery import discover
from sockwarden.sockets.exposure import exposure
from sockwarden.sockets.inventory import Inventory

pytestmark = pytest.mark.host


@contextmanager
def dockerd(program: str, folder: Path, *options: str) -> Iterator[Path]:
    """A dockerd at an address that no catalogue has; gives that."""
    address = folder / "engine.sock"
    arguments = [
        program,
        "-H",
        f"unix://{address}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--storage-driver=vfs",
        *options,
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(arguments, stdout=log, stderr=log) as daemon:
        try:
            deadline = time.monotonic() + 60
            while b"API listen on" not in (folder / "log").read_bytes():
                assert daemon.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                os.sched_yield()
            yield address
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def below(folder: Path) -> list[LiveSocket]:
    return [live for live in discover(packaged()) if str(folder) in live.socket.address]


def test_dockerd_at_unlisted_addresses(require: Callable[..., str], tmp_path: Path) -> None:
    program, port = require("dockerd", root=True), free_port()
    metrics = free_port()
    options = (f"--host=tcp://127.0.0.1:{port}", f"--metrics-addr=127.0.0.1:{metrics}", "--experimental")
    with dockerd(program, tmp_path, *options) as address:
        found = {live.socket.address: live for live in discover(packaged())}
        engine = found[str(address)]
        assert (engine.socket.runtime, engine.kind, engine.found_by) == ("docker", "path", "listener")
        assert engine.listening is True
        assert engine.path == str(address)
        assert engine.inode == address.stat().st_ino
        assert [listener.executable for listener in engine.listeners] == [os.path.realpath(program)]
        runtimes = {live.socket.address: live.socket.runtime for live in below(tmp_path)}
        assert runtimes == {
            str(address): "docker",
            f"{tmp_path}/exec/containerd/containerd.sock": "containerd",
            f"{tmp_path}/exec/containerd/containerd.sock.ttrpc": "containerd",
            f"{tmp_path}/exec/containerd/containerd-debug.sock": "containerd",
        }, "libnetwork's and the metrics plugin's are no control API"
        tcp = found[f"127.0.0.1:{port}"]
        assert (tcp.socket.runtime, tcp.kind, tcp.found_by) == ("docker", "inet", "listener")
        assert f"127.0.0.1:{metrics}" not in found
        (reach,) = exposure([tcp], lambda _: None)
        assert reach.tls is None


def test_renamed_and_taken_away(require: Callable[..., str], tmp_path: Path) -> None:
    with dockerd(require("dockerd", root=True), tmp_path) as address:
        inventory = Inventory(packaged())
        inventory.refresh(below(tmp_path), time.time())
        assert str(address) in inventory.paths()

        hidden = address.rename(tmp_path / "hidden.sock")
        (live,) = (live for live in below(tmp_path) if live.socket.runtime == "docker")
        assert (live.socket.address, live.path) == (str(address), str(hidden))
        assert inventory.refresh(below(tmp_path), time.time())
        assert str(hidden) in inventory.paths()
        assert inventory.troubles() == []

        hidden.unlink()
        for later in range(3):
            inventory.refresh(below(tmp_path), time.time() + later)
        (trouble,) = inventory.troubles()
        assert trouble.action == "socket-out-of-sight"
        assert str(address) in trouble.message
