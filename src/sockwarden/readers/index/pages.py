"""Every hit of a query, page by page, each once.

Pages follow one another by time and a tie-break. Elasticsearch has one that no two documents share (`_shard_doc`).
OpenSearch 2 has none that costs no memory of the cluster: `_id` would be loaded for a whole index. There `_seq_no` is
unique within a shard only; so the next page begins with the last page's last place again, less what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sockwarden.cluster.client import Client
from sockwarden.cluster.failures import AnswerTooLargeError, ClusterError, error_of
from sockwarden.cluster.pit import PointInTime
from sockwarden.readers.ndjson import repaired

MOST_HITS = 1000
MOST_TIES = 10_000
"""The largest page (index.max_result_window): so many documents of one time and one sequence number can be paged."""
_PAGE_BYTES = 16 << 20
_GONE = "search_context_missing_exception"
_BUSY = frozenset({"es_rejected_execution_exception", "rejected_execution_exception", "circuit_breaking_exception"})
_MOST_REASONS = 5


class Hit(msgspec.Struct):
    """One document in its index. sort: time in milliseconds and tie-break."""

    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    sort: list[int]
    version: int = msgspec.field(name="_version", default=1)
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))


class _Hits(msgspec.Struct):
    hits: list[Hit]


class _Shards(msgspec.Struct):
    total: int = 0
    failed: int = 0
    failures: list[dict[str, Any]] = []


class Answer(msgspec.Struct):
    """Of a search with a point in time."""

    hits: _Hits
    timed_out: bool = False
    pit_id: str | None = None
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)


_decoder = msgspec.json.Decoder(Answer)


class Pages:
    """Pages through one point in time. warnings: what the answers did not cover, each once."""

    def __init__(self, client: Client, pit: PointInTime, warnings: dict[str, None]) -> None:
        self._client = client
        self._pit = pit
        self._warnings = warnings
        self._tie = "_shard_doc" if client.info().distribution == "elasticsearch" else "_seq_no"
        self._size = MOST_HITS

    def hits(self, query: dict[str, Any], time_field: str) -> Iterator[Hit]:
        """Every hit, the earliest first. Raises ClusterError, also in the middle."""
        after: list[int] | None = None
        seen: set[tuple[str, str]] = set()
        most = MOST_HITS
        while True:
            answer, size = self._page(self._body(query, time_field, after), most)
            hits = answer.hits.hits
            if after and hits and hits[0].sort <= after:
                # A proxy that drops `search_after` would give the first page without end.
                why = "a page does not follow the last one"
                raise ClusterError("the cluster repeats itself", where=self._client.url, why=why)
            fresh = [hit for hit in hits if (hit.index, hit.id) not in seen]
            yield from fresh
            if len(hits) < size:
                return
            if not fresh:
                most = self._more(size, time_field)
                continue
            last = hits[-1].sort
            kept = seen if after == [last[0], last[1] - 1] else set()
            seen = kept | {(hit.index, hit.id) for hit in hits if hit.sort == last}
            after = [last[0], last[1] - 1]

    def _more(self, size: int, time_field: str) -> int:
        """A larger page, where a whole one held nothing new."""
        if size >= MOST_TIES:
            raise ClusterError(
                f"more than {MOST_TIES:,} documents that cannot be told apart",
                where=self._client.url,
                why=f"they have the same {time_field} and the same place in as many shards",
            )
        self._size = min(2 * size, MOST_TIES)
        return MOST_TIES

    def _body(self, query: dict[str, Any], time_field: str, after: list[int] | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "query": query,
            "sort": [
                {time_field: {"order": "asc", "unmapped_type": "date", "numeric_type": "date"}},
                {self._tie: {"order": "asc"}},
            ],
            "version": True,
            "seq_no_primary_term": True,
            "track_total_hits": False,
        }
        return body | ({"search_after": after} if after else {})

    def _page(self, body: dict[str, Any], most: int) -> tuple[Answer, int]:
        """One answer, and the size that was asked for: smaller where documents are large."""
        while True:
            size = self._size = min(self._size, most)
            try:
                content = self._client.raw("POST", "/_search", body | {"size": size, "pit": self._pit.clause})
            except AnswerTooLargeError:
                if size == 1:
                    raise
                self._size = size // 2
                continue
            except ClusterError as error:
                raise self._ended() if error.kind == _GONE else error from None
            answer = self._decoded(content)
            self._pit.renewed(answer.pit_id)
            self._judge(answer)
            if answer.hits.hits:
                of_bytes = _PAGE_BYTES * len(answer.hits.hits) // len(content)
                self._size = max(1, min(MOST_HITS, of_bytes)) if most == MOST_HITS else size
            return answer, size

    def _decoded(self, content: bytes) -> Answer:
        try:
            try:
                answer = _decoder.decode(content)
            except msgspec.DecodeError:
                # An index gives back what was stored, also the broken texts that somebody chose as his argv.
                answer = _decoder.decode(repaired(content))
        except (ValueError, RecursionError) as error:
            raise self._client.not_json(str(error), content) from None
        if any(len(hit.sort) != 2 for hit in answer.hits.hits):
            raise self._client.not_json("a hit without its place", content)
        return answer

    def _judge(self, answer: Answer) -> None:
        """What the answer does not cover: a warning where it will be so the next time too, else a failure."""
        reasons = []
        for failure in answer.shards.failures:
            kind, reason = error_of(failure.get("reason"))
            if kind == _GONE:
                raise self._ended()
            if kind in _BUSY:
                raise ClusterError(
                    "the cluster has more to do than it can", where=self._client.url, why=reason, transient=True
                )
            reasons.append(f"{failure.get('index') or 'an index'}: {reason or kind or 'no reason given'}")
        if answer.shards.failed:
            told = "; ".join(list(dict.fromkeys(reasons))[:_MOST_REASONS]) or "no reason given"
            failed = f"{answer.shards.failed} of {answer.shards.total} shards failed, and their documents are missing"
            self._warnings[f"{failed}: {told}"] = None
        if answer.timed_out:
            self._warnings["the cluster ended the search early: documents may be missing"] = None

    def _ended(self) -> ClusterError:
        return ClusterError(
            "the point in time ended before the search",
            where=self._client.url,
            why="a node was restarted, or the search paused for minutes",
            todo="The next run looks at this window again.",
            kind=_GONE,
        )
