"""What the doctor says of the eBPF sensor, on this kernel and on machines that lack something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpf
import pytest
from lacking import HIDDEN_LIBBPF, HIDDEN_TYPES, securityfs

from sockwarden.errors import InputError
from sockwarden.pipeline.doctor import programs
from sockwarden.pipeline.doctor.host import survey_of
from sockwarden.sensors.ebpf import ladder

pytestmark = pytest.mark.host

DOCTOR = """\
import encodings.ascii, os, sys
from sockwarden.cli import main
import sockwarden.cli.doctor
if "--nobody" in sys.argv:
    sys.argv.remove("--nobody")
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main.main()
"""


@pytest.fixture(autouse=True)
def tools(require: Callable[..., str]) -> None:
    require("unshare", root=True)
    require("clang-14")


def doctor(folder: Path, *arguments: str, before: tuple[str, ...] = (), mounts: str = "true") -> dict[str, Any]:
    """The doctor's findings on sensors by name, in a mount namespace that was changed by shell commands."""
    command = ["unshare", "-m", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *before, sys.executable, "-c", DOCTOR]
    options = ["doctor", "--json", "--state", str(folder), "--runtime-dir", str(folder), *arguments]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    result = subprocess.run([*command, *options], capture_output=True, check=False, env=environment, timeout=60)
    assert result.returncode in (0, 1) and not result.stderr, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {one["name"]: one for one in found if one["name"].startswith(("eBPF", "sensor"))}


def test_each_rung_is_told(tmp_path: Path) -> None:
    found = doctor(tmp_path)
    assert list(found) == ["sensor", *(f"eBPF {name}" for name in ladder.RUNGS)]
    rungs = ladder.survey(ladder.packaged())
    assert {one["name"]: one["state"] == "ok" for one in found.values()}.items() >= {
        (f"eBPF {rung.name}", True) for rung in rungs if rung.usable
    }
    best = next(rung.name for rung in rungs if rung.usable)
    assert found["sensor"]["message"].startswith(f"a watch takes ebpf ({best})")
    missed = "warn" if best == "tracepoint" else "ok"
    assert found["sensor"]["state"] == missed
    assert found[f"eBPF {best}"]["message"] == "loads and attaches"
    for rung in rungs[: [rung.name for rung in rungs].index(best)]:
        assert rung.trouble and rung.trouble.why in found[f"eBPF {rung.name}"]["message"]
        assert found[f"eBPF {rung.name}"]["state"] == missed


@pytest.mark.parametrize(
    ("mounts", "before", "arguments", "message", "todo"),
    [
        pytest.param("true", (), ("--nobody",), "BPF programs need root", "sudo", id="nobody"),
        pytest.param(HIDDEN_LIBBPF, (), (), "libbpf.so.1 cannot be loaded", "apt-get install libbpf1", id="libbpf"),
        pytest.param(HIDDEN_TYPES, (), (), "types cannot be read", "BTF=y", id="btf"),
        pytest.param(
            securityfs("lockdown", "none integrity [confidentiality]"),
            (),
            (),
            "the kernel is locked down",
            "lockdown=integrity",
            id="lockdown",
        ),
        pytest.param("true", ("setarch", "linux32"), (), "no BPF programs for i686", "--sensor audit", id="machine"),
    ],
)
def test_where_nothing_can_be_loaded_one_line_says_why(
    mounts: str, before: tuple[str, ...], arguments: tuple[str, ...], message: str, todo: str, tmp_path: Path
) -> None:
    found = doctor(tmp_path, *arguments, before=before, mounts=mounts)
    # An ordinary user cannot know what root would take.
    assert list(found) == ["eBPF"] if "--nobody" in arguments else ["sensor", "eBPF"]
    assert found["eBPF"]["state"] == "warn"
    assert message in found["eBPF"]["message"] and todo in found["eBPF"]["todo"]
    if "sensor" in found:
        assert found["sensor"]["message"] == "a watch takes audit, since eBPF cannot be used here"


def test_what_the_verifier_says_is_shown() -> None:
    binary = bpf.built("loader.bpf.c", "-DREFUSED", "-Drefused__option=refused__any")
    survey = survey_of(binary)
    found = {one.name: one for one in programs.findings(survey)}
    assert survey.best() == ""
    tracepoint = found["eBPF tracepoint"]
    assert tracepoint.state == "fail" and tracepoint.todo.startswith("report it")
    assert tracepoint.message.startswith("refused__any: the kernel's verifier refused a program: ")
    assert " | " in tracepoint.message and "R0 invalid mem access 'scalar'" in tracepoint.message


def test_what_is_done_without_is_told() -> None:
    found = {one.name: one for one in programs.findings(survey_of(bpf.built("loader.bpf.c")))}
    assert "without absent: absent__option cannot be attached: " in found["eBPF tracepoint"].message


def test_one_of_the_upper_three_is_enough() -> None:
    rung = ladder.Rung("lsm", InputError("the security module bpf is not active", todo="boot with lsm=bpf"))
    assert (programs._unusable(rung, missed=False).state, programs._unusable(rung, missed=False).todo) == ("ok", "")
    assert programs._unusable(rung, missed=True).todo == "boot with lsm=bpf"
