"""What the reading of requests costs a daemon's clients, in one interleaved run.

    python benchmarks/requests.py [--rounds 5] [--mb 256]

A dockerd of its own is asked the same three times a round: without a watch, under one that reads no requests, under one
that reads them. Asked is `GET /_ping` over one connection that stays, `GET /containers/json` over a new connection each
time, and `docker load` of an image of so many megabytes that dockerd has already: it reads all and keeps nothing new.
Printed are medians and the 99th percentile, with the ratio to no watch. Needs root, dockerd, docker and busybox.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
WATCHES = ("none", "no requests", "requests")
_PINGS, _LISTS = 1000, 300
_PAUSE = 0.005
"""Seconds between two requests: 200 a second, so that nobody waits for a processor."""
_SETTLING = 1.5


class Client(http.client.HTTPConnection):
    """HTTP over a local socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("d")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def get(self, target: str) -> None:
        self.request("GET", target)
        self.getresponse().read()


@contextmanager
def daemon(folder: Path) -> Iterator[Path]:
    path = folder / "docker.sock"
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    command += [f"--host=unix://{path}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
        try:
            while subprocess.run(["docker", f"--host=unix://{path}", "version"], check=False, stdout=-3).returncode:
                time.sleep(0.2)
            yield path
        finally:
            process.terminate()


@contextmanager
def watching(which: str, folder: Path) -> Iterator[None]:
    if which == "none":
        yield
        return
    config, messages = folder / "config.toml", folder / "messages"
    config.touch(mode=0o600)
    config.write_text(f"[requests]\nread = {str(which == 'requests').lower()}\n", encoding="ascii")
    command = [str(SOCKWARDEN), "watch", "--sensor=ebpf", "--output=ndjson", f"--config={config}"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    with messages.open("wb") as errors, subprocess.Popen(command, stdout=-3, stderr=errors) as watch:
        while "watching by " not in messages.read_text():
            if watch.poll() is not None:
                raise SystemExit(f"the watch ended: {messages.read_text()}")
            time.sleep(0.1)
        time.sleep(_SETTLING)
        try:
            yield
        finally:
            watch.send_signal(signal.SIGINT)


def image(megabytes: int) -> bytes:
    """A root file system that does not compress."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("noise")
        entry.size = megabytes << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    return archive.getvalue()


def pings(path: Path) -> list[float]:
    client, times = Client(path), []
    for _ in range(_PINGS):
        began = time.perf_counter()
        client.get("/_ping")
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    client.close()
    return times


def lists(path: Path) -> list[float]:
    times = []
    for _ in range(_LISTS):
        began = time.perf_counter()
        client = Client(path)
        client.get("/v1.41/containers/json")
        client.close()
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    return times


def loading(path: Path, saved: Path) -> list[float]:
    began = time.perf_counter()
    subprocess.run(["docker", f"--host=unix://{path}", "load", f"--input={saved}"], check=True, stdout=-3)
    return [time.perf_counter() - began]


def report(times: dict[tuple[str, str], list[float]]) -> None:
    for what in dict.fromkeys(what for what, _ in times):
        base = {name: of(times[what, "none"]) for name, of in _FIGURES.items()}
        for which in WATCHES:
            found = {name: of(times[what, which]) for name, of in _FIGURES.items()}
            parts = (f"{name} {1000 * each:>9.3f} ms ({each / base[name]:.3f})" for name, each in found.items())
            told = "  ".join(parts)
            print(f"{what:<8} {which:<12} {told}")


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) * 99 // 100, len(times) - 1)]


_FIGURES: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "p99": _p99}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the reading of requests costs a daemon's clients.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mb", type=int, default=256)
    options = parser.parse_args()
    if os.geteuid():
        parser.error("it takes root, as the watch does")
    print(f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors; {options.rounds} rounds")
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as name, daemon(folder := Path(name)) as path:
        docker, saved = ["docker", f"--host=unix://{path}"], folder / "image.tar"
        subprocess.run([*docker, "import", "-", "noise"], input=image(options.mb), check=True, stdout=-3)
        subprocess.run([*docker, "save", f"--output={saved}", "noise"], check=True)
        for _ in range(options.rounds):
            for which in WATCHES:
                with tempfile.TemporaryDirectory(dir=folder) as state, watching(which, Path(state)):
                    times.setdefault(("load", which), []).extend(loading(path, saved))
                    for what, of in (("ping", pings), ("list", lists)):
                        times.setdefault((what, which), []).extend(of(path))
    report(times)


if __name__ == "__main__":
    main()
