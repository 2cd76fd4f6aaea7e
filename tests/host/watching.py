"""A running `sockwarden watch`, as a test sees it: its alerts, its messages, its store, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from runtimes import run, until

from sockwarden.document import Document, get
from sockwarden.store import Store

AUDITD = """\
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
SENSORS: dict[str, tuple[str, ...]] = {"audit": ("--sensor=audit",), "ebpf": ("--sensor=ebpf",)}
"""Options of `sockwarden watch` by sensor, for tests that say the same of each."""
SOCKWARDEN = Path(sys.executable).with_name("sockwarden")


class Watch:
    """`sockwarden watch` with a state folder, a runtime folder and a configuration below `folder`; by audit, unless an
    option says by what. before: a command that goes on as the watch, `setpriv` for one.

    alerts    what came on standard output so far, one document a line
    messages  what came on standard error so far, line by line
    """

    def __init__(
        self, folder: Path, *options: str, stdout: int | IO[bytes] = subprocess.PIPE, before: Sequence[str] = ()
    ) -> None:
        self.state, self.config = folder / "state", folder / "config.toml"
        if not self.config.exists():
            self.config.touch(mode=0o600)
        self.alerts: list[Document] = []
        self.messages: list[str] = []
        command = [*before, str(SOCKWARDEN), "watch", f"--state={self.state}", f"--runtime-dir={folder}/run"]
        if not any(option.startswith("--sensor") for option in options):
            command += SENSORS["audit"]
        self.process = subprocess.Popen(
            [*command, f"--config={self.config}", "--output=ndjson", *options],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200"},
        )
        readers = [(self.process.stdout, self._alert), (self.process.stderr, self._message)]
        self._threads = [threading.Thread(target=_each_line, args=reader) for reader in readers if reader[0]]
        for thread in self._threads:
            thread.start()

    def _alert(self, line: str) -> None:
        self.alerts.append(json.loads(line))

    def _message(self, line: str) -> None:
        self.messages.append(line)

    def until(self, condition: Callable[[], object], what: str, seconds: float = 15) -> None:
        """Waits for a condition while the watch runs."""
        until(lambda: condition() or self.process.poll() is not None, f"{what}; it said {self.messages}", seconds)
        assert condition(), f"{what}: the watch ended with {self.process.returncode}: {self.messages}"

    def until_watching(self) -> None:
        """Waits until the rules are in place."""
        self.until(lambda: any(line.startswith("watching") for line in self.messages), "it watches", 30)

    def until_alert(self, what: str, condition: Callable[[Document], object], seconds: float = 15) -> Document:
        """The first alert that meets a condition, waited for."""
        self.until(lambda: any(map(condition, list(self.alerts))), f"an alert: {what}", seconds)
        return next(alert for alert in self.alerts if condition(alert))

    def until_marked(self, mark: str, seconds: float = 15) -> Document:
        """The first alert on a process that had `mark` as its last argument, waited for."""
        return self.until_alert(f"of {mark}", lambda alert: marked(alert, mark), seconds)

    def until_stored(self, mark: str, seconds: float = 15) -> None:
        """Waits until the access of a process that had `mark` as its last argument is in the store."""
        self.until(lambda: any(marked(one, mark) for one in self.accesses()), f"{mark} is stored", seconds)

    def accesses(self) -> list[Document]:
        """Every access in the store."""
        return [one for one in stored(self.state) if not is_request(one)]

    def requests(self) -> list[Document]:
        """Every request in the store."""
        return list(filter(is_request, stored(self.state)))

    def decoder(self) -> tuple[int, int]:
        """The pids of the process that it began to decode requests, and of the worker that does so."""
        (overseer,) = _children(self.process.pid)
        until(lambda: _children(overseer), "there is a worker")
        return overseer, _children(overseer)[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it by a signal; its exit status."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Waits for its end; its exit status."""
        status = self.process.wait(timeout=30)
        for thread in self._threads:
            thread.join()
        return status


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_request(document: Document) -> bool:
    """Whether it is something that was asked over a connection, and no access."""
    return bool(get(document, "event.action") == "requested")


def stored(state: Path) -> list[Document]:
    """Every access and request in a store; none where there is no store yet."""
    if not (state / "sockwarden.db").exists():
        return []
    with Store(state, create=False) as store:
        return list(store.newest_accesses(1_000_000))


def marked(document: Document, mark: str) -> bool:
    """Whether the client that did this carried the mark: as it is the last argument, the title ends with it."""
    arguments = get(document, "process.args") or str(get(document, "process.title")).split()
    return arguments[-1:] == [mark]


def rule_of(alert: Document) -> str:
    """The rule or signature that made an alert."""
    return str(get(alert, "kibana.alert.rule.rule_id"))


@contextmanager
def watching(
    folder: Path, *options: str, stdout: int | IO[bytes] = subprocess.PIPE, before: Sequence[str] = ()
) -> Iterator[Watch]:
    """A watch whose rules are in place; ended by SIGTERM where the test did not end it, which must give 0."""
    watch = Watch(folder, *options, stdout=stdout, before=before)
    try:
        watch.until_watching()
        yield watch
        if watch.process.poll() is None:
            assert watch.stop() == 0, watch.messages
    finally:
        if watch.process.poll() is None:
            watch.stop()


@contextmanager
def recording(auditd: str, folder: Path, form: str = "ENRICHED") -> Iterator[Path]:
    """The log of an auditd that runs meanwhile, with no rules of its own."""
    log, config, plugins = folder / "audit.log", folder / "auditd.conf", folder / "plugins"
    plugins.mkdir(exist_ok=True)
    config.write_text(AUDITD.format(log=log, form=form, plugins=plugins), encoding="utf-8")
    config.chmod(0o640)
    daemon = subprocess.Popen([auditd, "-n", "-s", "nochange", "-c", str(folder)])
    try:
        until(lambda: daemon.poll() is not None or (f"pid {daemon.pid}\n" in auditctl("-s") and log.exists()), "auditd")
        assert daemon.poll() is None, "auditd ended at once; its reason is in the system log"
        yield log
    finally:
        daemon.terminate()
        daemon.wait(timeout=20)


def auditctl(*arguments: str) -> str:
    """What auditctl prints."""
    return run("auditctl", *arguments)


def _each_line(stream: IO[bytes], take: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            take(line.decode("utf-8", "backslashreplace").rstrip("\n"))
