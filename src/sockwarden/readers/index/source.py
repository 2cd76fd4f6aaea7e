"""The index as a place that the scheduled engine asks (detect/source.py)."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sockwarden.cluster.client import Client
from sockwarden.cluster.indices import Capabilities, capabilities, names
from sockwarden.cluster.pit import PointInTime
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.readers.ecs import as_stored
from sockwarden.readers.index.carried import missing
from sockwarden.readers.index.pages import Hit, Pages
from sockwarden.readers.index.query import fields_asked, query_of, windows
from sockwarden.readers.index.renaming import rename, renamed_query
from sockwarden.readers.ndjson import decode
from sockwarden.rules import Rule

CAPABILITIES_SECONDS = 60.0
"""How long what indices hold is taken for known: a new index is asked by its own types a minute later."""
_MOST_KNOWN = 256
_MOST_WARNINGS = 50


class IndexSource:
    """Asks a cluster by the rules' own queries, over the rules' index patterns.

    renamed  `--map`: fields of the rules, each with the field that may stand for it
    """

    def __init__(self, client: Client, renamed: Mapping[str, str] | None = None) -> None:
        self.name = client.url
        self._client = client
        self._renamed = dict(renamed or {})
        self._known: dict[tuple[tuple[str, ...], frozenset[str]], tuple[float, Capabilities]] = {}
        self._warnings: dict[str, None] = {}

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        """As the protocol says; documents of one millisecond in the cluster's order. Holds a page or two in memory."""
        self._warnings.clear()
        if not rule.index:
            raise InputError("the rule names no index", where=rule.name, todo="Give it `index` in [rule].")
        tree = renamed_query(rule.tree, self._renamed)
        fields = fields_asked(tree)
        known = self._capabilities(rule.index, fields)
        self._warn_of_missing(rule, known)
        if not known.indices:
            return
        query, warnings = query_of(tree, known)
        self._warnings |= dict.fromkeys(warnings)
        met: set[str] = set()
        by_time = windows(rule, start, end)
        with PointInTime(self._client, rule.index) as pit:
            pages = Pages(self._client, pit, self._warnings)
            streams = [pages.hits({"bool": {"filter": [window, query]}}, field) for field, window in by_time.items()]
            unreadable = 0
            for hit in heapq.merge(*streams, key=lambda hit: hit.sort[0]):
                met.add(hit.index)
                try:
                    document = self._document(hit)
                except InputError as error:
                    unreadable += 1
                    self._warnings.setdefault(f"{hit.index}: a document cannot be read: {error.what}: {error.why}")
                else:
                    yield document
        if unreadable:
            self._warnings[f"{unreadable:,} documents that match cannot be read"] = None
        self._look_for_fields(rule, {"bool": {"should": list(by_time.values()), "minimum_should_match": 1}}, met)

    def warnings(self) -> list[str]:
        """What the last search could not cover."""
        told = list(self._warnings)
        self._warnings.clear()
        more = len(told) - _MOST_WARNINGS
        return [*told[:_MOST_WARNINGS], f"and {more} more warnings"] if more > 0 else told

    def _document(self, hit: Hit) -> Document:
        metadata = {"_index": hit.index, "_id": hit.id, "_version": hit.version}
        document = as_stored(decode(bytes(hit.source)), metadata)
        rename(document, self._renamed)
        return document

    def _capabilities(self, patterns: tuple[str, ...], fields: frozenset[str]) -> Capabilities:
        now = time.monotonic()
        asked = (patterns, fields)
        if asked not in self._known or now - self._known[asked][0] > CAPABILITIES_SECONDS:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[asked] = now, capabilities(self._client, patterns, fields or {"@timestamp"})
        return self._known[asked][1]

    def _warn_of_missing(self, rule: Rule, known: Capabilities) -> None:
        for pattern in rule.index:
            if pattern.startswith("-") or any(names(pattern, index) for index in known.indices):
                continue
            # Its own name may be an alias's.
            if not self._capabilities((pattern,), frozenset({"@timestamp"})).indices:
                self._warnings[f"no index matches {pattern}"] = None

    def _look_for_fields(self, rule: Rule, window: dict[str, Any], met: set[str]) -> None:
        """Where a pattern gave nothing: whether its documents carry what the rule asks for."""
        tree = renamed_query(rule.tree, self._renamed)
        for pattern in rule.index:
            if pattern.startswith("-") or any(names(pattern, index) for index in met):
                continue
            known = self._capabilities((pattern,), fields_asked(tree))
            if known.indices:
                self._warnings |= dict.fromkeys(missing(self._client, pattern, tree, window, known))
