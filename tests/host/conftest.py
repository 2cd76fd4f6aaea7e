"""Host components: a missing one skips the test with its reason; in CI it fails, so that nothing is skipped unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture
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
