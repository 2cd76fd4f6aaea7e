"""Where the scheduled engine's documents come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sockwarden.document import Document
from sockwarden.rules import Rule


class Source(Protocol):
    """A place that holds documents and can be asked for those of a window of time: store, folder, index.

    name: as a run's record tells it: "store", a folder's path, a cluster's URL without credentials
    """

    name: str

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        """Documents that match the rule's query and whose time lies in start..end, both inclusive, in milliseconds
        since the epoch; the oldest first, ties by `_id` or, of an index, in the order of that. Each carries `_index`,
        `_id`, `_version`.

        The time is `rule.timestamp_override`, or @timestamp where that is missing and the rule does not forbid it.
        Exceptions are not applied here. Raises InputError when the source cannot be asked, after nothing or in the
        middle: what was given until then is not to be used.
        """
        ...

    def warnings(self) -> list[str]:
        """What the last search could not cover, for a person: shards that failed, patterns that name no index,
        documents that carry none of the rule's fields. Cleared by the call.
        """
        ...
