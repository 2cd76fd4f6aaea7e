"""Names of indices, and what the indices behind them hold in which field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Any
from urllib.parse import quote

import msgspec

from sockwarden.cluster.client import Client

_BACKING = re.compile(r"\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6}|\.ds-(.+)-\d{6}")
"""A data stream's backing index: with a date in Elasticsearch, without one in OpenSearch."""
_FAMILIES = {"constant_keyword": "keyword", "match_only_text": "text"}
_MOST_ANSWER = 32 << 20


class Capabilities(msgspec.Struct, frozen=True):
    """What a search over some patterns would meet.

    indices  concrete names
    types    by field, by type: the indices that have it so; None for all that have the field
    """

    indices: tuple[str, ...]
    types: dict[str, dict[str, tuple[str, ...] | None]]


def capabilities(client: Client, patterns: Iterable[str], fields: Iterable[str]) -> Capabilities:
    """Asks for field capabilities. A pattern that names nothing adds nothing; no index at all is no error.

    constant_keyword counts as keyword and match_only_text as text: they are asked alike.
    """
    params = {"ignore_unavailable": "true", "allow_no_indices": "true", "fields": ",".join(sorted(fields))}
    answer = client.json("POST", f"{index_path(patterns)}/_field_caps", params=params, most_bytes=_MOST_ANSWER)
    indices, found = answer.get("indices"), answer.get("fields")
    if not isinstance(indices, list) or not isinstance(found, dict):
        raise client.not_json("no field capabilities", msgspec.json.encode(answer)[:200])
    return Capabilities(tuple(map(str, indices)), {name: _types(found[name]) for name in found})


def index_path(patterns: Iterable[str]) -> str:
    """The patterns as a path: each quoted, none able to leave its place."""
    return "/" + ",".join(quote(pattern, safe="*:-_.") for pattern in patterns)


def stream_of(index: str) -> str:
    """The data stream of a backing index, without a remote cluster's name; another index's own name."""
    name = index.rpartition(":")[2]
    found = _BACKING.fullmatch(name)
    return (found[1] or found[2]) if found else name


def names(pattern: str, index: str) -> bool:
    """Whether an index pattern names an index, by its own name or its data stream's. Aliases are not seen through."""
    fits = re.compile(translate(pattern.rpartition(":")[2].replace("[", "[[]").replace("?", "[?]")))
    return bool(fits.match(stream_of(index)) or fits.match(index.rpartition(":")[2]))


def _types(by_type: Any) -> dict[str, tuple[str, ...] | None]:
    types: dict[str, tuple[str, ...] | None] = {}
    for name, facts in by_type.items() if isinstance(by_type, dict) else ():
        if name == "unmapped" or not isinstance(facts, dict):
            continue
        named = facts.get("indices")
        known = _FAMILIES.get(str(name), str(name))
        indices = tuple(map(str, named)) if isinstance(named, list) else None
        earlier = types.get(known, ())
        types[known] = None if indices is None or earlier is None else (*earlier, *indices)
    return types
