"""Alerts to a web address by POST: for programs as JSON, for people as messages, which a flood does not multiply.

2xx is delivered. What says that the alert itself is not wanted (400, 413, 422 and so on) is a refusal for good. No
answer, a busy or failing receiver (408, 425, 429, 5xx), and what says that address or credentials are wrong (3xx, 401,
403, 404, 405, 407, 410) are tried again, not before Retry-After: a person can mend that, and the alerts wait for it.
Redirects are not followed: where alerts go is the settings' to say.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
import msgspec

from sockwarden import __version__
from sockwarden.credentials import masked
from sockwarden.document import Document, encode
from sockwarden.sinks.chat import slack, teams
from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.lines import ecs
from sockwarden.sinks.pace import Pace
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.template import Template
from sockwarden.sinks.told import as_document, of_alert, of_many, summed
from sockwarden.sinks.worker import Outcome, Refusal

Form = Literal["json", "ecs", "slack", "teams", "template"]
SIGNATURE = "X-Sockwarden-Signature-256"
"""`sha256=` and the HMAC-SHA256 of the body in hexadecimal, as GitHub signs its webhooks."""
MOST_FOLDED = 10_000
"""Alerts that one message sums up."""
_MOST_BYTES = 4 << 20
"""Of documents in one request."""
_MOST_ANSWER = 4096
_MOST_TOLD = 200
_AGAIN = frozenset((401, 403, 404, 405, 407, 408, 410, 425, 429))


class Webhook:
    """A Carrier to one address.

    form        json and ecs: the alert itself, an array of up to `batch` of them where that is more than 1;
                slack, teams, template: a message, no more than `per_minute` of them
    template    for the form template
    headers     sent with every request
    secret      signs the body, where there is one
    context     what makes a TLS connection trusted
    """

    def __init__(
        self,
        url: str,
        form: Form = "json",
        *,
        template: Template | None = None,
        headers: Mapping[str, str] | None = None,
        secret: bytes = b"",
        timeout: float = 10.0,
        batch: int = 1,
        per_minute: int = 30,
        context: ssl.SSLContext | None = None,
        proxy: str = "",
    ) -> None:
        self._url = url
        self._form = form
        self._template = template
        self._secret = secret
        self._timeout = timeout
        self._batch = batch
        self._pace = Pace(per_minute) if form in ("slack", "teams", "template") else None
        agent = {"User-Agent": f"sockwarden/{__version__}", "Content-Type": "application/json"}
        self._client = httpx.Client(
            headers={**agent, **(headers or {})},
            timeout=timeout,
            verify=context or True,
            follow_redirects=False,
            # Neither a proxy nor a password comes from the environment or from ~/.netrc unasked.
            trust_env=False,
            proxy=proxy or None,
        )

    @property
    def most_items(self) -> int:
        """As many as one request tells of."""
        return self._batch if self._pace is None else MOST_FOLDED if self._pace.folding else 1

    @property
    def most_bytes(self) -> int:
        """Bounds the memory of one request, and its time."""
        return _MOST_BYTES * 4 if self._pace and self._pace.folding else _MOST_BYTES

    def pause(self, now: float) -> float:
        """Seconds until the next message may go."""
        return self._pace.pause(now) if self._pace else 0.0

    def send(self, entries: Sequence[Entry]) -> Outcome:
        """One request with all of them."""
        fine, refused = [], []
        alerts: list[Document] = []
        for entry in entries:
            try:
                alert = _alert(entry, self._form)
                alerts.append(summed(alert) if self._pace and len(entries) > 1 else alert)
                fine.append(entry)
            except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
                refused.append(Refusal(entry, f"it is no alert: {error!r}"))
        if not fine:
            return Outcome(refused=refused)
        outcome = self._deliver(alerts, fine)
        return Outcome(outcome.done, [*refused, *outcome.refused], outcome.again, outcome.retry_after)

    def interrupt(self) -> None:
        """Closes the connections."""
        self._client.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _deliver(self, alerts: list[Document], entries: list[Entry]) -> Outcome:
        outcome = self._post(self._body(alerts), entries)
        if not outcome.refused or self._pace or len(entries) == 1:
            return outcome
        # One alert that is not wanted must not take the others of its request with it.
        half = len(entries) // 2
        first, second = self._deliver(alerts[:half], entries[:half]), self._deliver(alerts[half:], entries[half:])
        return Outcome(
            [*first.done, *second.done],
            [*first.refused, *second.refused],
            first.again or second.again,
            first.retry_after or second.retry_after,
        )

    def _body(self, alerts: list[Document]) -> bytes:
        if self._form in ("json", "ecs"):
            return encode(alerts[0]) if self._batch == 1 else b"[" + b",".join(map(encode, alerts)) + b"]"
        told = of_alert(alerts[0]) if len(alerts) == 1 else of_many(alerts)
        if self._template:
            return self._template.render(alerts[0] if len(alerts) == 1 else as_document(told, alerts))
        return encode(slack(told) if self._form == "slack" else teams(told))

    def _post(self, body: bytes, entries: Sequence[Entry]) -> Outcome:
        headers = {}
        if self._secret:
            headers[SIGNATURE] = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if self._pace:
            # Also one without an answer: it may have been shown.
            size = sum(len(entry.payload) for entry in entries)
            self._pace.sent(time.monotonic(), more=len(entries) == MOST_FOLDED or size > self.most_bytes // 2)
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                answer = _beginning(response, time.monotonic() + self._timeout)
        except (httpx.HTTPError, OSError, RuntimeError, ValueError) as error:
            # RuntimeError: the client was closed by `interrupt`. The words may carry the address, but not its secret.
            return Outcome(again=_masked(f"no answer: {str(error) or type(error).__name__}", self._url))
        return _judged(response, answer, entries)


def _alert(entry: Entry, form: Form) -> Document:
    alert: Document = msgspec.json.decode(entry.payload, type=dict[str, Any])
    return ecs(alert) if form == "ecs" else alert


def _beginning(response: httpx.Response, until: float) -> bytes:
    """Some of the body. The answer is in its code: a body that breaks off changes nothing."""
    answer = b""
    with suppress(httpx.HTTPError, OSError):
        for part in response.iter_raw():
            answer += part
            if len(answer) >= _MOST_ANSWER or time.monotonic() > until:
                break
    return answer[:_MOST_ANSWER]


def _judged(response: httpx.Response, answer: bytes, entries: Sequence[Entry]) -> Outcome:
    code = response.status_code
    if 200 <= code < 300:
        return Outcome(done=entries)
    said = shorten(escape(" ".join(answer.decode("utf-8", "replace").split())), _MOST_TOLD)
    why = f"it answered {code} {escape(response.reason_phrase)}".rstrip() + (f": {said}" if said else "")
    if 300 <= code < 400:
        why += "\nRedirects are not followed: name the address itself."
    if code in _AGAIN or not 400 <= code < 500:
        return Outcome(again=why, retry_after=_retry_after(response.headers.get("Retry-After", "")))
    return Outcome(refused=[Refusal(entry, why) for entry in entries])


def _retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header, which has them as such or as a date (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _masked(text: str, url: str) -> str:
    return text.replace(url, masked(url))
