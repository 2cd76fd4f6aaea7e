"""A fresh boot of Debian's stock kernel: what was forked before audit was first enabled is missed, and that is said.

The kernel gives a task its audit context when it is forked, and none before audit was enabled for the first time
(kernel/auditsc.c, audit_alloc); on a machine that runs already this cannot be had again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from guest import Guest
from watching import marked

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "guest_fixtures"]

SCRIPT = """\
mkfifo /go
sh -c 'read line </go; exec /bin/client connect /run/docker.sock forked-before' &
old=$!
python3 /listener.py &
sockwarden watch --state /state --output ndjson >/alerts 2>/messages &
watch=$!
wait_for() { until grep -qs "$1" "$2" || ! kill -0 $watch; do usleep 200000; done; }
wait_for '^watching' /messages
echo >/go
wait $old
echo "MARK old client gave $?"
client connect /run/docker.sock forked-after
echo "MARK new client gave $?"
wait_for forked-after /alerts
kill $watch
wait $watch
echo "MARK watch gave $?"
sed 's/^/MESSAGE /' /messages
sed 's/^/ALERT /' /alerts
"""
LISTENER = """\
import socket
server = socket.socket(socket.AF_UNIX)
server.bind("/run/docker.sock")
server.listen()
while True:
    server.accept()[0].close()
"""


def test_what_was_forked_before_audit_is_missed_and_that_is_said(guest: Guest, client: Path) -> None:
    output = guest.boot(SCRIPT, files={"/bin/client": client, "/listener.py": LISTENER})
    assert output.after("MARK") == ["old client gave 0", "new client gave 0", "watch gave 0"], output
    alerts = output.documents("ALERT")
    assert any(marked(alert, "forked-after") for alert in alerts)
    assert not any(marked(alert, "forked-before") for alert in alerts)
    messages = output.after("MESSAGE")
    assert any("before audit" in line for line in messages), messages
    assert any("busybox" in line for line in messages), messages
