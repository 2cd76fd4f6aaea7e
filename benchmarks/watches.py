"""A `sockwarden watch` of a benchmark's own: its state, runtime folder, configuration and port are nobody else's."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SENSORS = ("ebpf", "audit")
_SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
_COUNTER = re.compile(r"^sockwarden_(\w+?)(?:_total)?(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_READY = b"\nwatching by "


class CannotWatchError(Exception):
    """The watch ended before it watched; what it said."""


class Watch:
    """A watch that was started, and what it takes."""

    def __init__(self, process: subprocess.Popen[bytes], messages: Path, port: int, began: float) -> None:
        self.process = process
        self.began = began
        self._messages = messages
        self._port = port

    def until_ready(self) -> float:
        """Waits until the sensor is in place; the seconds since its start. CannotWatchError where it ends instead."""
        while _READY not in b"\n" + self._messages.read_bytes():
            if self.process.poll() is not None:
                raise CannotWatchError(" ".join(self._messages.read_text(errors="replace").split()))
            time.sleep(0.01)
        return time.monotonic() - self.began

    def processor(self) -> float:
        """Seconds of the processor that its processes took so far."""
        # The clock that clock_getcpuclockid(3) names: to the nanosecond, where /proc has hundredths of a second.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._processes())

    def memory(self) -> float:
        """MB of all of its processes, what they share counted once."""
        found = (Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii") for pid in self._processes())
        return sum(int(kib) for text in found for kib in re.findall(r"^Pss:\s*(\d+)", text, re.MULTILINE)) / 1024

    def counts(self) -> dict[str, float]:
        """Its metrics, summed over their labels; up to a second old."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for name, value in _COUNTER.findall(text):
            found[name] = found.get(name, 0) + float(value)
        return found

    def _processes(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
        return found


@contextmanager
def started(
    folder: Path, sensor: str, config: str = "", *, hear: Callable[[bytes], object] | None = None
) -> Iterator[Watch]:
    """A watch that begins, and its end. folder: where all that it keeps goes. hear: told each alert, a line of JSON."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    settings, messages = folder / "config.toml", folder / "messages"
    settings.touch(mode=0o600)
    settings.write_text(f'{config}\n[metrics]\nlisten = "127.0.0.1:{port}"\n', encoding="utf-8")
    command = [str(_SOCKWARDEN), "watch", f"--sensor={sensor}", "--output=ndjson", f"--config={settings}"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    output = subprocess.PIPE if hear else subprocess.DEVNULL
    with messages.open("wb") as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
    with process:
        reading = threading.Thread(target=_read, args=(process, hear))
        reading.start()
        try:
            yield Watch(process, messages, port, began)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            reading.join()


def _read(process: subprocess.Popen[bytes], hear: Callable[[bytes], object] | None) -> None:
    if process.stdout and hear:
        for line in process.stdout:
            hear(line)


def extra(addresses: list[str]) -> str:
    """A configuration by which these sockets are runtime sockets, whoever has them."""
    return "\n".join(f'[[sockets.extra]]\naddress = "{address}"\nruntime = "docker"' for address in addresses)
