"""The program as people start it."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "captures"
LOG = str(DATA / "inode-rules.audit.log")
PUBLISHED = "unusual-process-connection-runtime-socket"
PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def run(
    *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    return subprocess.run(
        [*PROGRAM, *arguments], input=stdin, capture_output=True, env=environment, cwd=cwd, timeout=60, check=False
    )


def uuids(output: bytes) -> list[str]:
    return sorted(json.loads(line)["kibana"]["alert"]["uuid"] for line in output.splitlines())


def test_hunt_prints_alerts_and_a_summary() -> None:
    result = run("hunt", LOG)
    assert result.returncode == 0
    assert "given as docker.sock (a relative path)" in result.stdout.decode()
    assert "89 alerts in 1 audit log" in result.stderr.decode()
    assert "Trusted: 1 access" in result.stderr.decode()


def test_a_pipe_is_a_file() -> None:
    piped = run("hunt", "-", "--output", "ndjson", stdin=Path(LOG).read_bytes())
    packed = run("hunt", "-", "--output", "ndjson", stdin=gzip.compress(Path(LOG).read_bytes()))
    expected = uuids(run("hunt", LOG, "--output", "ndjson").stdout)
    assert expected and uuids(piped.stdout) == uuids(packed.stdout) == expected


def test_verify_parses_every_event_and_finds_the_same() -> None:
    result = run("hunt", LOG, "--verify")
    said = result.stderr.decode()
    assert result.returncode == 0 and re.search(
        r"Verified: a parse of every event \(\d+\), .* the same 89 alerts", said
    )


@pytest.mark.parametrize(("name", "magic"), [("a.log.gz", b"\x1f\x8b"), ("a.log.zst", b"\x28\xb5\x2f\xfd")])
def test_a_damaged_file_is_not_called_empty(name: str, magic: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(magic + b"\x08\0garbage" * 9)
    result = run("hunt", str(tmp_path / name))
    said = result.stderr.decode()
    assert result.returncode == 3 and "damaged" in said and "empty" not in said


def test_verify_needs_what_can_be_read_twice() -> None:
    result = run("hunt", "-", "--verify", stdin=b"")
    assert result.returncode == 2 and "give a file" in result.stderr.decode()


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("medium", 1), ("high", 0), ("critical", 0)])
def test_fail_on(level: str, code: int) -> None:
    assert run("hunt", LOG, "--fail-on", level).returncode == code


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["hunt"], 2, ["Missing argument", "PATH"]),
        (["hunt", LOG, "--bogus"], 2, ["No such option", "--bogus"]),
        (["hunt", LOG, "--output", "xml"], 2, ["xml", "ndjson"]),
        (["hunt", LOG, "--since", "yesterday"], 2, ["--since yesterday is no time", "now-2h"]),
        (["hunt", LOG, "--rule", "unusual-proces"], 2, ["no rule has", "rules list"]),
        (["hunt", "missing.log"], 3, ["missing.log", "No such file", "/var/log/audit"]),
        (["hunt", LOG, "--rule", "missing.toml"], 3, ["missing.toml", "No such file"]),
        (["hunt", LOG, "--quarantine", "no/such/folder/q"], 3, ["no/such/folder/q", "--quarantine"]),
        (["hunt", LOG, "--store", "--state", "/proc/nothing"], 3, ["/proc/nothing", "--state"]),
        (["alerts", "list", "--state", "nowhere"], 3, ["no store yet", "hunt --store"]),
        (["rules", "show", "nosuch"], 2, ["no rule has", "rules list"]),
        (["kql", "check"], 2, ["Give a query"]),
        (["kql", "check", "a:not b"], 3, ["line 1, column 3", "Write: not a:b"]),
        (["nosuch"], 2, ["No such command"]),
    ],
)
def test_wrong_usage_has_one_clear_message(
    arguments: Sequence[str], code: int, says: list[str], tmp_path: Path
) -> None:
    result = run(*arguments, cwd=tmp_path)
    error = result.stderr.decode()
    assert result.returncode == code, error
    assert "Traceback" not in error
    assert error.lower().count("error:") == 1
    for text in says:
        assert text in error
    assert not result.stdout


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.log", b"", ["is empty"]),
        ("blank.log", b"\n\n  \n", ["is empty"]),
        ("binary", bytes(range(256)) * 20, ["binary"]),
        ("text.log", b"Nov 21 20:14:03 host sshd[1]: hello\n" * 5, ["no known format", "ECS NDJSON"]),
        ("pretty.json", b'{\n  "a": 1\n}\n', ["one object a line"]),
        ("other.json", b'{"a": 1}\n', ["no event that is known"]),
        ("x.xz", b"\xfd7zXZ\x00" + b"0" * 50, ["xz is not read here"]),
        (
            "interpreted.log",
            b"type=SYSCALL msg=audit(11/21/2026 20:14:03.410:300449) : arch=x86_64 syscall=connect success=yes\n",
            ["ausearch -i", "ausearch --raw"],
        ),
    ],
)
def test_broken_inputs(name: str, content: bytes, says: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    result = run("hunt", name, cwd=tmp_path)
    error = result.stderr.decode()
    assert result.returncode == 3
    assert error.count("error:") == 1 and name in error
    for text in says:
        assert text in error


def test_a_cut_archive_gives_what_it_holds(tmp_path: Path) -> None:
    whole = gzip.compress(Path(LOG).read_bytes())
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    result = run("hunt", "cut.gz", "--output", "ndjson", cwd=tmp_path)
    assert result.returncode == 3
    found = uuids(result.stdout)
    assert found and set(found) < set(uuids(run("hunt", LOG, "--output", "ndjson").stdout))
    assert b"cut short" in result.stderr


def test_one_bad_input_does_not_keep_the_others() -> None:
    result = run("hunt", "missing.log", LOG, "--output", "ndjson")
    assert result.returncode == 3
    assert len(result.stdout.splitlines()) == 89


def test_a_folder_without_a_log(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("nothing here\n")
    result = run("hunt", str(tmp_path))
    assert result.returncode == 3
    assert b"no file here is a log" in result.stderr
    (tmp_path / "empty").mkdir()
    assert run("hunt", str(tmp_path / "empty")).returncode == 3


def test_what_cannot_be_parsed_is_counted_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "torn.log"
    log.write_bytes(Path(LOG).read_bytes() + b"type=SYSC\n\x1b[31mgarbage \xff\n")
    result = run("hunt", "torn.log", "--output", "ndjson", "--quarantine", "kept.ndjson", cwd=tmp_path)
    assert "Not parsed: 2 lines" in result.stderr.decode()
    kept = [json.loads(line) for line in (tmp_path / "kept.ndjson").read_text().splitlines()]
    assert [entry["line"] for entry in kept] == ["type=SYSC", "\x1b[31mgarbage \\xff"]
    assert len(result.stdout.splitlines()) == 89


def test_the_quarantine_never_empties_an_input(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(Path(LOG).read_bytes())
    (tmp_path / "link").hardlink_to(log)
    for name in ("audit.log", "link"):
        result = run("hunt", str(tmp_path), "--quarantine", str(tmp_path / name))
        assert (result.returncode, result.stdout) == (3, b"")
        assert "it is one of the inputs" in result.stderr.decode()
    assert log.read_bytes() == Path(LOG).read_bytes()


def test_a_quarantine_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), "/dev/full"):
        result = run("hunt", LOG, "--quarantine", path)
        assert result.returncode == 3 and result.stderr.startswith(b"error: ")


def test_a_file_name_is_no_markup_in_the_progress(tmp_path: Path) -> None:
    (tmp_path / "x[").mkdir()
    log = tmp_path / "x[" / "foo].log"
    log.write_bytes(Path(LOG).read_bytes())
    terminal, screen = os.openpty()
    with os.fdopen(screen, "wb") as stderr:
        result = subprocess.run([*PROGRAM, "hunt", str(log)], stdout=subprocess.PIPE, stderr=stderr, check=False)
        os.set_blocking(terminal, False)
        said = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert result.returncode == 0 and b"Traceback" not in said and b"89 alerts" in said


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [*PROGRAM, "hunt", str(DATA), "--output", "ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0


@pytest.mark.parametrize("output", ["text", "ndjson"])
def test_output_that_cannot_be_written(output: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        result = subprocess.run(
            [*PROGRAM, "hunt", LOG, "--output", output], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 3
    assert result.stderr.startswith(b"error: ") and b"No space left" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_terminal_without_utf_8() -> None:
    result = run(
        "hunt", LOG, env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    )
    assert result.returncode == 0
    assert b"\\u25b2 medium 47" in result.stdout


def test_store_list_show(tmp_path: Path) -> None:
    state = {"SOCKWARDEN_STATE": str(tmp_path / "state")}
    assert run("hunt", LOG, "--store", env=state).returncode == 0
    listed = run("alerts", "list", "--limit", "3", env=state)
    assert b"/run/docker.sock" in listed.stdout
    assert b"86 more" in listed.stderr
    entry = json.loads(run("alerts", "list", "--limit", "1", "--json", env=state).stdout)
    uuid = entry["kibana"]["alert"]["uuid"]
    shown = run("alerts", "show", uuid[:12], env=state).stdout.decode()
    assert uuid in shown and "type=SOCKADDR saddr=01002F72756E" in shown
    assert json.loads(run("alerts", "show", uuid, "--json", env=state).stdout) == entry
    again = run("hunt", LOG, "--store", env=state)
    assert again.returncode == 0
    assert b"86 more" in run("alerts", "list", "--limit", "3", env=state).stderr


def test_a_rule_file_of_ones_own(tmp_path: Path) -> None:
    rule = run("rules", "show", PUBLISHED, "--json")
    assert json.loads(rule.stdout)["severity"] == "medium"
    source = Path(__file__).parents[2] / "src" / "sockwarden" / "content" / "rules" / f"{PUBLISHED}.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(source.read_text().replace("host.os.type:linux and", 'process.name:"curl" and'))
    result = run("hunt", LOG, "--rule", str(mine), "--output", "ndjson")
    assert [json.loads(line)["process"]["executable"] for line in result.stdout.splitlines()] == ["/usr/bin/curl"]
    mine.write_text(source.read_text().replace("severity =", "sverity ="))
    broken = run("hunt", LOG, "--rule", str(mine))
    assert broken.returncode == 3
    assert "severity" in broken.stderr.decode() and "mine.toml" in broken.stderr.decode()


def test_rules_list_and_show() -> None:
    listed = run("rules", "list").stdout.decode()
    for selector in (PUBLISHED, "unusual-process-runtime-socket-access", "TRC-1019", "SWD-0001"):
        assert selector in listed
        shown = run("rules", "show", selector)
        assert shown.returncode == 0 and shown.stdout
    assert b"Investigation guide" in run("rules", "show", PUBLISHED.upper().lower()).stdout


def test_tracee_output(tmp_path: Path) -> None:
    event = {
        "timestamp": 1795292700397816162,
        "eventName": "security_socket_connect",
        "containerId": "abc",
        "container": {"id": "abc"},
        "contextFlags": {"containerStarted": True},
        "args": [{"name": "remote_addr", "value": {"sa_family": "AF_UNIX", "sun_path": "/var/run/docker.sock"}}],
    }
    (tmp_path / "t.json").write_text(json.dumps(event) + "\n")
    result = run("hunt", "t.json", "--output", "tracee", cwd=tmp_path)
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert [finding["SigMetadata"]["ID"] for finding in findings] == ["TRC-1019", "SWD-0001"]
    assert all(finding["Event"]["Payload"] == event and finding["Data"] is None for finding in findings)
    assert "have no Tracee form" in result.stderr.decode()


def test_a_stopped_hunt_keeps_what_it_found(tmp_path: Path) -> None:
    """SIGTERM in the midst of a pipe that never ends: a folder with a FIFO that is held open after the log."""
    fifo = tmp_path / "late.log"
    os.mkfifo(fifo)
    state = str(tmp_path / "state")
    arguments = [*PROGRAM, "hunt", LOG, str(fifo), "--store", "--state", state, "--output", "ndjson"]
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(arguments, stdout=out, stderr=subprocess.PIPE) as process,
    ):
        # The hunt opens the FIFO when it is through with the log; a write without a reader would not return.
        descriptor = _opened_by_a_reader(fifo)
        os.write(descriptor, b"type=SYSCALL msg=audit(1.000:1): \n")
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=20)
        os.close(descriptor)
    assert process.returncode == 130
    assert len((tmp_path / "out").read_bytes().splitlines()) == 89
    assert b"stopped before the end" in error and b"Traceback" not in error
    assert b"86 more" in run("alerts", "list", "--limit", "3", "--state", state).stderr


def _opened_by_a_reader(fifo: Path) -> int:
    for _ in range(200):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the hunt never opened the FIFO")
