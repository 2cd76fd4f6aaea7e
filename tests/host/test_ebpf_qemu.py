"""Each rung of the ladder on Debian's stock kernel, which has them all: what one sees, every other sees too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from guest import Guest

from sockwarden.sensors.ebpf.ladder import RUNGS

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "guest_fixtures"]

HOOKED = ("lsm", "fentry", "kprobe")
"""Rungs on which the kernel's own functions are hooked; what the last one leaves is in evasions_expected.tsv."""
HERE = Path(__file__).parent
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "dockerd", "docker", "runc", "crun", "curl")
MODULES = (
    "rungs_in_guest.py",
    "evading.py",
    "evasion_setting.py",
    "runtimes.py",
    "watching.py",
    "asking.py",
    "request_files.py",
)
TABLES = ("evasions.tsv", "evasions_expected.tsv", "requests_in_guest.tsv")


def test_each_rung_sees_the_same(
    guest: Guest,
    client: Path,
    receiver: Path,
    image: bytes,
    libbpf: Path,
    require: Callable[..., str],
    subtests: pytest.Subtests,
) -> None:
    output = guest.boot(
        "PYTHONPATH=/tests:/app python3 /tests/rungs_in_guest.py",
        programs=[libbpf, *(Path(require(program)).resolve() for program in PROGRAMS)],
        files={
            "/bin/client": client,
            "/bin/receiver": receiver,
            "/image.tar": image,
            **{f"/tests/{name}": HERE / name for name in (*MODULES, *TABLES)},
        },
        cmdline="lsm=lockdown,capability,bpf",
        memory=2048,
        processors=2,
        seconds=600,
    )
    assert output.status == 0, output.console
    found: dict[str, dict[str, list[object]]] = {}
    for one in output.documents("way"):
        found.setdefault(one["way"], {})[one["rung"]] = [one["said"], one["problem"]]
    assert len(found) > 60
    for way, by_rung in found.items():
        with subtests.test(way):
            assert by_rung.keys() == set(RUNGS)
            assert {rung: problem for rung, (_, problem) in by_rung.items() if problem} == {}
            assert {
                rung: said for rung, (said, _) in by_rung.items() if rung in HOOKED and said != by_rung["lsm"][0]
            } == {}
    asked = output.documents("asked")
    assert len(asked) >= 10 * len(RUNGS)
    for one in asked:
        with subtests.test(f"{one['command']} by {one['rung']}"):
            assert one["problems"] == []
    for one in output.documents("ended"):
        assert one["status"] == 0, one
