"""A watch from its start to its end, and what may happen to it between: each time on the real kernel's audit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from doors import ADDRESS, FOLDER, Door
from runtimes import kept_clean, run, started_docker, until
from watching import SENSORS, SOCKWARDEN, Watch, auditctl, marked, recording, stored, watching

from sockwarden.document import Document, get
from sockwarden.sensors.audit import rules_for
from sockwarden.sensors.audit.rule import EXIT

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "door_fixtures"]

UNUSUAL = "unusual-process-runtime-socket-access"
NEVER = ("never,exit", "-F", "arch=b64", "-S", "connect")
NOBODY = 65534


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own at a folder."""
    folder.mkdir(exist_ok=True)
    run("busybox", "mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield
    finally:
        run("busybox", "umount", folder)


def fill(folder: Path) -> Path:
    """Takes all the room there is."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            return ballast
    return ballast


def store_of(state: Path) -> Path:
    return state / "sockwarden.db"


def is_about(action: str) -> Callable[[Document], bool]:
    """Whether an alert is about the watching itself, and this in particular."""
    return lambda alert: bool(get(alert, "event.action") == action)


def contains(path: Path, text: str) -> bool:
    return text in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_host_is_as_before(number: signal.Signals, door: Door, tmp_path: Path) -> None:
    before = auditctl("-s"), auditctl("-l")
    with watching(tmp_path) as watch:
        assert "enabled 1" in auditctl("-s")
        assert str(ADDRESS) in auditctl("-l")
        door.knock("once")
        assert get(watch.until_marked("once"), "sockwarden.socket.canonical") == str(ADDRESS)
        assert watch.stop(number) == 0
    assert "enabled 0" in before[0]
    assert auditctl("-l") == before[1]
    assert [one for one in stored(watch.state) if marked(one, "once")]


def test_the_end_of_its_terminal_ends_it(door: Door, tmp_path: Path, require: Callable[..., str]) -> None:
    before = auditctl("-l")
    main, terminal = os.openpty()
    command = [require("setsid"), "--ctty", str(SOCKWARDEN), "watch", *SENSORS["audit"], f"--state={tmp_path}/state"]
    watch = subprocess.Popen(
        [*command, f"--runtime-dir={tmp_path}/run"], stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    said = b""
    try:
        while b"watching" not in said:
            said += os.read(main, 4096)
        assert str(ADDRESS) in auditctl("-l")
    finally:
        os.close(main)
        watch.wait(timeout=30)
    assert auditctl("-l") == before


def test_an_ordinary_user_is_told_what_is_missing(tmp_path: Path, require: Callable[..., str]) -> None:
    tmp_path.chmod(0o777)
    # The user may pass through folders, since the interpreter may lie below root's own.
    setpriv = [require("setpriv", root=True), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    setpriv += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    command = [*setpriv, str(SOCKWARDEN), "watch", f"--state={tmp_path}/state", f"--runtime-dir={tmp_path}/run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 3
    assert "root" in done.stderr
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("first", "other"), [("audit", "audit"), ("ebpf", "ebpf"), ("ebpf", "audit")])
def test_a_second_watch_is_refused(first: str, other: str, door: Door, tmp_path: Path) -> None:
    with watching(tmp_path, *SENSORS[first]) as watch:
        second = Watch(tmp_path, *SENSORS[other])
        assert second.ended() == 3
        assert any("already running" in line and str(watch.process.pid) in line for line in second.messages)
        door.knock("still")
        watch.until_marked("still")


def killed(folder: Path) -> None:
    """A watch that ran, and was killed."""
    watch = Watch(folder)
    watch.until_watching()
    watch.process.kill()
    watch.ended()


def test_what_happened_while_it_was_killed_is_read_from_auditds_log_once(
    door: Door, tmp_path: Path, require: Callable[..., str]
) -> None:
    with recording(require("auditd"), tmp_path) as log:
        killed(tmp_path)
        door.knock("meanwhile")
        until(lambda: b"meanwhile".hex().upper() in log.read_text(), "auditd writes it")
        with watching(tmp_path) as watch:
            watch.until_marked("meanwhile")
            assert not any(map(is_about("sensor-not-watching"), watch.alerts))
        killed(tmp_path)
        with watching(tmp_path) as watch:
            door.knock("afterwards")
            watch.until_marked("afterwards")
        assert not any(marked(alert, "meanwhile") for alert in watch.alerts)
    assert [marked(one, "meanwhile") for one in stored(watch.state)].count(True) == 1


def test_what_ebpf_told_before_it_was_killed_is_not_told_again_from_auditds_log(
    door: Door, tmp_path: Path, require: Callable[..., str]
) -> None:
    marks = ("before", "meanwhile", "afterwards")
    # By a key that is not a watch's: such rules would be taken away as left over.
    rules = [
        str(rule).replace("key=sockwarden-watch", "key=permanent").split()
        for rule in rules_for(str(ADDRESS))
        if rule.filter == EXIT
    ]
    with recording(require("auditd"), tmp_path) as log, ExitStack() as undo:
        undo.callback(auditctl, "-e", "0")
        auditctl("-e", "1")
        for rule in rules:
            auditctl(*rule)
            undo.callback(auditctl, "-d", *rule[1:])
        watch = Watch(tmp_path, *SENSORS["ebpf"])
        watch.until_watching()
        door.knock("before")
        watch.until_stored("before")
        watch.process.kill()
        watch.ended()
        door.knock("meanwhile")
        until(lambda: b"meanwhile".hex().upper() in log.read_text(), "auditd writes it")
        with watching(tmp_path, *SENSORS["ebpf"]) as watch:
            door.knock("afterwards")
            watch.until_stored("afterwards")
        assert b"before".hex().upper() in log.read_text()
    told = [mark for one in stored(watch.state) for mark in marks if marked(one, mark)]
    assert sorted(told) == sorted(marks)


def test_without_auditd_the_time_it_was_killed_is_an_alert(door: Door, tmp_path: Path) -> None:
    killed(tmp_path)
    door.knock("meanwhile")
    with watching(tmp_path) as watch:
        alert = watch.until_alert("of the gap", is_about("sensor-not-watching"))
        assert "killed" in get(alert, "message")
    with watching(tmp_path) as watch:
        alert = watch.until_alert("of a stretch after an orderly end", is_about("sensor-not-watching"))
        assert "killed" not in get(alert, "message")


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (["-D"], "audit-rules-removed"),
        (["-e", "0"], "audit-disabled"),
        (["-A", *NEVER], "audit-rules-shadowed"),
    ],
)
def test_tampering_alerts_within_ten_seconds(command: list[str], action: str, door: Door, tmp_path: Path) -> None:
    with watching(tmp_path) as watch:
        auditctl(*command)
        try:
            watch.until_alert(" ".join(command), is_about(action), seconds=10)
            if command[0] != "-A":
                # The first knocks may come while auditctl's last deletions are still being put back.
                watch.until(lambda: knocked(watch, door), "it sees again")
        finally:
            if command[0] == "-A":
                auditctl("-d", *NEVER)


def knocked(watch: Watch, door: Door) -> bool:
    """Knocks, and says whether any knock was seen."""
    door.knock("sees-again")
    return any(marked(alert, "sees-again") for alert in list(watch.alerts))


@pytest.mark.parametrize("trouble", ["corrupt", "read-only", "full"])
def test_it_starts_and_alerts_without_a_store_that_works(trouble: str, door: Door, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with tmpfs(state, "size=256k,mode=0700"):
        if trouble == "corrupt":
            store_of(state).write_bytes(b"SQLite format 3\0" + os.urandom(8192))
        elif trouble == "full":
            fill(state)
        else:
            run("busybox", "mount", "-o", "remount,ro", state)
        with watching(tmp_path) as watch:
            door.knock("no-store")
            watch.until_marked("no-store")
            watch.until(lambda: any(str(state) in line for line in watch.messages), "it says which store")
    assert not any("Traceback" in line for line in watch.messages)


@pytest.mark.parametrize("trouble", ["deleted", "corrupt", "full"])
def test_it_alerts_on_while_its_store_fails(trouble: str, door: Door, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with tmpfs(state, "size=4m,mode=0700"), watching(tmp_path) as watch:
        door.knock("before")
        watch.until_stored("before")
        ballast = None
        if trouble == "deleted":
            for path in state.glob("sockwarden.db*"):
                path.unlink()
        elif trouble == "corrupt":
            for path in state.glob("sockwarden.db*"):
                with path.open("r+b") as file:
                    file.write(os.urandom(path.stat().st_size))
        else:
            ballast = fill(state)
        for number in range(40):
            door.knock(f"after-{number}")
        watch.until_marked("after-39")
        if trouble != "deleted":
            watch.until(lambda: any(str(state) in line for line in watch.messages), "it says which store")
        if ballast:
            ballast.unlink()
        if trouble != "corrupt":
            watch.until_stored("after-39", seconds=30)
    assert not any("Traceback" in line for line in watch.messages)


def test_alerts_go_on_where_nobody_reads_the_output(door: Door, tmp_path: Path) -> None:
    alerts = tmp_path / "alerts.ndjson"
    (tmp_path / "config.toml").write_text(f'[sinks.file]\npath = "{alerts}"\n', encoding="ascii")
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as output, watching(tmp_path, stdout=output) as watch:
        os.close(reading)
        for mark in ("first", "second"):
            door.knock(mark)
            watch.until_stored(mark)
            watch.until(partial(contains, alerts, mark), f"{mark} is in the file")


@pytest.mark.parametrize("sensor", SENSORS)
def test_sighup_reloads_and_reopens_the_file(sensor: str, door: Door, tmp_path: Path) -> None:
    alerts, config = tmp_path / "alerts.ndjson", tmp_path / "config.toml"
    config.write_text(f'[sinks.file]\npath = "{alerts}"\n', encoding="ascii")
    with watching(tmp_path, *SENSORS[sensor]) as watch:
        door.knock("first")
        watch.until(partial(contains, alerts, "first"), "the file has the first")
        alerts.rename(tmp_path / "alerts.1")
        config.write_text(f'[rules]\ndisable = ["{UNUSUAL}"]\n{config.read_text()}', encoding="ascii")
        watch.process.send_signal(signal.SIGHUP)
        watch.until(alerts.exists, "the file is opened anew")
        door.knock("second")
        watch.until_stored("second")
        config.write_text(config.read_text().replace(UNUSUAL, "no-such-rule"), encoding="ascii")
        said = len(watch.messages)
        watch.process.send_signal(signal.SIGHUP)
        watch.until(lambda: any("no-such-rule" in line for line in watch.messages[said:]), "a wrong file is told")
        door.knock("third")
        watch.until_stored("third")
    assert not any(marked(alert, mark) for alert in watch.alerts for mark in ("second", "third"))


def test_a_socket_bound_anew_is_followed(door: Door, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(ADDRESS)
    with watching(tmp_path) as watch:
        for number in range(5):
            door.close()
            door.open()
            door.knock(f"anew-{number}", alias)
            access = watch.until_marked(f"anew-{number}")
            assert get(access, "sockwarden.socket.canonical") == str(ADDRESS)


def test_a_renamed_socket_is_followed_and_one_moved_out_of_sight_is_an_alert(door: Door, tmp_path: Path) -> None:
    renamed, elsewhere = FOLDER / "renamed", FOLDER / "folder"
    with watching(tmp_path) as watch:
        ADDRESS.rename(renamed)
        try:
            watch.until(lambda: f"{renamed}\n" in auditctl("-l").replace(" ", "\n"), "its new name is watched")
            door.knock("renamed", renamed)
            assert get(watch.until_marked("renamed"), "sockwarden.socket.canonical") == str(ADDRESS)
            elsewhere.mkdir()
            renamed.rename(elsewhere / "moved")
            alert = watch.until_alert("of the socket out of sight", is_about("socket-out-of-sight"), seconds=70)
            assert str(ADDRESS) in get(alert, "sockwarden.health.detail")
        finally:
            renamed.unlink(missing_ok=True)
            (elsewhere / "moved").unlink(missing_ok=True)
            elsewhere.rmdir()


def test_a_dockerd_started_later_is_found(
    door: Door, client: Path, tmp_path: Path, require: Callable[..., str]
) -> None:
    daemon = require("dockerd", root=True)
    require("docker")
    with (
        watching(tmp_path) as watch,
        kept_clean("sockwarden-late-") as folder,
        started_docker(daemon, folder) as docker,
    ):
        watch.until(lambda: str(docker.socket) in auditctl("-l"), "its socket is watched", seconds=70)
        door.knock("late", docker.socket)
        assert get(watch.until_marked("late"), "sockwarden.socket.runtime") == "docker"
