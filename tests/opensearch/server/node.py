"""A real OpenSearch node for tests: one for the whole run, on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
_START_SECONDS = 120
_JAVA = ("java", "-Xms512m", "-Xmx512m", "-cp", f"{ROOT}/.opensearch/*")


class Node:
    """A running node.

    url: http://127.0.0.1:PORT
    http: a client of it, once it was started
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http: httpx.Client
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, on what the folder holds, and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.http = httpx.Client(base_url=self.url, timeout=60)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_JAVA, str(HERE / "SingleNode.java"), str(self.folder / "node"), str(self.port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                if self.http.get("/_cluster/health?wait_for_status=yellow").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                pytest.fail(f"OpenSearch did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends it; what it holds stays in its folder."""
        self.http.close()
        if self._process and self._process.stdin:
            self._process.stdin.close()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


def require_components() -> None:
    """Skips where Java or Maven is missing; in CI, fails. Fetches the node's jars, once."""
    if missing := [program for program in ("java", "mvn") if shutil.which(program) is None]:
        message = f"{' and '.join(missing)} not installed: apt-get install default-jdk-headless maven"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    done = subprocess.run(["make", "-s", ".opensearch/ready"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
