"""The ladder on Debian's stock kernel: what that grants with the security module bpf, without it, and locked down.

What cannot be had on a machine that runs already: its command line is the kernel's, and a lockdown is for good.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from guest import Guest

from sockwarden.sensors.ebpf.ladder import RUNGS

pytestmark = pytest.mark.host
pytest_plugins = ["guest_fixtures"]

CLIMB = """\
import json, os, subprocess, sys
from sockwarden.sensors.ebpf import ladder
for step in sys.argv[1:]:
    subprocess.run(["sh", "-ec", step], check=True)
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    try:
        loaded = ladder.climb(ladder.packaged())
        said = {one.name: str(one.trouble) for one in loaded.above} | {loaded.rung.name: ""}
        without = sorted(loaded.rung.without)
    except ladder.NoRungError as error:
        said, without = str(error), []
    print("SAID", json.dumps([step, said, without]), flush=True)
    os._exit(0)
"""
UNMOUNTED = "umount /sys/kernel/debug /sys/kernel/tracing /sys/fs/bpf /sys/kernel/security"
INTEGRITY = "mount -t securityfs none /sys/kernel/security; echo integrity >/sys/kernel/security/lockdown"
NO_TYPES = "mount -t tmpfs none /sys/kernel/btf"
CONFIDENTIALITY = "umount /sys/kernel/btf; echo confidentiality >/sys/kernel/security/lockdown"


@pytest.fixture
def climb(guest: Guest, libbpf: Path) -> Callable[..., dict[str, Any]]:
    """Boots, and climbs after each of some shell commands: what was said by command, and what was done without."""

    def booted(*steps: str, cmdline: str) -> dict[str, Any]:
        script = "python3 /climb.py " + " ".join(f"'{step}'" for step in steps)
        output = guest.boot(script, files={"/climb.py": CLIMB}, programs=[libbpf], cmdline=cmdline)
        assert output.status == 0, output.console
        return {step: (said, without) for step, said, without in output.documents("SAID")}

    return booted


def test_with_the_security_module_every_lack_is_told(climb: Callable[..., dict[str, Any]], libbpf: Path) -> None:
    no_library = f"rm {libbpf}"
    steps = ("true", UNMOUNTED, INTEGRITY, NO_TYPES, CONFIDENTIALITY, no_library)
    found = climb(*steps, cmdline="lsm=lockdown,capability,bpf")
    older_name = ["io_uring_submit_req__option"]
    assert found["true"] == ({"lsm": ""}, older_name)
    assert found[UNMOUNTED] == ({"lsm": ""}, older_name), "nothing of the kernel's has to be mounted"
    assert found[INTEGRITY] == ({"lsm": ""}, older_name)
    assert "/sys/kernel/btf/vmlinux: the kernel's types cannot be read" in found[NO_TYPES][0]
    assert "/sys/kernel/security/lockdown: the kernel is locked down" in found[CONFIDENTIALITY][0]
    assert "libbpf.so.1 cannot be loaded" in found[no_library][0]


def test_without_the_security_module_the_next_rung_is_taken(climb: Callable[..., dict[str, Any]]) -> None:
    said, _ = climb("true", cmdline="lsm=lockdown,capability")["true"]
    assert list(said) == list(RUNGS[:2]) and not said["fentry"]
    assert said["lsm"].splitlines() == [
        "/sys/kernel/security/lsm: the security module bpf is not active",
        "active are lockdown,capability",
        "boot with lsm=lockdown,capability,bpf (needs CONFIG_BPF_LSM=y)",
    ]
