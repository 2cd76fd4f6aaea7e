"""Host components: a missing one skips the test with its reason; in CI it fails, so that nothing is skipped unseen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def require() -> Callable[..., str]:
    """`require("ausearch")` gives the program's path; `require("auditd", root=True)` asks for root as well."""

    def check(component: str, *, root: bool = False) -> str:
        path = shutil.which(component, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path and (os.geteuid() == 0 or not root):
            return path
        missing = f"{component} is not installed" if not path else f"{component} needs root"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)

    return check
