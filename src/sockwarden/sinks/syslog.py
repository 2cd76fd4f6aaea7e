r"""Alerts as syslog messages of RFC 5424.

`sockwarden` is APP-NAME and `alert` MSGID. STRUCTURED-DATA has one element with what a receiver filters by; its SD-ID
carries a private enterprise number, and as we have none of our own it is 32473, which RFC 5612 reserves for examples:
an organisation with a number sets its own. MSG is the reason as UTF-8 behind the BOM that RFC 5424 asks for, or the
alert as JSON. JSON that is too long for one message is never cut: the reason is sent in its place, with truncated="1".
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sockwarden.alerts import socket_of
from sockwarden.document import Document, encode, get
from sockwarden.sinks.escape import escape
from sockwarden.sinks.lines import ecs
from sockwarden.sinks.told import sentence

Form = Literal["text", "ndjson", "ecs"]
FACILITIES = {
    "user": 1,
    "daemon": 3,
    "auth": 4,
    "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}
STRUCTURED_DATA_ID = "sockwarden@32473"
MOST_BYTES = {"udp": 2048, "tcp": 8192, "tls": 8192}
"""Bytes of one message: RFC 5424 asks every receiver to take 2,048, over a stream rsyslog takes 8,192 unasked."""
_PRIORITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5}
"""Severity as syslog's: crit, err, warning, notice."""
_PARAMETERS = {
    "uuid": "kibana.alert.uuid",
    "rule": "kibana.alert.rule.name",
    "rule_id": "kibana.alert.rule.rule_id",
    "severity": "kibana.alert.severity",
    "risk_score": "kibana.alert.risk_score",
    "suppressed": "kibana.alert.suppression.docs_count",
    "socket": "sockwarden.socket.canonical",
    "runtime": "sockwarden.socket.runtime",
    "origin": "sockwarden.actor.origin",
    "executable": "process.executable",
    "pid": "process.pid",
    "user": "user.name",
    "user_id": "user.id",
    "container": "container.id",
    "outcome": "event.outcome",
}
_FEW = ("uuid", "rule_id", "severity", "risk_score")
"""What always fits."""
_MOST_PARAMETER = 64
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "]": "\\]"})
_BOM = "\ufeff"
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")


class Formatter:
    """Makes messages of at most `most_bytes`.

    form               text: the reason; ndjson and ecs: the alert as JSON
    structured_data_id  name@number
    """

    def __init__(
        self,
        *,
        form: Form = "text",
        facility: str = "authpriv",
        structured_data_id: str = STRUCTURED_DATA_ID,
        most_bytes: int = MOST_BYTES["udp"],
    ) -> None:
        self._form = form
        self._facility = FACILITIES[facility]
        self._id = structured_data_id
        self._most_bytes = most_bytes
        self._process = str(os.getpid())

    def message(self, alert: Document) -> bytes:
        """One message without framing; no control character is in it."""
        if self._form != "text":
            body = _without_controls(encode(ecs(alert) if self._form == "ecs" else alert))
            whole = self._headed(alert, truncated=False) + body
            if len(whole) <= self._most_bytes:
                return whole
        reason = escape(sentence(alert))
        text = (_BOM + reason).encode("utf-8", "backslashreplace")
        message = self._headed(alert, truncated=self._form != "text") + text
        if len(message) <= self._most_bytes:
            return message
        # The structured data is short now, the reason may be cut.
        message = self._headed(alert, truncated=True, names=_FEW) + text
        # Not inside a character: RFC 5424, 6.1.
        return message[: self._most_bytes].decode("utf-8", "ignore").encode()

    def _headed(self, alert: Document, *, truncated: bool, names: Sequence[str] = tuple(_PARAMETERS)) -> bytes:
        priority = self._facility * 8 + _PRIORITIES.get(str(get(alert, "kibana.alert.severity")), 4)
        host = _word(get(alert, "host.name") or socket.gethostname(), 255)
        head = f"<{priority}>1 {_timestamp(get(alert, '@timestamp'))} {host} sockwarden {self._process} alert "
        found = {name: get(alert, field) for name, field in _PARAMETERS.items() if name in names}
        if "socket" in found:
            found["socket"] = socket_of(alert)
        pairs = "".join(f' {name}="{_parameter(value)}"' for name, value in found.items() if value is not None)
        pairs += ' truncated="1"' if truncated else ""
        return f"{head}[{self._id}{pairs}] ".encode("utf-8", "backslashreplace")


def _without_controls(data: bytes) -> bytes:
    r"""JSON with the control characters that may stand in it, DEL and C1, written as \uNNNN."""
    text = data.decode()
    if text.isprintable():
        return data
    return "".join(f"\\u{ord(c):04x}" if ord(c) == 0x7F or 0x80 <= ord(c) < 0xA0 else c for c in text).encode()


def _parameter(value: object) -> str:
    """Escaped and cut by characters: what was cut ends with an ellipsis."""
    text = escape(str(value))
    text = text if len(text) <= _MOST_PARAMETER else text[: _MOST_PARAMETER - 1] + "…"
    return text.translate(_ESCAPES)


def _word(value: object, most: int) -> str:
    """Printable ASCII without spaces, as headers have it; `-` where nothing is left."""
    return _NOT_PRINTABLE.sub("_", str(value))[:most] or "-"


def _timestamp(value: object) -> str:
    """RFC 3339 with at most six digits of the second's fraction, in UTC; `-` where there is none."""
    try:
        moment = datetime.fromisoformat(str(value))
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )
    except (ValueError, OverflowError):
        return "-"
