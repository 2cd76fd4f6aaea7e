"""Downtime: what the log has of it, and when it is said not to be covered."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sockwarden.document import Document, get
from sockwarden.literals import Wanted
from sockwarden.pipeline.gap import Gap, RunState, ToldBefore, log_of, unrecorded
from sockwarden.pipeline.replay import Replay
from sockwarden.sensors.audit import rules_for
from sockwarden.sockets import packaged

BEGIN = 1_700_000_000.0
LAST = RunState("boot", BEGIN)


def access(second: float, serial: int) -> str:
    stamp = f"audit({second:.3f}:{serial}):"
    return (
        f"type=SYSCALL msg={stamp} arch=c000003e syscall=42 success=yes exit=0 a0=3 items=1 ppid=1 pid=9 uid=0 "
        f'comm="c" exe="/c" key=(null)\n'
        f"type=SOCKADDR msg={stamp} saddr=0100{b'/run/docker.sock'.hex().upper()}00\n"
        f'type=CWD msg={stamp} cwd="/"\n'
        f'type=PATH msg={stamp} item=0 name="/run/docker.sock" inode=5 dev=00:18 mode=0140660 nametype=NORMAL\n'
        f'type=PROCTITLE msg={stamp} proctitle="c"\n'
    )


def record(second: float, serial: int, kind: str, text: str) -> str:
    return f"type={kind} msg=audit({second:.3f}:{serial}): {text}\n"


def written(path: Path, text: str, last: float) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    os.utime(path, (last, last))
    return path


def read(log: Path | None, recorded: str = "") -> tuple[list[int], str]:
    """Serials of the accesses of the minute that BEGIN starts, and why it is not covered."""
    gap = Gap(LAST, BEGIN + 60, log=log, recorded=recorded)
    replay = Replay(packaged(), Wanted(everything=True))
    serials = [get(document, "event.sequence") for document in gap.documents(replay)]
    trouble = gap.trouble()
    assert (trouble is None) == (gap.uncovered == "")
    return serials, trouble.message if trouble else ""


def test_what_lies_within_is_read_and_nothing_else(tmp_path: Path) -> None:
    text = "".join(access(BEGIN + second, number) for number, second in enumerate((-30, -1, 10, 59, 90), 1))
    assert read(written(tmp_path / "audit.log", text, BEGIN + 90)) == ([2, 3, 4], "")


def test_rotated_files_that_reach_into_it_are_read(tmp_path: Path) -> None:
    written(tmp_path / "audit.log.2", access(BEGIN - 100, 1), BEGIN - 100)
    written(tmp_path / "audit.log.1", access(BEGIN - 50, 2) + access(BEGIN + 5, 3), BEGIN + 5)
    log = written(tmp_path / "audit.log", access(BEGIN + 6, 4), BEGIN + 6)
    assert read(log) == ([3, 4], "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (access(BEGIN + 30, 1), "the audit log begins at"),
        (access(BEGIN - 5, 1) + record(BEGIN + 9, 2, "DAEMON_END", "op=terminate res=success"), "were changed at"),
        (access(BEGIN - 5, 1) + record(BEGIN + 9, 2, "DAEMON_START", "op=start ver=3.0.9"), "were changed at"),
        (access(BEGIN - 5, 1) + record(BEGIN + 9, 2, "CONFIG_CHANGE", "op=remove_rule key=(null)"), "were changed at"),
        (access(BEGIN - 5, 1) + record(BEGIN + 9, 2, "CONFIG_CHANGE", "op=set audit_enabled=0 old=1"), "were changed"),
    ],
)
def test_what_the_log_does_not_cover_is_said(text: str, why: str, tmp_path: Path) -> None:
    _, message = read(written(tmp_path / "audit.log", text, BEGIN + 30))
    assert message.startswith("Not watched from 2023-11-14 22:13:20 UTC to 2023-11-14 22:14:20 UTC (60 s)")
    assert "the last watch was killed" in message
    assert why in message


def test_changes_outside_of_it_do_not_matter(tmp_path: Path) -> None:
    changes = record(BEGIN - 9, 1, "DAEMON_START", "op=start ver=3") + record(
        BEGIN + 70, 2, "DAEMON_END", "op=terminate"
    )
    assert read(written(tmp_path / "audit.log", changes + access(BEGIN + 9, 3), BEGIN + 70)) == ([3], "")


def test_without_rules_what_the_log_has_is_read_all_the_same(tmp_path: Path) -> None:
    log = written(tmp_path / "audit.log", access(BEGIN - 5, 1) + access(BEGIN + 5, 2), BEGIN + 30)
    serials, message = read(log, "no audit rules were in place")
    assert serials == [2]
    assert message.endswith("the last watch was killed, and no audit rules were in place")


def test_no_log_and_a_broken_one_are_told(tmp_path: Path) -> None:
    assert "no auditd writes a log here" in read(None)[1]
    assert "there is no audit log" in read(tmp_path / "audit.log")[1]
    assert "could not be read" in read(written(tmp_path / "audit.log", "\0\1\2" * 100, BEGIN + 30))[1]
    assert "nothing was written" in read(written(tmp_path / "audit.log", access(BEGIN - 90, 1), BEGIN - 90))[1]


def test_how_the_last_watch_ended_is_said(tmp_path: Path) -> None:
    gap = Gap(RunState("boot", BEGIN, "SIGTERM"), BEGIN + 7200, log=None, recorded="")
    assert list(gap.documents(Replay(packaged(), Wanted(everything=True)))) == []
    trouble = gap.trouble()
    assert trouble
    assert "(2 hours): the last watch ended by SIGTERM" in trouble.message
    assert trouble.detail == f"{datetime.fromtimestamp(BEGIN, UTC):%Y-%m-%d %H:%M:%S} UTC to 2023-11-15 00:13:20 UTC"


def test_the_state_of_a_run_is_kept(tmp_path: Path) -> None:
    assert RunState.load(tmp_path) is None
    state = RunState("b", 12.5, "SIGINT")
    state.save(tmp_path)
    assert RunState.load(tmp_path) == state
    for text in (b"", b"[]", b'{"boot": 1}', b"\xff\xfe"):
        (tmp_path / "watch.json").write_bytes(text)
        assert RunState.load(tmp_path) is None


def test_nobody_owns_audit_so_there_is_no_log() -> None:
    assert log_of(0) is None
    assert log_of(2**22 + 1) is None


def test_rules_that_were_in_place_count_whosever_they_are() -> None:
    docker, shim = "/run/docker.sock", "/run/containerd/s/1"
    killed, permanent = rules_for(docker), rules_for("/run/containerd/s", folder=True, key=b"sockwarden")
    assert unrecorded([*killed, *permanent], [docker, shim]) == ""
    assert unrecorded(killed, [docker, shim]) == f"no audit rules were in place for {shim}"
    assert unrecorded(killed[:1], [docker]) == f"no audit rules were in place for {docker}", "one ABI is not all"
    assert unrecorded([], []) == ""


def told(second: float, sensor: str = "ebpf", pid: int = 9) -> Document:
    return {
        "@timestamp": f"{datetime.fromtimestamp(BEGIN + second, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "event": {"action": "connected-to"},
        "process": {"pid": pid},
        "sockwarden": {"sensor": {"name": sensor}, "socket": {"canonical": "/run/docker.sock"}},
    }


def test_what_another_sensor_told_is_not_told_again() -> None:
    """Twice at once, once more than it was told; another process; and what audit told itself, which has its id."""
    accesses = [told(1), told(0.5), told(0.2, pid=7), told(0.1, "audit"), told(-1), told(-3)]
    before = ToldBefore(LAST, accesses)
    found = [(second, before.has(told(second, "audit"))) for second in (0.495, 0.505, 0.2, 0.1, -1, -3)]
    assert found == [(0.495, True), (0.505, False), (0.2, False), (0.1, False), (-1, True), (-3, False)]
