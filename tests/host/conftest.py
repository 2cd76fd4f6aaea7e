"""Host components: a missing one skips the test with its reason; in CI it fails, so that nothing is skipped unseen."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_STEADY = ("enabled", "failure", "pid", "rate_limit", "backlog_limit", "backlog_wait_time ", "loginuid")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What changes the machine for others goes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def require() -> Callable[..., str]:
    """`require("ausearch")` gives the program's path; `root=True` asks for root too, `module="auparse"` for a module
    of the system's own Python.
    """

    def check(component: str, *, root: bool = False, module: str = "") -> str:
        path = (
            "/usr/bin/python3"
            if module
            else shutil.which(component, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        )
        if not path or (module and subprocess.run([path, "-c", f"import {module}"], check=False, stderr=-3).returncode):
            return missing(f"{module or component} is not installed")
        return path if os.geteuid() == 0 or not root else missing(f"{component} needs root")

    def missing(reason: str) -> str:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return check


def audit_state() -> tuple[list[str], str]:
    """What auditctl says of status and rules, without the counters that count on."""
    status, rules = (
        subprocess.run(["auditctl", option], check=True, capture_output=True, text=True, timeout=30).stdout
        for option in ("-s", "-l")
    )
    return [line for line in status.splitlines() if line.startswith(_STEADY)], rules


@pytest.fixture
def audit(require: Callable[..., str]) -> Iterator[None]:
    """The machine's one audit subsystem, for this test alone; afterwards its status and rules must be as before."""
    require("auditctl", root=True)
    with Path("/tmp/sockwarden-audit.lock").open("w") as lock:  # noqa: S108 - one lock for all runs on this machine
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = audit_state()
        if "enabled 0" not in before[0] or "pid 0" not in before[0] or before[1].strip() != "No rules":
            pytest.skip("this machine's audit is in use, and is left alone")
        yield
        assert audit_state() == before
