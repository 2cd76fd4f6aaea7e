"""Permanent rules in the real kernel, by the real auditctl."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sockwarden.pipeline import rules_file
from sockwarden.sensors.audit import OUR_KEY, list_rules, rules_for
from sockwarden.sensors.audit.protocol import Control

pytestmark = pytest.mark.host

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()", "setup", "audit"]
FILE = rules_file.FILES["auditd"]


def run(*arguments: str, program: list[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*program, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def auditctl(*arguments: str) -> str:
    return run(*arguments, program=["auditctl"]).stdout


@pytest.fixture
def untouched(audit: None) -> Iterator[None]:
    """Neither file nor rules of ours before and, whatever happened, after."""
    if not FILE.parent.is_dir() or FILE.exists():
        pytest.skip(f"{FILE.parent} is not there, or is in use")
    yield
    FILE.unlink(missing_ok=True)
    auditctl("-D")
    auditctl("-e", "0")


def keys() -> list[bytes]:
    return [key for rule in list_rules() for key in rule.keys]


def test_apply_and_remove(untouched: None) -> None:
    first = run("apply", "--for", "auditd")
    assert first.returncode == 0, first.stderr
    loaded = [str(rule) for rule in list_rules()]
    assert f"add {len(loaded)} rules" in first.stdout and set(keys()) == {b"sockwarden"}
    assert "enabled 0" in first.stdout
    assert FILE.stat().st_mode & 0o7777 == 0o640
    assert "nothing to do" in run("apply", "--for", "auditd").stdout
    assert [str(rule) for rule in list_rules()] == loaded
    removed = run("remove", "--for", "auditd")
    assert f"delete {len(loaded)} rules" in removed.stdout
    assert not FILE.exists() and not list_rules()
    again = run("remove", "--for", "auditd")
    assert (again.returncode, again.stdout.count("nothing to do")) == (0, 1)


def test_rules_of_others_stay(untouched: None) -> None:
    """Also the watch's own, whose key begins with ours: `auditctl -D -k sockwarden` would take these too."""
    auditctl("-a", "always,exit", "-F", "arch=b64", "-S", "connect", "-k", "netconn")
    with Control() as control:
        control.add(rules_for("/run/docker.sock", key=OUR_KEY)[0])
        control.add(rules_for("/run/forgotten.sock", key=b"sockwarden")[0])
    others = [rule for rule in list_rules() if b"sockwarden" not in rule.keys]
    result = run("apply", "--for", "auditd")
    assert "delete 1 rule;" in result.stdout or "delete 1 rule\n" in result.stdout
    assert list_rules()[:2] == others, "rules of ours come after those that were there"
    assert "forgotten" not in auditctl("-l")
    with Control() as control:  # so that `remove` finds a killed watch's rule only where it should
        control.delete(rules_for("/run/docker.sock", key=OUR_KEY)[0])
    run("remove", "--for", "auditd")
    assert [str(rule) for rule in list_rules()] == [str(others[0])]


def test_remove_takes_what_a_killed_watch_left(untouched: None) -> None:
    with Control() as control:
        control.add(rules_for("/run/docker.sock")[0])
    result = run("remove", "--for", "auditd")
    assert "left by a watch that was killed: " in result.stdout
    assert not list_rules()


def test_auditctl_takes_the_file(untouched: None, tmp_path: Path) -> None:
    """All but the folders that are not there, and with these in it the rules of the next file as well."""
    text = run("print", "--for", "auditd").stdout
    text = text.replace(
        "-c\n", "-c\n-a always,exit -F arch=b64 -S connect -F path=/no/such/folder/s -F key=sockwarden\n"
    )
    rules = tmp_path / "some.rules"
    rules.write_text(text + "-a always,exit -F arch=b64 -S connect -k later\n")
    told = run("-R", str(rules), program=["auditctl"])
    assert re.findall("error in line ([0-9]+)", told.stderr + told.stdout) == [str(text.splitlines().index("-c") + 2)]
    assert len(list_rules()) == sum(line.startswith("-a ") for line in text.splitlines())
    assert keys()[-1] == b"later"


def test_a_socket_found_by_its_listener_is_covered(untouched: None, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("/run/balena.sock")
        try:
            listener.listen()
            run("apply", "--for", "auditd")
            assert "path=/run/balena.sock" in auditctl("-l")
        finally:
            Path("/run/balena.sock").unlink()


def test_an_audit_that_would_panic_is_refused(untouched: None) -> None:
    auditctl("-f", "2")
    try:
        result = run("apply", "--for", "auditd")
        assert result.returncode == 3 and "failure 2" in result.stderr and "--folder" in result.stderr
        assert not FILE.exists() and not list_rules()
    finally:
        auditctl("-f", "1")


def test_a_user_is_told_what_root_is_for(require: Callable[..., str]) -> None:
    """Run as nobody, who may not read the program's files: it is imported before the privilege is dropped."""
    require("auditctl", root=True)
    program = (
        "import os, encodings.ascii\nfrom sockwarden.cli import main\nimport sockwarden.cli.setup\n"
        "os.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\nmain.main()"
    )
    as_nobody = [sys.executable, "-c", program, "setup", "audit"]
    for command in ("apply", "remove"):
        result = run(command, "--for", "auditd", program=as_nobody)
        assert result.returncode == 3, result.stderr
        assert "needs root" in result.stderr and f"sudo sockwarden setup audit {command}" in result.stderr
    printed = run("print", "--for", "auditd", program=as_nobody)
    assert printed.returncode == 0 and "path=/run/docker.sock" in printed.stdout and "Without root" in printed.stderr
