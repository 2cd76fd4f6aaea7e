"""An exception item: what it is, whether it applies to a document, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

from sockwarden.document import Document, values
from sockwarden.kql import And, Node, Or
from sockwarden.kql.dates import date_ms
from sockwarden.rules.exceptions.compiled import Compiled, compile_entry
from sockwarden.rules.exceptions.entries import Entry, Match, MatchAny, Nested, entry_of, told
from sockwarden.rules.exceptions.values import Contains

_MOST_VALUES = 5
"""Values of a field that a trace shows."""


class Trace(msgspec.Struct, frozen=True):
    """One entry over one document. entry: as a person reads it; values: the first of the field's;
    more: whether there are others.
    """

    entry: str
    applies: bool
    values: tuple[object, ...]
    more: bool = False


class Explanation(msgspec.Struct, frozen=True):
    """Why an item applies to a document, or does not: it does when every entry does."""

    applies: bool
    traces: tuple[Trace, ...]


class ExceptionItem(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """An item of an exception list, ready to judge documents. It applies when all its entries do.

    entries: with that for os_types, of which host.os.type must be one, at the end; expire_time: ms since the epoch;
    table: as in the file, with what Kibana wrote beside
    """

    name: str
    list_id: str
    item_id: str
    description: str
    namespace_type: str
    entries: tuple[Entry, ...]
    os_types: tuple[str, ...]
    expire_time: int | None
    comments: tuple[Mapping[str, Any], ...]
    tags: tuple[str, ...]
    table: Mapping[str, Any]
    compiled: tuple[Compiled, ...]

    def matches(self, document: Document) -> bool:
        """Whether it applies to a document, expired or not."""
        for one in self.compiled:  # noqa: SIM110 - a loop costs half of what all() and a generator do
            if not one.applies(document):
                return False
        return True

    def expired(self, now_ms: int) -> bool:
        """Whether its time is over: it applies no more."""
        return self.expire_time is not None and self.expire_time <= now_ms

    def explain(self, document: Document) -> Explanation:
        """Why it applies to a document, or does not."""
        traces = tuple(
            _trace(entry, one.applies(document), document)
            for entry, one in zip(self.entries, self.compiled, strict=True)
        )
        return Explanation(all(trace.applies for trace in traces), traces)


def item_of(table: Mapping[str, Any], list_id: str, lists: Mapping[tuple[str, str], Contains]) -> ExceptionItem:
    """The item of a table that has been checked. lists: the value lists that it refers to; KeyError without one."""
    systems = tuple(table.get("os_types", ()))
    entries = [entry_of(entry) for entry in table["entries"]]
    if systems:
        entries.append(Match("host.os.type", systems[0]) if len(systems) == 1 else MatchAny("host.os.type", systems))
    return ExceptionItem(
        name=table["name"],
        list_id=list_id,
        item_id=table["item_id"],
        description=table.get("description", ""),
        namespace_type=table.get("namespace_type", "single"),
        entries=tuple(entries),
        os_types=systems,
        expire_time=date_ms(table["expire_time"]) if "expire_time" in table else None,
        comments=tuple(table.get("comments", ())),
        tags=tuple(table.get("tags", ())),
        table=table,
        compiled=tuple(compile_entry(entry, lists) for entry in entries),
    )


def as_query(items: Iterable[ExceptionItem]) -> Node | None:
    """A query that the documents match to which any of the items applies. None where there is no item, and where KQL
    cannot say one of them: then none is said, and whoever asks judges documents by the items themselves.
    """
    found: list[Node] = []
    for item in items:
        queries = [one.query for one in item.compiled]
        parts = tuple(query for query in queries if query is not None)
        if len(parts) < len(queries):
            return None
        found.append(parts[0] if len(parts) == 1 else And(parts))
    return None if not found else found[0] if len(found) == 1 else Or(tuple(found))


def _trace(entry: Entry, applies: bool, document: Document) -> Trace:
    fields = [f"{entry.field}.{child.field}" for child in entry.entries] if isinstance(entry, Nested) else [entry.field]
    seen = list(islice((value for name in fields for value in values(document, name)), _MOST_VALUES + 1))
    return Trace(told(entry), applies, tuple(seen[:_MOST_VALUES]), more=len(seen) > _MOST_VALUES)
