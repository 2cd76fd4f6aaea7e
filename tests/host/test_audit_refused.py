"""Where the audit sensor does not start: what is missing is named, and nothing was changed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from watching import auditctl

from sockwarden.errors import InputError
from sockwarden.sensors.audit import AuditSensor, read_status

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("audit")]


def test_panic_on_loss_is_refused_before_anything_changes(tmp_path: Path) -> None:
    auditctl("-f", "2")
    try:
        with pytest.raises(InputError, match="panic"):
            AuditSensor(tmp_path / "runtime").open()
        assert read_status().enabled == 0
    finally:
        auditctl("-f", "1")


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], "needs root"),
        (["setpriv", "--bounding-set=-audit_control", "--inh-caps=-audit_control"], "lacks CAP_AUDIT_CONTROL"),
        (["unshare", "--user", "--map-root-user"], "user namespace"),
        (["unshare", "--pid", "--fork"], "pid namespace"),
        (["unshare", "--net"], "network namespace"),
    ],
)
def test_what_is_missing_is_named(require: Callable[..., str], wrap: list[str], message: str) -> None:
    program = require(wrap[0])
    code = "from sockwarden.sensors.audit import read_status; read_status()"
    command = [program, *wrap[1:], sys.executable, "-c", code]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert re.search(rf"InputError: .*{message}", ended.stderr)
