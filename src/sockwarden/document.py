"""The document: one ECS event as a nested dict, the one currency between rooms.

Field names are ECS 9's; ours are below `sockwarden.` and the audit pipeline's below `auditd.`. A document that
came from an index keeps `_index`, `_id` and `_version` at the top, as Elasticsearch's hits do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

Document = dict[str, Any]

METADATA = ("_index", "_id", "_version")
"""Keys beside ECS fields that identify a document in its index."""


@lru_cache(maxsize=1024)
def _parts(field: str) -> list[str]:
    return field.split(".")


def get(document: Document, field: str) -> Any:
    """The value at a dotted field name, None where any part is missing. Arrays are not entered."""
    value: Any = document
    for part in _parts(field):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def put(document: Document, field: str, value: Any) -> None:
    """Sets a dotted field, making the objects on the way; None is not stored (ECS has no null fields)."""
    if value is None:
        return
    *parents, last = _parts(field)
    for part in parents:
        child = document.get(part)
        if not isinstance(child, dict):
            child = document[part] = {}
        document = child
    document[last] = value


def values(document: Document, field: str) -> Iterator[Any]:
    """Every leaf at a dotted field name, entering arrays as Elasticsearch does; nulls are left out."""
    parts = _parts(field)
    value: Any = document
    for depth, part in enumerate(parts):
        if not isinstance(value, dict):
            return _leaves(value, parts[depth:])
        value = value.get(part)
        if value is None:
            return iter(())
    return _leaves(value, []) if isinstance(value, list) else iter(() if isinstance(value, dict) else (value,))


def _leaves(value: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element, parts)
    elif parts:
        if isinstance(value, dict) and parts[0] in value:
            yield from _leaves(value[parts[0]], parts[1:])
    elif value is not None and not isinstance(value, dict):
        yield value


def encode(document: Document) -> bytes:
    """The document as JSON; what JSON in UTF-8 cannot hold (a lone surrogate, say) becomes `?`."""
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "replace")
