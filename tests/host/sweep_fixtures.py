"""A runtime socket of the tests' own, and processes that come by a connection to it in one way or another.

A test module takes them by `pytest_plugins = ["sweep_fixtures"]`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from sweeping import Actor

_BEGINNING = """\
import array, ctypes, os, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
ADDRESS = bytes.fromhex(sys.argv[1])
def connected():
    one = socket.socket(socket.AF_UNIX)
    one.connect(ADDRESS)
    return one
def inode(one):
    return os.fstat(one.fileno()).st_ino
def ready(*words):
    print("ready", *words, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def act(require: Callable[..., str]) -> Iterator[Callable[..., Actor]]:
    """`act(code, address)` runs Python in a process of its own, which must say `ready`; `by` is what starts it."""
    require("unshare", root=True)
    with ExitStack() as running:

        def start(code: str, address: bytes = b"", *words: object, by: Sequence[str] = ()) -> Actor:
            command = [*by, sys.executable, "-c", _BEGINNING + code, address.hex(), *map(str, words)]
            process = running.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            )
            # With all that it has started.
            running.callback(os.killpg, process.pid, signal.SIGKILL)
            assert process.stdout
            said = process.stdout.readline().split()
            assert said[:1] == [b"ready"], said
            return Actor(process, list(map(int, said[1:])))

        yield start


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A runtime's socket; this process is the daemon."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(bytes(tmp_path / "docker.sock"))
        one.listen(16)
        yield one
