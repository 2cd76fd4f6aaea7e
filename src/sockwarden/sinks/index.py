"""Alerts and accesses into Elasticsearch or OpenSearch, by bulk requests from spools.

Each document has an `_id` of its own, and is created, never replaced: what was sent twice, since an answer was lost or
a run was killed, is there once. Only an alert that was raised is put over what it was; what people say of it stays.
Alerts go into an index, since their status changes; accesses, and what was asked, into data streams. They wait in
spools of their own: a flood of accesses must not push alerts out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from sockwarden.alerts import is_raised
from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.cluster.failures import ClusterError, error_of
from sockwarden.document import METADATA, Document, encode, get
from sockwarden.sinks.lines import whole
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.spooled import SPOOL_BYTES, SpooledSink
from sockwarden.sinks.worker import Outcome, Refusal
from sockwarden.stories import REQUEST, is_request

MOST_ITEMS = 500
MOST_BYTES = 4 << 20
"""Of one bulk request: far below http.max_content_length (100 MB), so that an answer comes soon."""
_PARAMS = {"filter_path": "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"}
_UPDATED, _CREATED, _CONFLICT, _BAD_REQUEST, _TOO_LARGE = 200, 201, 409, 400, 413
_OF_THE_CLUSTER = frozenset({"validation_exception", "index_closed_exception", "cluster_block_exception"})
"""Refusals with status 400 that are no fault of the document: too many shards for a new index, say."""


def alerts_index(namespace: str) -> str:
    """Where alerts go."""
    return f"sockwarden-alerts-{namespace}"


def accesses_stream(namespace: str) -> str:
    """Where accesses go, by Elastic's naming scheme of data streams."""
    return f"logs-sockwarden.access-{namespace}"


def requests_stream(namespace: str) -> str:
    """Where requests go."""
    return f"logs-{REQUEST}-{namespace}"


class AlertIndex(SpooledSink):
    """Alerts, under their uuid."""

    notifies: ClassVar[bool] = False

    def __init__(self, connection: Connection, folder: Path, namespace: str, most_bytes: int = SPOOL_BYTES) -> None:
        self._target = alerts_index(namespace)
        super().__init__("index", BulkCarrier(connection), folder, most_bytes=most_bytes, shown=f"index {self._target}")

    def add(self, alerts: Sequence[Document]) -> None:
        """Takes the alerts of one access into the spool."""
        items = [
            (raised_item if is_raised(one) else item)(self._target, str(get(one, "kibana.alert.uuid")), whole(one))
            for one in alerts
        ]
        if items:
            self.spool.add_all(items)
            self._worker.wake()


class AccessIndex(SpooledSink):
    """Accesses and requests, under their `_id`."""

    notifies: ClassVar[bool] = False

    def __init__(self, connection: Connection, folder: Path, namespace: str, most_bytes: int = SPOOL_BYTES) -> None:
        self._target, self._requests = accesses_stream(namespace), requests_stream(namespace)
        carrier = BulkCarrier(connection)
        super().__init__("index-accesses", carrier, folder, most_bytes=most_bytes, shown=f"index {self._target}")

    def add(self, alerts: Sequence[Document]) -> None:
        """Alerts are for another place."""

    def accesses(self, documents: Iterable[Document]) -> None:
        """Takes accesses and requests into the spool."""
        items = [item(self._requests if is_request(one) else self._target, str(one["_id"]), one) for one in documents]
        if items:
            self.spool.add_all(items)
            self._worker.wake()


class BulkCarrier:
    """Sends entries of two lines each, action and document (see sinks/worker.py)."""

    def __init__(self, connection: Connection) -> None:
        # One try: what fails stays in the spool, and its worker waits.
        self._client = Client(connection, attempts=1)

    @property
    def most_items(self) -> int:
        """Of one request."""
        return MOST_ITEMS

    @property
    def most_bytes(self) -> int:
        """Of one request."""
        return MOST_BYTES

    def pause(self, now: float) -> float:  # noqa: ARG002 - the protocol's
        """As fast as the cluster takes them."""
        return 0.0

    def send(self, entries: Sequence[Entry]) -> Outcome:
        """One bulk request, or where that is refused as a whole, its halves."""
        body = b"".join(entry.payload for entry in entries)
        try:
            answer = self._client.json("POST", "/_bulk", body, params=_PARAMS)
            return self._judged(entries, answer.get("items"))
        except ClusterError as error:
            # Without a kind it is not the cluster that speaks but a proxy, to which no document is good.
            if error.status not in (_BAD_REQUEST, _TOO_LARGE) or (error.status == _BAD_REQUEST and not error.kind):
                return Outcome(again=str(error), retry_after=error.retry_after)
            if len(entries) == 1:
                return Outcome(refused=[Refusal(entries[0], str(error))])
        except RuntimeError as error:  # the client was closed by `interrupt`
            return Outcome(again=str(error))
        half = len(entries) // 2
        first, second = self.send(entries[:half]), self.send(entries[half:])
        return Outcome([*first.done, *second.done], [*first.refused, *second.refused], first.again or second.again)

    def interrupt(self) -> None:
        """Closes the connections."""
        self._client.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _judged(self, entries: Sequence[Entry], items: Any) -> Outcome:
        if not isinstance(items, list) or len(items) != len(entries):
            raise self._client.not_json("no answer for each document", msgspec.json.encode(items)[:120])
        done, refused, again = [], [], ""
        for entry, item in zip(entries, items, strict=True):
            created, updated = (item.get(action) if isinstance(item, dict) else None for action in ("create", "update"))
            told = next((each for each in (created, updated) if isinstance(each, dict)), {})
            status, (kind, reason) = told.get("status"), error_of(told.get("error"))
            # What is there already need not be created; what somebody else changed just now is still to be changed.
            if status in (_UPDATED, _CREATED) or (status == _CONFLICT and told is created):
                done.append(entry)
            elif status in (_BAD_REQUEST, _TOO_LARGE) and kind not in _OF_THE_CLUSTER:
                refused.append(Refusal(entry, f"HTTP {status}: {reason or kind}"))
            else:
                again = again or f"{self._client.url}: the cluster did not take it\nHTTP {status}: {reason or kind}"
        return Outcome(done, refused, again)


def item(target: str, identity: str, document: Document) -> tuple[str, bytes]:
    """An entry for BulkCarrier: its key, and its two lines."""
    action = msgspec.json.encode({"create": {"_index": target, "_id": identity}})
    stored = {key: value for key, value in document.items() if key not in METADATA}
    return f"{target} {identity}", action + b"\n" + encode(stored) + b"\n"


def raised_item(target: str, identity: str, alert: Document) -> tuple[str, bytes]:
    """As `item`, for an alert that is there already, less severe; made where it is not. An update that conflicts with a
    person's is tried again by the cluster.
    """
    action = msgspec.json.encode({"update": {"_index": target, "_id": identity, "retry_on_conflict": 3}})
    signal = {key: value for key, value in alert["kibana"]["alert"].items() if not key.startswith("workflow_")}
    changed = {**alert, "kibana": {**alert["kibana"], "alert": signal}}
    body = encode({"doc": changed, "upsert": alert})
    return f"{target} {identity} {signal['severity']}", action + b"\n" + body + b"\n"
