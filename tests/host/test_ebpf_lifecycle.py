"""A watch on eBPF from its start to its end: what it takes, keeps and leaves, and where it cannot be.

What it has in common with one on audit is in test_watch_lifecycle.py.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bpf import programs_in_kernel
from doors import ADDRESS, Door
from lacking import HIDDEN_LIBBPF, HIDDEN_TYPES, securityfs, without
from runtimes import until
from watching import SENSORS, Watch, auditctl, marked, watching

from sockwarden.document import Document, get
from sockwarden.sensors.capabilities import kept

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "door_fixtures"]

NOBODY = 65534
CLIENTS = 500
LACKING = [
    pytest.param(HIDDEN_LIBBPF, "libbpf.so.1 cannot be loaded", "apt-get install libbpf1", id="libbpf"),
    pytest.param(HIDDEN_TYPES, "the kernel's types cannot be read", "CONFIG_DEBUG_INFO_BTF=y", id="btf"),
    pytest.param(
        securityfs("lockdown", "none integrity [confidentiality]"),
        "the kernel is locked down",
        "boot with lockdown=integrity",
        id="lockdown",
    ),
]


@pytest.fixture(autouse=True)
def tools(require: Callable[..., str]) -> None:
    require("unshare", root=True)
    require("setpriv")


def test_a_kill_leaves_no_program_and_the_next_start_takes_over(door: Door, tmp_path: Path) -> None:
    before = programs_in_kernel()
    killed = Watch(tmp_path, *SENSORS["ebpf"])
    killed.until_watching()
    its_own = programs_in_kernel() - before
    assert len(its_own) > 5
    killed.process.kill()
    assert killed.ended() == -9
    # The kernel frees them a grace period after the last descriptor.
    until(lambda: not programs_in_kernel() & its_own, "its programs are gone", 10)
    with watching(tmp_path, *SENSORS["ebpf"]) as watch:
        assert (tmp_path / "run/lock").read_text() == f"{watch.process.pid}\n"
        door.knock("afterwards")
        watch.until_marked("afterwards")
        its_own = programs_in_kernel() - before
    until(lambda: not programs_in_kernel() & its_own, "its programs are gone after an orderly end", 10)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]


def test_rules_that_a_killed_watch_by_audit_left_are_taken_away(door: Door, tmp_path: Path) -> None:
    """But not those of one that runs, with a folder of its own."""
    other, own = tmp_path / "other", tmp_path / "own"
    other.mkdir()
    own.mkdir()
    with watching(other, *SENSORS["audit"]) as by_audit:
        rules = auditctl("-l")
        with watching(own, *SENSORS["ebpf"]):
            assert str(ADDRESS) in rules and auditctl("-l") == rules
        by_audit.process.kill()
        assert by_audit.ended() == -9
    with watching(other, *SENSORS["ebpf"]) as watch:
        assert auditctl("-l") == "No rules\n"
        (told,) = [line for line in watch.messages if line.startswith("left by a killed watch")]
        assert re.fullmatch(r"left by a killed watch, and taken away: \d+ audit rules and settings", told)


@pytest.mark.parametrize(("hidden", "why", "todo"), LACKING)
def test_where_ebpf_cannot_be_audit_watches_and_the_reason_is_told(
    hidden: str, why: str, todo: str, door: Door, tmp_path: Path
) -> None:
    with watching(tmp_path, "--sensor=auto", before=without(hidden)) as watch:
        assert any(line.startswith("watching by audit: ") for line in watch.messages)
        watch.until(lambda: any(line.startswith("blind to") for line in watch.messages), "it said all")
        said = "\n".join(watch.messages)
        assert "not by ebpf: the eBPF sensor cannot be used here" in said and why in said and todo in said
        door.knock("by-audit")
        assert get(watch.until_marked("by-audit"), "sockwarden.socket.canonical") == str(ADDRESS)
    assert not any("Traceback" in line for line in watch.messages)


@pytest.mark.parametrize(("hidden", "why", "todo"), LACKING)
def test_ebpf_asked_for_where_it_cannot_be_is_an_error(hidden: str, why: str, todo: str, tmp_path: Path) -> None:
    watch = Watch(tmp_path, *SENSORS["ebpf"], before=without(hidden))
    assert watch.ended() == 3
    said = "\n".join(watch.messages)
    assert "the eBPF sensor cannot be used here" in said and why in said and todo in said
    assert "Traceback" not in said
    # The lock was given back, and nothing else was made.
    assert [(path.name, path.read_text()) for path in (tmp_path / "run").iterdir()] == [("lock", "")]


@pytest.mark.parametrize("sensor", SENSORS)
def test_after_the_start_it_has_the_documented_capabilities_alone(sensor: str, door: Door, tmp_path: Path) -> None:
    """What it goes on doing with them: a socket that is made anew is found, and whoever reaches it is read."""
    with watching(tmp_path, *SENSORS[sensor]) as watch:
        for thread in Path(f"/proc/{watch.process.pid}/task").iterdir():
            status = (thread / "status").read_text()
            sets = {
                name: int(value, 16)
                for name, value in re.findall(r"^(Cap\w+|NoNewPrivs):\s*(\w+)$", status, re.MULTILINE)
            }
            expected = sum(1 << need.number for need in kept(sensor))
            assert sets == dict.fromkeys(("CapPrm", "CapEff", "CapBnd"), expected) | {
                "CapInh": 0,
                "CapAmb": 0,
                "NoNewPrivs": 1,
            }
        door.close()
        door.open()
        door.knock("made-anew")
        assert get(watch.until_marked("made-anew"), "process.executable") == str(door.client)


def test_clients_that_are_gone_at_once_are_fully_named(door: Door, tmp_path: Path) -> None:
    ADDRESS.chmod(0o666)
    script = f'for i in $(seq {CLIENTS}); do "$0" connect {ADDRESS} gone-$i & done; wait'
    setpriv = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    with watching(tmp_path, *SENSORS["ebpf"]) as watch:
        shell = subprocess.Popen([*setpriv, "sh", "-c", script, str(door.client)])
        assert shell.wait(timeout=60) == 0
        watch.until(lambda: len(gone(watch)) == CLIENTS, "all are stored", 60)
    found = gone(watch)
    assert set(found) == {f"gone-{number}" for number in range(1, CLIENTS + 1)}
    for mark, access in found.items():
        assert get(access, "process.executable") == str(door.client)
        assert get(access, "process.args") == [str(door.client), "connect", str(ADDRESS), mark]
        assert (get(access, "user.id"), get(access, "user.name")) == (str(NOBODY), "nobody")
        assert get(access, "process.parent.pid") == shell.pid
        assert str(get(access, "process.parent.executable")).endswith("sh")


def gone(watch: Watch) -> dict[str, Document]:
    """The accesses of those clients, by their mark."""
    named = [(str((get(access, "process.args") or [""])[-1]), access) for access in watch.accesses()]
    return {mark: access for mark, access in named if mark.startswith("gone-") and marked(access, mark)}
