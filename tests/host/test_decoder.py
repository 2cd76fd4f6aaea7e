"""The process that decodes requests, beside a running watch: what it is left with, and that accesses are told whatever
becomes of it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from doors import ADDRESS, served
from runtimes import until
from watching import SENSORS, Watch, watching

from sockwarden.document import Document, get

pytestmark = pytest.mark.host

CROWD = 6
"""Processes of one user: more than a decoder's may have."""
LONG = 5.0
"""Seconds in which it is tried many times to begin anew, and looked at it."""


class _Daemon(BaseHTTPRequestHandler):
    """Answers each request with 200 and two bytes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


class _Client(HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(ADDRESS))


def ask(path: str) -> int:
    """One request over a connection of its own: its status."""
    client = _Client("d", timeout=10)
    client.request("GET", path)
    with client.getresponse() as response:
        response.read()
        client.close()
        return response.status


@pytest.fixture
def watch(require: Callable[..., str], audit: None, tmp_path: Path) -> Iterator[Watch]:
    with served(_Daemon), watching(tmp_path, *SENSORS["ebpf"]) as running:
        ask("/v1.41/first")
        running.until(lambda: requests(running, "/first"), "the first request is told")
        yield running


def requests(watch: Watch, path: str) -> list[Document]:
    return [one for one in watch.requests() if str(get(one, "url.path")).endswith(path)]


def accesses(watch: Watch) -> int:
    return len(watch.accesses())


def says(alert: Document, words: str) -> bool:
    """Whether an alert is on what keeps requests from being read, in these words."""
    return get(alert, "event.action") == "requests-not-read" and words in str(get(alert, "message"))


def told(watch: Watch, words: str) -> Document:
    return watch.until_alert(words, lambda alert: says(alert, words), 20)


def test_it_is_left_with_nothing(watch: Watch) -> None:
    """Given a running watch, when its decoder is looked at, then neither process has more than it needs."""
    for pid in watch.decoder():
        status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
        users = set(status["Uid"].split())
        assert len(users) == 1 and users == set(status["Gid"].split()) and 61184 <= int(users.pop()) <= 65519
        assert status["Groups"] == ""
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max file size +0 +0 ", limits, re.MULTILINE)
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        names = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
        others = {
            name for name in names if not name.startswith(("socket:", "anon_inode:bpf-map")) and name != "/dev/null"
        }
        assert others <= {"anon_inode:[pidfd]"}


def test_a_worker_that_dies_is_followed_by_another(watch: Watch) -> None:
    """Given a watch whose worker is killed, when more is asked, then accesses are told, and requests before long."""
    _, worker = watch.decoder()
    before = accesses(watch)
    os.kill(worker, signal.SIGKILL)
    ask("/meanwhile")
    watch.until(lambda: accesses(watch) > before, "the access is told")
    until(lambda: watch.decoder()[1] != worker, "another worker is there")
    ask("/after")
    watch.until(lambda: requests(watch, "/after"), "what is asked later is told")
    # What lay in the ring meanwhile is not lost either.
    assert requests(watch, "/meanwhile")
    told(watch, "began anew")


def test_a_worker_that_stalls_is_made_to_begin_anew(watch: Watch) -> None:
    """Given a watch whose worker stands still, when that lasts, then accesses are told, and another one takes over."""
    _, worker = watch.decoder()
    before = accesses(watch)
    os.kill(worker, signal.SIGSTOP)
    ask("/meanwhile")
    watch.until(lambda: accesses(watch) > before, "the access is told")
    told(watch, "said nothing")
    watch.until(lambda: requests(watch, "/meanwhile"), "what was asked meanwhile is told")
    assert watch.decoder()[1] != worker


def test_a_worker_that_cannot_begin_is_told_once(watch: Watch) -> None:
    """Given a user with all the processes it may have, when the worker dies, then accesses are told, and once that it
    cannot begin; when there is room again, then requests are told again, and nothing more is said.
    """
    _, worker = watch.decoder()
    (user,) = re.findall(r"^Uid:\t(\d+)", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    crowd = [
        subprocess.Popen(["setpriv", f"--reuid={user}", "--clear-groups", "sleep", "60"], stdin=subprocess.DEVNULL)
        for _ in range(CROWD)
    ]
    before = accesses(watch)
    try:
        os.kill(worker, signal.SIGKILL)
        told(watch, "cannot begin (Resource temporarily unavailable")
        ask("/meanwhile")
        watch.until(lambda: accesses(watch) > before, "the access is told")
        time.sleep(LONG)
    finally:
        for each in crowd:
            each.kill()
            each.wait()
    ask("/after")
    watch.until(lambda: requests(watch, "/after"), "what is asked later is told")
    assert requests(watch, "/meanwhile")
    time.sleep(LONG)
    assert len([alert for alert in watch.alerts if says(alert, "")]) == 1, watch.alerts


def test_without_its_process_accesses_are_told(watch: Watch) -> None:
    """Given a watch whose decoder is gone for good, when there are accesses, then they are told, and its end."""
    before = accesses(watch)
    os.kill(watch.decoder()[0], signal.SIGKILL)
    told(watch, "has ended")
    ask("/unknown")
    watch.until(lambda: accesses(watch) > before, "the access is told")
    assert not requests(watch, "/unknown")


def test_it_ends_with_the_watch(watch: Watch) -> None:
    """Given a watch that is killed, when it is gone, then its decoder is too."""
    processes = watch.decoder()
    watch.process.kill()
    watch.ended()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "the decoder has ended")
