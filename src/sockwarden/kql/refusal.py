"""What a back end cannot express, refused by name."""

from __future__ import annotations

from sockwarden.errors import QueryError
from sockwarden.kql import caret


class UnsupportedError(QueryError):
    """A query that is KQL, but that a back end would answer otherwise than Kibana does, or not at all.

    construct  what of the query, as it is written in its normal form; safe on a terminal
    field      the field that it is about, empty where there is none
    """

    def __init__(self, backend: str, construct: str, field: str, why: str) -> None:
        shown = caret.escape(construct if len(construct) <= caret.WIDTH else construct[: caret.WIDTH] + "…")
        super().__init__(f"{backend} cannot express `{shown}`", why=why)
        self.construct = shown
        self.field = field
