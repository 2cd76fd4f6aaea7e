"""The ladder on Debian's stock kernel, which has every rung, and what it says under real lockdown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpf
import pytest
from guest import Guest

from sockwarden.sensors.ebpf import ladder

pytestmark = pytest.mark.host
pytest_plugins = ["guest_fixtures"]

TRY = """\
import json, pathlib
from sockwarden.sensors.ebpf import ladder
from sockwarden.sensors.ebpf.pulse import Pulse
from sockwarden.sensors.ebpf.sensor import EbpfSensor
packaged, ours = ladder.packaged(), pathlib.Path("/object").read_bytes()
def say(word, value):
    print(word, json.dumps(value), flush=True)
say("OURS", {one.name: str(one.trouble or "") for one in ladder.survey(ours)})
say("PACKAGED", {one.name: str(one.trouble or "") for one in ladder.survey(packaged)})
def felt(rung):
    sensor, pulse = EbpfSensor(only=rung), Pulse()
    sensor.open()
    sensor.watch({pulse.identity})
    pulse.beat(0.0)
    found = [pulse.takes(record) for record in sensor.accesses()]
    sensor.close()
    return found
say("PULSE", {one.name: felt(one.name) for one in ladder.survey(packaged) if one.usable})
loaded = ladder.climb(ours)
say("BEST", loaded.rung.name)
loaded.close()
pathlib.Path("/sys/kernel/security/lockdown").write_text("confidentiality")
try:
    ladder.climb(ours)
except ladder.NoRungError as error:
    say("LOCKED", [error.why, error.todo])
"""


@pytest.fixture
def said(guest: Guest, require: Callable[..., str]) -> Callable[[str], dict[str, Any]]:
    """Boots with these security modules, and gives what was said by its first word."""
    require("clang-14")
    find = "ldconfig -p | sed -n 's/.*libbpf.so.1 .*=> //p'"
    library = subprocess.run(["sh", "-c", find], check=True, capture_output=True, text=True).stdout.split()[0]

    def boot(modules: str) -> dict[str, Any]:
        files: dict[str, Path | str | bytes] = {"/try.py": TRY, "/object": bpf.built("loader.bpf.c", "-DRUNGS")}
        output = guest.boot("python3 /try.py", programs=[library], files=files, cmdline=f"lsm={modules}")
        assert output.status == 0, output.console[-2000:]
        words = (line.partition(" ") for line in output.lines)
        return {word: json.loads(rest) for word, _, rest in words}

    return boot


def test_every_rung_is_there(said: Callable[[str], dict[str, Any]]) -> None:
    found = said("lockdown,capability,bpf")
    assert found["OURS"] == dict.fromkeys(ladder.RUNGS, "")
    assert found["PACKAGED"] == dict.fromkeys(ladder.RUNGS, "")
    assert found["PULSE"] == {rung: [True] for rung in ladder.RUNGS}
    assert found["BEST"] == "lsm"


def test_without_the_security_module_and_then_locked_down(said: Callable[[str], dict[str, Any]]) -> None:
    found = said("lockdown,capability")
    inactive = found["OURS"].pop("lsm")
    assert inactive.startswith("/sys/kernel/security/lsm: the security module bpf is not active\n")
    assert found["OURS"] == dict.fromkeys(ladder.RUNGS[1:], "")
    assert found["BEST"] == "fentry"
    why, todo = found["LOCKED"]
    assert why.startswith("/sys/kernel/security/lockdown: the kernel is locked down: ")
    assert "lockdown=integrity" in todo
