"""Records of this machine's kernel through its own auditd, RAW and ENRICHED, against what was really done."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from runtimes import until
from watching import auditctl, recording

from sockwarden.document import Document, get
from sockwarden.literals import Wanted
from sockwarden.readers import Tally, auditlog, plan, stretches_of
from sockwarden.sockets import Lessons, Resolver, lesson_in, packaged

pytestmark = pytest.mark.host

FOLDER = Path("/run/user/sockwarden-test")
ADDRESS = FOLDER / "docker.sock"
RULE = ["always,exit", "-F", "arch=b64", "-S", "connect", "-F", f"path={ADDRESS}", "-k", "sockwarden-test"]
CLIENT = "import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).connect(sys.argv[2])"


@contextmanager
def ruled() -> Iterator[None]:
    """Audit is on, and the rule stands."""
    with ExitStack() as undo:
        undo.callback(auditctl, "-e", "0")
        auditctl("-e", "1")
        auditctl("-a", *RULE)
        undo.callback(auditctl, "-d", *RULE)
        yield


@contextmanager
def listening() -> Iterator[None]:
    """A socket under a name that the catalogue knows, and a symlink to it."""
    made = not FOLDER.parent.exists()
    FOLDER.mkdir(parents=True)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(ADDRESS))
            server.listen(8)
            (FOLDER / "link").symlink_to(ADDRESS)
            yield
    finally:
        shutil.rmtree(FOLDER)
        if made:
            FOLDER.parent.rmdir()


def accesses(log: Path) -> list[Document]:
    lessons = Lessons()
    with plan([str(log)])[0] as stream:
        for lesson in auditlog.lessons(stretches_of(stream)[0], packaged().wanted, packaged().wanted, Tally()):
            lessons.learn(lesson_in(lesson, packaged()))
        wanted = Wanted(inodes=lessons.taught([ADDRESS.name])) | packaged().wanted
        documents = list(auditlog.documents(stretches_of(stream)[0], wanted, Tally()))
    for document in documents:
        Resolver(packaged(), lessons).resolve(document)
    return [document for document in documents if get(document, "event.action") == "connected-to"]


@pytest.mark.parametrize("form", ["RAW", "ENRICHED"])
def test_what_the_kernel_records_is_what_was_done(
    form: str, audit: None, tmp_path: Path, require: Callable[..., str]
) -> None:
    auditd = require("auditd", root=True)
    given = [(str(ADDRESS), "/"), ("docker.sock", str(FOLDER)), (str(FOLDER / "link"), "/")]
    with listening(), recording(auditd, tmp_path, form) as log, ruled():
        clients = []
        for address, directory in given:
            client = subprocess.Popen([sys.executable, "-c", CLIENT, directory, address])
            assert client.wait(timeout=30) == 0
            clients.append(client.pid)
        until(lambda: len(accesses(log)) >= len(given), "all are in the log")
        documents = accesses(log)
        inode = ADDRESS.stat().st_ino
    assert not FOLDER.exists()
    assert (b"\x1d" in log.read_bytes()) is (form == "ENRICHED")
    assert [get(one, "process.pid") for one in documents] == clients
    assert [get(one, "sockwarden.socket.address_as_given") for one in documents] == [address for address, _ in given]
    assert [get(one, "process.working_directory") for one in documents] == [directory for _, directory in given]
    assert [get(one, "sockwarden.socket.alias") for one in documents] == [None, "relative", "symlink-or-mount"]
    serials = [get(one, "event.sequence") for one in documents]
    assert serials == sorted(set(serials))
    for document in documents:
        assert get(document, "sockwarden.socket.canonical") == str(ADDRESS)
        assert get(document, "sockwarden.socket.inode") == inode
        assert get(document, "process.executable") == os.path.realpath(sys.executable)
        assert get(document, "event.outcome") == "success"
