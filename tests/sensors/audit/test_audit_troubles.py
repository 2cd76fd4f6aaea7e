"""What is told of losses, status and blind spots; rules that hide are in tests/host, made by auditctl."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from sockwarden.sensors.audit.blind import Audit, blind_spots, tasks
from sockwarden.sensors.audit.losses import Loss
from sockwarden.sensors.audit.protocol import Status
from sockwarden.sensors.audit.rule import NEVER, TASK, Rule
from sockwarden.sensors.audit.tamper import harmful
from sockwarden.sensors.limits import BlindSpot

GOOD = Status(
    enabled=1, failure=1, pid=0, rate_limit=0, backlog_limit=8192, lost=5, backlog=0, features=0, backlog_wait_time=0
)


def lost(count: int) -> Status:
    return msgspec.structs.replace(GOOD, lost=count)


def test_losses_are_told_with_figures_and_not_too_often() -> None:
    loss = Loss()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as records:
        loss.start(lost(5))
        loss.count(lost(5), records)
        assert loss.tell(0, GOOD) == []
        loss.count(lost(7), records)
        (first,) = loss.tell(1, GOOD)
        assert first.action == "audit-records-lost"
        assert "lost 2 audit records" in first.message
        loss.count(lost(8), records)
        assert loss.tell(10.9, GOOD) == []
        loss.count(lost(10), records)
        (second,) = loss.tell(11, GOOD)
        assert second.detail == "dropped 0, overruns 0, lost 3"
        assert loss.tell(100, GOOD) == []


def test_a_counter_that_was_reset_is_counted_on() -> None:
    loss = Loss()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as records:
        loss.start(lost(100))
        for count in (103, 0, 4):
            loss.count(lost(count), records)
    assert loss.losses.kernel == 7


def test_overruns_alone_are_told() -> None:
    loss = Loss()
    loss.overruns = 1
    (told,) = loss.tell(0, GOOD)
    assert "an unknown number" in told.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"rate_limit": 9}, ["rate_limit 9"]),
        ({"failure": 2, "enabled": 2}, ["enabled 2", "failure 2"]),
        ({"backlog_limit": 100}, ["backlog_limit 100"]),
        ({"backlog_limit": 0}, []),
    ],
)
def test_harmful_status(change: dict[str, int], told: list[str]) -> None:
    assert [trouble.detail for trouble in harmful(msgspec.structs.replace(GOOD, **change), 8192)] == told


def test_a_running_process_is_listed_with_its_start_whatever_its_name() -> None:
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b') 1 (\\xff'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = {task.pid: task for task in tasks({os.getgid()})}
        assert os.getpid() not in found
        assert Path(found[child.pid].executable).samefile(f"/proc/{child.pid}/exe")
        started = found[child.pid].started
        before, after = (
            blind_spots(Audit(moment, 0, [], True), {os.getgid()}, has_tcp=False, has_abstract=False)
            for moment in (started - 1, started)
        )
        assert counted(after) > counted(before)
        child.communicate()


def counted(spots: list[BlindSpot]) -> int:
    return next((int(spot.what.split()[0]) for spot in spots if "before audit was switched on" in spot.what), 0)


def test_without_a_group_only_roots_are_listed() -> None:
    for task in tasks(()):
        with suppress(OSError):
            status = Path(f"/proc/{task.pid}/status").read_text(encoding="utf-8", errors="replace")
            assert "0" in status.split("\nUid:", 1)[1].split("\n", 1)[0].split()


@pytest.mark.parametrize(
    ("audit", "flags", "expected"),
    [
        (Audit(None, 0, [], True), {}, "if there are any"),
        (Audit(None, os.getpid(), [], True), {}, f"started before auditd (pid {os.getpid()})"),
        (Audit(None, 0, [Rule(TASK, NEVER, 0, ())], True), {}, "-a never,task"),
        (Audit(None, 0, [], False), {}, "connect and open by io_uring"),
        (Audit(None, 0, [], True), {"has_tcp": True}, "(TCP)"),
        (Audit(None, 0, [], True), {"has_abstract": True}, "(abstract)"),
        (Audit(None, 0, [], True), {}, "renamed"),
    ],
)
def test_blind_spots(audit: Audit, flags: dict[str, bool], expected: str) -> None:
    spots = blind_spots(audit, {os.getgid()}, **{"has_tcp": False, "has_abstract": False} | flags)
    assert [spot for spot in spots if expected in spot.what]
    assert all(spot.why and spot.todo for spot in spots)
