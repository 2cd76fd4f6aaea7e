"""Records of this machine's kernel through its own auditd, RAW and ENRICHED, against what was really done."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sockwarden.document import Document, get
from sockwarden.literals import Wanted
from sockwarden.readers import Tally, auditlog, plan
from sockwarden.sockets import Lessons, Resolver, packaged

pytestmark = pytest.mark.host

FOLDER = Path("/run/user/sockwarden-test")
ADDRESS = FOLDER / "docker.sock"
RULE = ["always,exit", "-F", "arch=b64", "-S", "connect", "-F", f"path={ADDRESS}", "-k", "sockwarden-test"]
CLIENT = "import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).connect(sys.argv[2])"
CONFIG = """\
log_file = {log}
log_format = {form}
flush = SYNC
max_log_file_action = IGNORE
space_left = 2
admin_space_left = 1
space_left_action = IGNORE
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
plugin_dir = {plugins}
"""


def auditctl(*arguments: str) -> str:
    return subprocess.run(["auditctl", *arguments], check=True, capture_output=True, text=True, timeout=30).stdout


def state() -> tuple[list[str], str]:
    """What auditctl says, without the counters that count on."""
    steady = ("enabled", "failure", "pid", "rate_limit", "backlog_limit", "backlog_wait_time ", "loginuid")
    return [line for line in auditctl("-s").splitlines() if line.startswith(steady)], auditctl("-l")


@contextmanager
def recording(auditd: str, folder: Path, form: str) -> Iterator[Path]:
    """A log that auditd writes while the rule stands; the machine's state is put back afterwards, whatever happens."""
    log, config, plugins = folder / "audit.log", folder / "auditd.conf", folder / "plugins"
    plugins.mkdir()
    config.write_text(CONFIG.format(log=log, form=form, plugins=plugins), encoding="utf-8")
    config.chmod(0o640)
    with ExitStack() as undo:
        daemon = subprocess.Popen([auditd, "-n", "-s", "nochange", "-c", str(folder)])
        undo.callback(daemon.wait, timeout=20)
        undo.callback(daemon.terminate)
        wait_for(lambda: daemon.poll() is not None or (f"pid {daemon.pid}\n" in auditctl("-s") and log.exists()))
        assert daemon.poll() is None, "auditd ended at once; its reason is in the system log"
        undo.callback(auditctl, "-e", "0")
        auditctl("-e", "1")
        auditctl("-a", *RULE)
        undo.callback(auditctl, "-d", *RULE)
        yield log


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "nothing came within 15 s"
        time.sleep(0.05)


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
    lessons = Lessons(packaged())
    with plan([str(log)])[0] as stream:
        for lesson in auditlog.lessons(stream, packaged().wanted, Tally()):
            lessons.observe(lesson)
        wanted = Wanted(inodes=lessons.taught([ADDRESS.name])) | packaged().wanted
        documents = list(auditlog.documents(stream, wanted, Tally()))
    for document in documents:
        Resolver(packaged(), lessons).resolve(document)
    return [document for document in documents if get(document, "event.action") == "connected-to"]


@pytest.mark.parametrize("form", ["RAW", "ENRICHED"])
def test_what_the_kernel_records_is_what_was_done(form: str, tmp_path: Path, require: Callable[..., str]) -> None:
    auditd = require("auditd", root=True)
    require("auditctl", root=True)
    before = state()
    if "enabled 0" not in before[0] or "pid 0" not in before[0] or before[1].strip() != "No rules":
        pytest.skip("this machine's audit is in use, and is left alone")
    given = [(str(ADDRESS), "/"), ("docker.sock", str(FOLDER)), (str(FOLDER / "link"), "/")]
    try:
        with listening(), recording(auditd, tmp_path, form) as log:
            clients = []
            for address, directory in given:
                client = subprocess.Popen([sys.executable, "-c", CLIENT, directory, address])
                assert client.wait(timeout=30) == 0
                clients.append(client.pid)
            wait_for(lambda: len(accesses(log)) >= len(given))
            documents = accesses(log)
            inode = ADDRESS.stat().st_ino
    finally:
        assert state() == before
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
