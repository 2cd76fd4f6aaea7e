"""What each rung costs calls that are none of its business, counted in instructions on Debian's stock kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bpf
import pytest
from guest import Guest

from sockwarden.sensors.ebpf.ladder import RUNGS

pytestmark = pytest.mark.host
pytest_plugins = ["guest_fixtures"]

TIMES = {"getppid": 400, "read": 400, "connect, unrelated": 500}
OURS = {"getppid": 40, "read": 60}
"""Instructions that a call of no interest may cost more than under empty programs at its two ends, where its beginning
is left alone: 30 at most were counted, since the guest's timer falls on some calls and not on others.
"""
OURS_AT_BOTH = {"getppid": 110, "read": 150}
"""The same on the last rung, which needs both."""
CONNECT = {"lsm": 2000, "fentry": 2000, "kprobe": 2500, "tracepoint": 5000}
"""Instructions that a connect to a socket that is left alone may cost more."""


def test_what_is_no_business_of_ours_costs_no_more(
    guest: Guest, libbpf: Path, require: Callable[..., str], tmp_path: Path
) -> None:
    require("clang-14")
    require("gcc")
    make = "import sys, pathlib, ebpf; p = pathlib.Path(sys.argv[1]); ebpf.compiled_loop(p); ebpf.empty_programs(p)"
    subprocess.run([sys.executable, "-c", make, str(tmp_path)], cwd=bpf.ROOT / "benchmarks", check=True)
    output = guest.boot(
        f"python3 /cost.py '{json.dumps(TIMES)}'",
        programs=[libbpf],
        files={
            "/cost.py": Path(__file__).with_name("cost_in_guest.py"),
            "/bin/loop": tmp_path / "loop",
            "/empty.o": tmp_path / "empty.o",
        },
        cmdline="lsm=lockdown,capability,bpf",
        machine=("-icount", "shift=0,sleep=off"),
        seconds=280,
    )
    assert output.status == 0, output.console[-2000:]
    cost = {(rung, what): taken for rung, what, taken in map(json.loads, output.after("COST"))}
    for rung in RUNGS:
        for what, ours in (OURS_AT_BOTH if rung == "tracepoint" else OURS).items():
            assert cost[rung, what] <= cost["empty", what] + ours, (rung, what, cost)
        more = cost[rung, "connect, unrelated"] - cost["none", "connect, unrelated"]
        assert more <= CONNECT[rung], (rung, cost)
