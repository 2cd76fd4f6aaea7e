"""A point in time: indices as they are now, for as long as a search pages through them.

This is the one place where the two servers differ: Elasticsearch opens it at `/INDICES/_pit`, OpenSearch at
`/INDICES/_search/point_in_time`; they close it where they opened it.
"""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from sockwarden.cluster.client import Client
from sockwarden.cluster.failures import ClusterError
from sockwarden.cluster.indices import index_path

KEEP_ALIVE = "5m"
"""How long the server holds it after each request."""


class PointInTime:
    """Open inside `with`; closed on every way out. Where the cluster is away by then, it ends by itself."""

    def __init__(self, client: Client, patterns: tuple[str, ...]) -> None:
        self._client = client
        self._patterns = patterns
        self._opensearch = client.info().distribution == "opensearch"
        self._id = ""

    def __enter__(self) -> Self:
        name, place = ("pit_id", "/_search/point_in_time") if self._opensearch else ("id", "/_pit")
        params = {"keep_alive": KEEP_ALIVE, "ignore_unavailable": "true"}
        answer = self._client.json("POST", index_path(self._patterns) + place, params=params)
        self._id = str(answer.get(name) or "")
        if not self._id:
            raise self._client.not_json(f"a point in time without {name}", b"")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        with suppress(ClusterError):
            if self._opensearch:
                self._client.json("DELETE", "/_search/point_in_time", {"pit_id": [self._id]}, attempts=1)
            else:
                self._client.json("DELETE", "/_pit", {"id": self._id}, attempts=1)

    @property
    def clause(self) -> dict[str, Any]:
        """What a search's body says of it."""
        return {"id": self._id, "keep_alive": KEEP_ALIVE}

    def renewed(self, identity: str | None) -> None:
        """Takes the id that an answer gave: it may change from one to the next."""
        self._id = identity or self._id
