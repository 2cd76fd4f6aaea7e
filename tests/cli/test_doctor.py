"""`sockwarden doctor` as far as it needs no root, and how it judges what it finds."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sockwarden.errors import InputError
from sockwarden.pipeline import permanent_rules
from sockwarden.pipeline.doctor import Finding, canary, kernel, programs
from sockwarden.pipeline.doctor.canary import Sight
from sockwarden.pipeline.doctor.host import Host, Survey, Watcher, covers, watcher
from sockwarden.pipeline.running import Running, announce, withdraw
from sockwarden.sensors.audit import Rule, Status, rules_for
from sockwarden.sensors.audit.rule import ALWAYS, ARCH, EQUAL, EXIT, KEY, NEVER, Field, mask
from sockwarden.sensors.ebpf.ladder import Rung

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()", "doctor"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def test_findings_and_exit_code_agree(tmp_path: Path) -> None:
    result = run("--json", "--state", str(tmp_path), "--runtime-dir", str(tmp_path))
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert {finding["state"] for finding in findings} <= {"ok", "warn", "fail"}
    assert result.returncode == any(finding["state"] == "fail" for finding in findings)
    names = {finding["name"] for finding in findings}
    assert {"privileges", "list of sockets", "configuration", "store", "service", "watch"} <= names
    assert not result.stderr and not list(tmp_path.iterdir()), "looking changes nothing"


def test_text_names_the_mend(tmp_path: Path) -> None:
    result = run("--state", str(tmp_path), "--runtime-dir", str(tmp_path))
    assert "watch: none runs" in result.stdout or "without root" in result.stdout
    assert "     → " in result.stdout and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--jsn"], "No such option"), (["--state"], "requires an argument"), (["extra"], "unexpected extra argument")],
)
def test_wrong_usage_has_one_clear_message(arguments: Sequence[str], says: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.lower().count("error:") == 1 and says in result.stderr


def test_a_damaged_store_is_red(tmp_path: Path) -> None:
    (tmp_path / "sockwarden.db").write_bytes(b"no database at all " * 500)
    result = run("--json", "--state", str(tmp_path), "--runtime-dir", str(tmp_path))
    (found,) = (finding for finding in map(json.loads, result.stdout.splitlines()) if finding["name"] == "store")
    assert (found["state"], result.returncode) == ("fail", 1)
    assert str(tmp_path) in found["message"] and found["todo"]


def status(**members: int) -> Status:
    plain = dict.fromkeys(Status.__struct_fields__, 0) | {"enabled": 1, "failure": 1, "backlog_limit": 8192}
    return Status(**plain | members)


@pytest.mark.parametrize(
    ("members", "watching", "state", "says"),
    [
        ({}, False, "ok", "enabled 1, failure 1, rate_limit 0, backlog 0 of 8192, lost 0"),
        ({"backlog_limit": 0}, False, "ok", "backlog 0 of 0"),  # no limit
        ({"enabled": 0}, False, "warn", "switched off"),
        ({"enabled": 0}, True, "fail", "while a watch runs"),
        ({"enabled": 2}, False, "fail", "locked"),
        ({"failure": 2}, False, "fail", "stops the machine"),
        ({"rate_limit": 100}, False, "warn", "beyond 100 a second"),
        ({"backlog_limit": 64}, False, "warn", "short"),
    ],
)
def test_audits_status(members: dict[str, int], watching: bool, state: str, says: str) -> None:
    host = Host(Path("/nonexistent"), status=status(**members), watcher=Watcher(1, None) if watching else None)
    (finding,) = kernel.audit(host)
    assert finding.state == state and says in finding.message
    assert (finding.state == "ok") is (not finding.todo)


@pytest.mark.parametrize("members", [{}, {"enabled": 0}, {"enabled": 2}, {"failure": 2}, {"lost": 7}])
def test_audit_is_not_red_where_the_watch_does_without_it(members: dict[str, int]) -> None:
    host = Host(Path("/nonexistent"), status=status(**members), watcher=Watcher(1, None, "ebpf", "lsm"))
    (finding,) = kernel.audit(host)
    assert (finding.state, finding.todo) == ("ok", "") and "ebpf (lsm) does without it" in finding.message
    host.rules = rules_for("/run/docker.sock", key=permanent_rules.KEY)
    (finding,) = kernel.audit(host)
    assert (finding.state == "warn") is (members.get("enabled") == 0)


RUNGS = (Rung("lsm", InputError("not active")), Rung("fentry"), Rung("kprobe"), Rung("tracepoint"))


@pytest.mark.parametrize(
    ("watcher", "use", "only", "rungs", "state", "says"),
    [
        (None, "auto", None, RUNGS, "ok", "a watch takes ebpf (fentry)"),
        (None, "auto", None, RUNGS[3:], "warn", "a watch takes ebpf (tracepoint), the lowest rung"),
        (None, "ebpf", "tracepoint", RUNGS, "ok", "a watch takes ebpf (tracepoint)"),
        (None, "audit", None, RUNGS, "ok", "a watch takes audit, as the settings say"),
        (None, "auto", None, RUNGS[:1], "warn", "a watch takes audit, since eBPF cannot be used here"),
        (None, "ebpf", "lsm", RUNGS, "fail", "a watch does not start: the settings ask for ebpf, and its rung lsm"),
        (Watcher(1, 0, "ebpf", "fentry"), "auto", None, RUNGS, "ok", "the watch runs on ebpf (fentry)"),
        (Watcher(1, 0, "ebpf", "tracepoint"), "auto", None, RUNGS, "warn", "though ebpf (fentry) works here"),
        (Watcher(1, 0, "audit"), "auto", None, RUNGS, "warn", "though ebpf (fentry) works here"),
        (Watcher(1, 0, "audit"), "audit", None, RUNGS, "ok", "the watch runs on audit"),
        (Watcher(1, 0, "audit"), "auto", None, RUNGS[:1], "ok", "the watch runs on audit"),
        (Watcher(1, 0), "auto", None, RUNGS, "warn", "does not say by what"),
    ],
)
def test_by_what_is_watched(
    watcher: Watcher | None,
    use: str,
    only: str | None,
    rungs: tuple[Rung, ...],
    state: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    host = Host(Path("/nonexistent"), watcher=watcher, use=use, only=only, survey=Survey(rungs))
    (finding,) = programs.sensor(host)
    assert finding.state == state and says in finding.message, finding
    assert (finding.state == "ok") is (not finding.todo)


def test_lost_records_are_told() -> None:
    findings = list(kernel.audit(Host(Path("/nonexistent"), status=status(lost=12345))))
    assert [(one.name, one.state) for one in findings] == [("kernel audit", "ok"), ("records lost", "warn")]
    assert "12,345" in findings[1].message


def connect_rule(*fields: Field, calls: Sequence[int] = (42,), action: int = ALWAYS) -> Rule:
    return Rule(EXIT, action, mask(calls), (Field(ARCH, EQUAL, 0xC000003E), *fields, Field(KEY, EQUAL, b"other")))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_what_records_a_connect() -> None:
    native, compat, io_uring = rules_for("/run/docker.sock")
    below, *_ = rules_for("/run/containerd/s", folder=True)
    uid = Field(1, EQUAL, 0)
    table = [
        (native, "/run/docker.sock", True),
        (native, "/run/docker.sock2", False),
        (compat, "/run/docker.sock", False),  # an i386 program's calls alone
        (io_uring, "/run/docker.sock", False),
        (below, "/run/containerd/s/abc", True),
        (below, "/run/containerd/sx", False),
        (connect_rule(), "/run/docker.sock", True),
        (connect_rule(calls=[41]), "/run/docker.sock", False),
        (connect_rule(action=NEVER), "/run/docker.sock", False),
        (connect_rule(uid), "/run/docker.sock", False),  # some connects only
    ]
    assert [covers(rule, path) for rule, path, _ in table] == [expected for _, _, expected in table]


def test_a_rule_on_a_linked_path_counts(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    native, *_ = rules_for(f"{tmp_path}/link/x.sock")
    assert covers(native, f"{tmp_path}/real/x.sock") is True


def test_the_watch_is_who_holds_the_lock(tmp_path: Path) -> None:
    assert watcher(tmp_path) is None
    with (tmp_path / "lock").open("w") as lock:
        lock.write("1\n")  # a pid that a killed watch left says nothing
        lock.flush()
        assert watcher(tmp_path) is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = watcher(tmp_path)
        assert found is not None and found.pid == os.getpid() and found.since is not None
        assert (found.sensor, found.hook) == ("", "")
        announce(tmp_path, Running(os.getpid() + 1, "audit"))
        found = watcher(tmp_path)
        assert found is not None and found.sensor == "", "what a killed watch left says nothing"
        announce(tmp_path, Running(os.getpid(), "ebpf", "lsm"))
        found = watcher(tmp_path)
        assert found is not None and (found.sensor, found.hook) == ("ebpf", "lsm")
        withdraw(tmp_path)
        withdraw(tmp_path)
    assert watcher(tmp_path) is None


def test_the_canary_says_who_it_is(tmp_path: Path) -> None:
    with canary.announced(tmp_path):
        said = json.loads((tmp_path / "canary").read_bytes())
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        assert said == {"pid": os.getpid(), "start": int(fields[19])}
        assert (tmp_path / "canary").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.iterdir())


def judged(sight: Sight, tmp_path: Path, *, expected: bool, watching: bool) -> Finding:
    (found,) = canary.judge(
        [sight], expected={sight.path} if expected else set(), watching=watching, state=tmp_path / "none"
    )
    return found


def test_the_canarys_colours(tmp_path: Path) -> None:
    unseen = Sight("/run/x.sock", ("00:18", 7))
    seen = Sight("/run/x.sock", ("00:18", 7), identity="ab", key="netconn", refused="connection refused")
    assert judged(unseen, tmp_path, expected=False, watching=False).state == "warn"
    assert judged(unseen, tmp_path, expected=True, watching=False).state == "fail"
    assert judged(unseen, tmp_path, expected=False, watching=True).state == "fail"
    assert judged(seen, tmp_path, expected=True, watching=False).state == "ok"
    without_store = judged(seen, tmp_path, expected=True, watching=True)
    assert without_store.state == "fail" and "no store yet" in without_store.message
