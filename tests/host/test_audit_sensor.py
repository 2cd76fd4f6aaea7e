"""The audit sensor on the real kernel. The fixture `audit` holds that status and rules are afterwards as before."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sensing import connect, listen, records_of
from watching import auditctl

from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.sensors.audit import AuditSensor, list_rules, read_status, remove_leftovers
from sockwarden.sensors.audit.changes import undo
from sockwarden.sensors.audit.protocol import Control
from sockwarden.sensors.audit.runtime import Runtime

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("audit")]
pytest_plugins = ["sensor_fixtures"]

HOLDER = """
import sys
from pathlib import Path
from sockwarden.sensors.audit import AuditSensor
sensor = AuditSensor(Path(sys.argv[1]), unicast="unicast" in sys.argv)
sensor.open()
sensor.follow([sys.argv[2]])
print("watching", flush=True)
sys.stdin.read()
sensor.close()
"""

OWNER = """
import os, socket, sys
from sockwarden.sensors.audit.protocol import Control, registration
records = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
records.sendto(registration(os.getpid()), (0, 0))
with Control() as control:
    assert control.status().pid == os.getpid()
    print("owner", flush=True)
    sys.stdin.read()
    control.set_status(pid=0)
"""


@contextmanager
def another(runtime: Path, address: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A watch in a process of its own; killed at the end."""
    command = [sys.executable, "-c", HOLDER, str(runtime), str(address), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        try:
            assert holder.stdout.readline() == "watching\n"
            yield holder
        finally:
            holder.kill()


def actions(troubles: list[Trouble]) -> list[str]:
    return [trouble.action for trouble in troubles]


def test_a_connect_is_recorded(sensor: AuditSensor, address: Path) -> None:
    assert sensor.leftover is None
    assert sensor.check(0) == []
    connect(address)
    assert records_of(sensor, "PATH", os.fsencode(address))
    assert sensor.losses().overruns == sensor.losses().foreign == 0
    assert sensor.status().enabled == 1


def test_a_second_one_is_refused(sensor: AuditSensor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"already running \(pid {os.getpid()}\)"):
        AuditSensor(tmp_path / "runtime").open()
    with pytest.raises(InputError, match="already running"):
        remove_leftovers(tmp_path / "runtime")


def test_a_killed_run_is_taken_over(tmp_path: Path, address: Path) -> None:
    with another(tmp_path / "runtime", address) as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
    assert len(list_rules()) == 3
    sensor = AuditSensor(tmp_path / "runtime")
    leftover = sensor.open()
    try:
        assert leftover is not None
        assert leftover.pid == killed.pid
        assert leftover.rules == [str(rule) for rule in list_rules()]
        assert time.time() - 300 < (leftover.seen_alive or 0) <= time.time()
        assert sensor.follow([str(address)]) == []
        assert sensor.check(0) == []
        connect(address)
        assert records_of(sensor, "PATH", os.fsencode(address))
    finally:
        assert sensor.close() == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path, address: Path) -> None:
    with another(tmp_path / "runtime", address) as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
    done, failed = remove_leftovers(tmp_path / "runtime")
    assert len(done) == 5
    assert failed == []
    assert remove_leftovers(tmp_path / "runtime") == ([], [])


def test_a_later_run_knows_when_audit_was_first_enabled(tmp_path: Path) -> None:
    moments = []
    for _ in range(2):
        sensor = AuditSensor(tmp_path / "runtime")
        sensor.open()
        moments.append(Runtime(tmp_path / "runtime").enabled_at())
        assert any("started before audit was switched on" in spot.what for spot in sensor.blind_spots())
        assert sensor.close() == []
    assert moments[0] == moments[1] is not None


def test_removed_rules_are_put_back_and_told_once(sensor: AuditSensor, address: Path) -> None:
    auditctl("-D")
    (trouble,) = sensor.check(0)
    assert trouble.action == "audit-rules-removed"
    assert str(address) in trouble.detail
    assert sensor.check(2) == []
    connect(address)
    assert records_of(sensor, "PATH", os.fsencode(address))


def test_audit_switched_off_is_switched_on_and_told_each_time(sensor: AuditSensor) -> None:
    for now in (0, 4):
        auditctl("-e", "0")
        assert actions(sensor.check(now)) == ["audit-disabled"]
        assert sensor.check(now + 2) == []
    assert sensor.status().enabled == 1


@pytest.mark.parametrize(
    ("rule", "hidden"),
    [
        ("never,exit -F arch=b64 -S connect -F uid=33", "(connect)"),
        ("never,exit -F arch=b32 -S all", "socketcall"),
        ("never,exit -S all -F exe=/usr/bin/curl", "connect"),
        ("never,exit -F arch=b64 -S all -F path={address}", "connect"),
        ("never,exit -F arch=b64 -S connect -F dir={folder}", "connect"),
        ("never,exit -F arch=b64 -S all -F path={address} -F perm=rw", "(creat, open, openat, openat2)"),
        ("never,exit -F arch=b64 -S execve -F path={address} -F perm=x", "(execve)"),
        ("never,exit -F arch=b64 -S execve -F path={address} -F perm=wa", ""),
        ("never,task", "every process that starts"),
        ("always,exclude -F msgtype=CWD", "CWD records"),
        ("never,exclude -F uid=33", "SYSCALL, PATH, SOCKADDR, CWD, URINGOP"),
        ("never,exclude -F msgtype>=1300 -F msgtype<1305", "SYSCALL, PATH records"),
        ("never,exit -F arch=b64 -S unlink", ""),
        ("never,exit -F arch=b64 -S connect -F path=/run/other.sock", ""),
        ("never,exit -F arch=b64 -S connect -F dir=/etc", ""),
        ("always,exit -F arch=b64 -S connect -k netconn", ""),
        ("never,exclude -F msgtype=USER_LOGIN", ""),
        ("never,filesystem -F fstype=tracefs", ""),
        ("never,user -F uid=5", ""),
    ],
)
def test_a_rule_that_hides_accesses_is_told_once(sensor: AuditSensor, address: Path, rule: str, hidden: str) -> None:
    words = rule.format(address=address, folder=address.parent).split()
    auditctl("-A", *words)
    try:
        troubles = sensor.check(0)
        assert sensor.check(2) == []
    finally:
        auditctl("-d", *words)
    assert actions(troubles) == (["audit-rules-shadowed"] if hidden else [])
    assert not hidden or hidden in troubles[0].message
    assert sensor.check(4) == []


def test_a_never_rule_after_ours_hides_nothing(sensor: AuditSensor) -> None:
    rule = ["never,exit", "-F", "arch=b64", "-S", "connect"]
    auditctl("-a", *rule)
    try:
        assert sensor.check(0) == []
    finally:
        auditctl("-d", *rule)


def test_a_changed_status_is_told_and_left(sensor: AuditSensor) -> None:
    auditctl("-r", "1000")
    auditctl("-b", "100")
    try:
        assert {trouble.detail for trouble in sensor.check(0)} == {"rate_limit 1000", "backlog_limit 100"}
        assert sensor.check(2) == []
        sensor.close()
        assert (read_status().rate_limit, read_status().backlog_limit) == (1000, 100)
    finally:
        auditctl("-r", "0")
        auditctl("-b", "64")


def test_a_socket_made_again_is_followed(sensor: AuditSensor, address: Path) -> None:
    address.unlink()
    with listen(address):
        connect(address)
        assert records_of(sensor, "PATH", b" inode=%d " % address.stat().st_ino)
    assert sensor.check(0) == []


def test_a_folder_made_again_is_followed_and_told(sensor: AuditSensor, address: Path) -> None:
    old = address.parent.rename(address.parent.with_name("old"))
    assert sensor.check(0) == []
    assert [unwatched.why for unwatched in sensor.unwatched()] == ["its folder does not exist"]
    address.parent.mkdir()
    with listen(address):
        assert actions(sensor.check(2)) == ["socket-out-of-sight"]
        assert sensor.check(4) == []
        connect(address)
        assert records_of(sensor, "PATH", b" inode=%d " % address.stat().st_ino)
    assert old.exists()


def test_a_watched_folder_made_again_is_followed(sensor: AuditSensor, tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    sensor.follow([], [str(shims)])
    shims.rmdir()
    assert sensor.check(0) == []
    shims.mkdir()
    assert sensor.follow([], [str(shims)]) == []
    assert actions(sensor.check(2)) == ["socket-out-of-sight"]
    with listen(shims / "s.sock"):
        connect(shims / "s.sock")
        assert records_of(sensor, "PATH", os.fsencode(shims / "s.sock"))


def test_a_rule_that_the_kernel_refuses_is_not_tried_again_and_again(
    sensor: AuditSensor, address: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (refused,) = sensor.follow([str(address), str(tmp_path / "file" / "docker.sock")])
    assert "the kernel refused the rule" in refused.why
    while sensor.receive(1000):
        pass
    assert [sensor.check(now) for now in (0, 2)] == [[], []]
    assert sensor.receive(1000) == []
    assert sensor.unwatched() == [refused]


def test_folders_and_what_is_not_there(sensor: AuditSensor, address: Path, tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    refused = sensor.follow([str(address), "/nonexistent/x.sock"], [str(shims), "/nonexistent"])
    assert [(unwatched.path, unwatched.why) for unwatched in refused] == [
        ("/nonexistent/x.sock", "its folder does not exist"),
        ("/nonexistent", "the folder does not exist"),
    ]
    assert len(list_rules()) == 6
    with listen(shims / "s.sock"):
        connect(shims / "s.sock")
        assert records_of(sensor, "PATH", os.fsencode(shims / "s.sock"))
    sensor.follow([str(address)])
    assert len(list_rules()) == 3


def test_rules_that_would_take_too_long_to_remove_are_left_and_told(sensor: AuditSensor, address: Path) -> None:
    sensor.follow([str(address), f"{address}.2"])
    with Control() as control:
        assert undo(control, None, patience=0) == (
            [],
            ["6 rules (0 s were not enough; `sockwarden setup audit remove` does it)"],
        )
        assert len(undo(control, None)[0]) == 6


def test_an_overflow_is_counted_and_told(sensor: AuditSensor, address: Path) -> None:
    with socket.socket(fileno=os.dup(sensor.fileno())) as records:
        records.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(10):
        connect(address)
    sensor.receive(1000)
    (trouble,) = sensor.check(0)
    assert trouble.action == "audit-records-lost"
    assert sensor.losses().overruns >= 1
    assert (sensor.losses().dropped or 0) > 0
    assert f"dropped {sensor.losses().dropped}," in trouble.detail


def test_forged_records_are_not_taken(sensor: AuditSensor) -> None:
    with socket.socket(fileno=os.dup(sensor.fileno())) as records:
        port = records.getsockname()[0]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as forger:
        forger.sendto(b"\0" * 16 + b"audit(1.000:1): ", (port, 0))
    assert all(b"audit(1.000:1)" not in datagram for datagram in sensor.receive(1000))
    assert sensor.losses().foreign == 1


def test_unicast_owns_audit_and_gives_it_back(tmp_path: Path, address: Path) -> None:
    sensor = AuditSensor(tmp_path / "runtime", unicast=True)
    sensor.open()
    try:
        assert sensor.follow([str(address)]) == []
        assert read_status().pid == os.getpid()
        connect(address)
        assert records_of(sensor, "PATH", os.fsencode(address))
        assert sensor.check(0) == []
    finally:
        assert sensor.close() == []
    assert read_status().pid == 0


def test_unicast_is_refused_where_audit_has_an_owner(tmp_path: Path, address: Path) -> None:
    with another(tmp_path / "other", address, "unicast") as owner:
        with pytest.raises(InputError, match=rf"owns audit \(pid {owner.pid}\)"):
            AuditSensor(tmp_path / "runtime", unicast=True).open()
        owner.communicate(timeout=30)
    assert not (tmp_path / "runtime" / "audit.json").exists()


def test_the_status_is_left_to_an_auditd_that_came_since(tmp_path: Path) -> None:
    sensor = AuditSensor(tmp_path / "runtime")
    sensor.open()
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "owner\n"
        assert sensor.close() == []
        assert (read_status().enabled, read_status().backlog_limit) == (1, 8192)
        owner.communicate(timeout=30)
    auditctl("-e", "0")
    auditctl("-b", "64")
