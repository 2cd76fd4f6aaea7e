"""ECS documents as others export them: Auditbeat (destination.path), the auditd_manager integration
(destination.address), and hits of Elasticsearch or OpenSearch (`_source` beside `_index` and `_id`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from sockwarden.document import METADATA, Document, get, put
from sockwarden.errors import InputError

MOST_PARTS = 100
"""How many parts a field's name may have, from the top of its document."""

_OBJECTS = ("event", "destination", "sockwarden")
_GIVEN = "sockwarden.socket.address_as_given"
_ADDRESSES = (_GIVEN, "destination.path", "destination.address")


def recognise(entry: Document) -> bool:
    """Whether a JSON object is an ECS document, a hit, or a search response."""
    return "@timestamp" in entry or "_source" in entry or isinstance(get(entry, "hits.hits"), list)


def to_documents(entry: Document) -> Iterator[Document]:
    """The documents of one JSON object; a search response holds many. Raises InputError where one is none that an index
    would take, after giving all the others: one bad hit must not hide the next.
    """
    hits = get(entry, "hits.hits")
    refused = None
    for hit in hits if isinstance(hits, list) else [entry]:
        try:
            document = _document(hit) if isinstance(hit, dict) else None
        except InputError as error:
            refused = error
            continue
        if document:
            yield document
    if refused:
        raise refused


def as_stored(source: Document, metadata: Document) -> Document:
    """The document of a hit as its index has it: nothing added to it but its place there. Raises InputError as
    `to_documents` does.
    """
    return _placed(nested(source), metadata)


def _placed(document: Document, metadata: Document) -> Document:
    document.update(metadata)
    for name in _OBJECTS:
        if name in document:
            document[name] = _one_object(name, document[name])
    return document


def _document(hit: Document) -> Document:
    source = hit.get("_source")
    document = nested(source if isinstance(source, dict) else hit)
    metadata = {key: hit[key] for key in METADATA if key in hit}
    if metadata.get("_id") in (None, ""):
        content = msgspec.json.encode(
            {key: document[key] for key in sorted(document) if key not in METADATA}, order="deterministic"
        )
        metadata = {"_index": "sockwarden", "_id": hashlib.sha256(content).hexdigest(), "_version": 1}
    _placed(document, metadata)
    put(document, _GIVEN, _address(document))
    if not isinstance(get(document, _GIVEN), str | None):
        raise InputError("an ECS document with an address that is no text", why=f"`{_GIVEN}` must be text")
    return document


def _address(document: Document) -> str | None:
    """The address as the caller gave it: the last one where a field holds more, since the canonical ones come first."""
    for field in _ADDRESSES:
        value = get(document, field)
        if isinstance(value, list) and value:
            value = value[-1]
        if isinstance(value, str) and value:
            return value
    address, port = get(document, "destination.ip"), get(document, "destination.port")
    if isinstance(address, str) and isinstance(port, int):
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return None


def _one_object(name: str, value: Any) -> Document:
    """What the later rooms take for an object, as one. An array of objects means to an index the object that has the
    values of all of them.
    """
    joined: Document = {}
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict | None):
            raise InputError("an ECS document with a plain value for an object", why=f"`{name}` must be an object")
        for key, inner in (each or {}).items():
            joined[key] = [*_listed(joined[key]), *_listed(inner)] if key in joined else inner
    return joined


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def nested(source: Document) -> Document:
    """The same document with dotted keys (`"event.action": …`) unfolded into objects: itself where there are none."""
    return source if _is_nested(source, 1) else _unfolded(source, 0)


def _unfolded(source: Document, level: int) -> Document:
    document: Document = {}
    for key, value in source.items():
        parts = key.split(".")
        below = level + len(parts)
        if below > MOST_PARTS:
            raise InputError(f"an ECS document with a field of more than {MOST_PARTS} parts")
        _merge(document, parts, _unfolded(value, below) if isinstance(value, dict) else value)
    return document


def _is_nested(source: Document, level: int) -> bool:
    """Whether no key is dotted, at a depth that a field may have; most documents come so."""
    if level > MOST_PARTS:
        return False
    for key, value in source.items():
        if "." in key or (type(value) is dict and not _is_nested(value, level + 1)):
            return False
    return True


def _merge(document: Document, parts: list[str], value: Any) -> None:
    """Puts the value there. Where something is, both stay, as two values of one field: neither hides the other."""
    for part in parts[:-1]:
        child = document.get(part)
        if not isinstance(child, dict):
            below: Document = {}
            _add(document, part, below)
            child = below
        document = child
    present = document.get(parts[-1])
    if isinstance(present, dict) and isinstance(value, dict):
        for key, inner in value.items():
            _merge(present, [key], inner)
    else:
        _add(document, parts[-1], value)


def _add(document: Document, key: str, value: Any) -> None:
    present = document.get(key)
    if present is None:
        document[key] = list(value) if isinstance(value, list) else value
    elif isinstance(present, list):
        present += _listed(value)  # ours: it was copied above
    else:
        document[key] = [present, *_listed(value)]
