"""`sockwarden setup audit` as far as it needs no root: the texts, the file, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sockwarden.pipeline import permanent_rules

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()", "setup", "audit"]


# Who may pass through folders, since the interpreter may lie below root's own.
SETPRIV = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+dac_read_search"
AS_USER = [*SETPRIV.split(), "--ambient-caps=-all,+dac_read_search"] if os.geteuid() == 0 else []


def run(*arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*prefix, *PROGRAM, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def rules_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("-a ")]


def test_the_same_rules_for_every_reader() -> None:
    texts = {reader: run("print", "--for", reader) for reader in ("auditd", "auditbeat", "auditd-manager")}
    assert [result.returncode for result in texts.values()] == [0, 0, 0]
    without_uring = [
        [rule for rule in rules_of(result.stdout) if "io_uring -S" not in rule] for result in texts.values()
    ]
    assert without_uring[0] == without_uring[1] == without_uring[2]
    # /run is there on every Linux host, so its usual sockets are covered before their daemon is installed.
    for arch in ("b64", "b32"):
        mine = [rule for rule in without_uring[0] if f"arch={arch}" in rule and "path=/run/docker.sock " in rule]
        assert len(mine) == 1 and mine[0].endswith("-F key=sockwarden")
        assert {"connect", "openat", "openat2"} <= set(mine[0].split(" -S ")[1].split(" ")[0].split(","))
    assert "-c" in texts["auditd"].stdout.splitlines()
    assert "-c" not in texts["auditd-manager"].stdout.splitlines()


def test_auditbeat_gets_a_block_of_its_configuration() -> None:
    lines = run("print", "--for", "auditbeat").stdout.splitlines()
    assert lines[:3] == ["auditbeat.modules:", "- module: auditd", "  audit_rules: |"]
    assert all(line.startswith("    ") for line in lines[3:])


def test_an_older_auditctl_gets_io_uring_as_comments() -> None:
    wanted = permanent_rules.targets(["/run/docker.sock"], [])
    old, new = (permanent_rules.text("auditd", wanted, uring=uring) for uring in (False, True))
    assert not any("always,io_uring" in rule for rule in rules_of(old))
    assert any("always,io_uring" in rule for rule in rules_of(new))
    assert old.replace("# -a", "-a") == new


HOSTILE = [
    "/run/x/docker.sock\n-e 0",
    "/run/x y/docker.sock",
    "/run/x\t/docker.sock",
    "/run/\udcff/docker.sock",
    "/run/ä/docker.sock",
    "/run/$(id)/docker.sock",
    '/run/"/docker.sock',
    "/run/#/docker.sock",
    "relative.sock",
    "",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_name_that_a_file_cannot_carry_is_left_out_and_told(path: str) -> None:
    plain = permanent_rules.targets([], [])
    wanted = permanent_rules.targets([path], [path])
    assert path in wanted.left_out
    assert (wanted.paths, wanted.folders) == (plain.paths, plain.folders)


def test_another_mount_namespaces_path_does_not_last() -> None:
    wanted = permanent_rules.targets(["/proc/17/root/run/docker.sock"], [])
    assert wanted == permanent_rules.targets([], [])


def test_a_folder_covers_what_is_in_it(tmp_path: Path) -> None:
    wanted = permanent_rules.targets([f"{tmp_path}/a", f"{tmp_path}/b/c"], [str(tmp_path)])
    assert str(tmp_path) in wanted.folders
    assert f"{tmp_path}/a" not in wanted.paths
    assert f"{tmp_path}/b/c" in wanted.paths


@pytest.mark.parametrize("reader", ["auditd", "auditbeat"])
def test_a_file_elsewhere(reader: str, tmp_path: Path) -> None:
    first = run("apply", "--for", reader, "--folder", str(tmp_path))
    assert first.returncode == 0 and "new, " in first.stdout and "running kernel" not in first.stdout
    (file,) = tmp_path.iterdir()
    printed = run("print", "--for", "auditd" if reader == "auditd" else "auditd-manager").stdout
    assert file.read_text() == printed
    assert file.stat().st_mode & 0o7777 == 0o640
    inode = file.stat().st_ino
    assert "unchanged" in run("apply", "--for", reader, "--folder", str(tmp_path)).stdout
    assert file.stat().st_ino == inode
    file.write_text("-a never,task\n")
    assert "changed, " in run("apply", "--for", reader, "--folder", str(tmp_path)).stdout
    assert file.read_text() == printed
    assert "deleted" in run("remove", "--for", reader, "--folder", str(tmp_path)).stdout
    assert "not there" in run("remove", "--for", reader, "--folder", str(tmp_path)).stdout
    assert not list(tmp_path.iterdir())


def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    folder = tmp_path / "rules.d"
    folder.mkdir()
    (folder / "50-sockwarden.rules").symlink_to(victim)
    result = run("apply", "--for", "auditd", "--folder", str(folder))
    assert result.returncode == 3 and "cannot be read" in result.stderr
    assert victim.read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["apply"], 2, ["--for"]),
        (["print", "--for", "rsyslog"], 2, ["rsyslog", "auditbeat"]),
        (["print", "--for", "auditd", "--folder", "x"], 2, ["No such option", "--folder"]),
        (["apply", "--for", "auditd-manager"], 3, ["Kibana", "setup audit print --for auditd-manager"]),
        (["remove", "--for", "auditd-manager"], 3, ["Kibana", "key sockwarden"]),
        (["apply", "--for", "auditd", "--folder", "/no/such"], 3, ["/no/such", "no such folder", "--folder"]),
        (["apply", "--for", "auditbeat", "--folder", "/proc"], 3, ["/proc", "cannot be"]),
        (["change", "--for", "auditd"], 2, ["No such command"]),
    ],
)
def test_wrong_usage_has_one_clear_message(arguments: Sequence[str], code: int, says: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and result.stderr.lower().count("error:") == 1
    for text in says:
        assert text in result.stderr


def test_a_user_is_told_what_root_is_for() -> None:
    result = run("print", "--for", "auditd", prefix=AS_USER)
    assert result.returncode == 0
    assert "Without root" in result.stderr
    if Path("/etc/audit/rules.d").is_dir():
        result = run("apply", "--for", "auditd", prefix=AS_USER)
        assert result.returncode == 3 and "needs root" in result.stderr
