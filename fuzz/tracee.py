"""Lines of JSON: Tracee's events, and ECS documents and hits that others exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from fuzz.hunting import DETECTIONS, carry, hunt, learn

from sockwarden.detect import SignatureDetection
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.readers import ecs, tracee
from sockwarden.readers.ndjson import Object, decode
from sockwarden.signatures import Finding, SignatureEventError, finding_to_json

LONGEST = 4096

_TESTS = Path(__file__).parents[1] / "tests"


def seeds() -> Iterator[bytes]:
    """Tracee's events of the tests as they are, and a document and a hit made of each kind of access."""
    for path in sorted((_TESTS / "readers" / "tracee").glob("*.jsonl")):
        yield from path.read_bytes().split(b"\n")
    for line in (_TESTS / "signatures" / "cases.jsonl").read_bytes().splitlines():
        case = json.loads(line)
        document = case.get("document")
        if event := case.get("event"):
            yield msgspec.json.encode(event)
            document = tracee.to_document(event)
        if document:
            yield msgspec.json.encode({"@timestamp": "2026-11-22T01:02:03.456Z", **document})
            yield msgspec.json.encode({"hits": {"hits": [{"_id": "1", "_index": "i", "_source": document}]}})


_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**64,
    0.5,
    "",
    "7",
    "\u00b2",
    "\x1b",
    "/run/docker.sock",
    "connected-to",
    [],
    {},
    [[]],
    [{}],
)


def vary(data: bytes, seed: int) -> bytes | None:
    """The same JSON with one member replaced, wrapped, moved or taken out, which bytes changed at random rarely are;
    None for what is no JSON, or nests too deep for this.
    """
    try:
        entry = json.loads(data)
        if places := list(_places(entry)):
            _change(places, Random(seed))  # noqa: S311 - libFuzzer's seed, so that a session can be had again
        text = json.dumps(entry, separators=(",", ":"))
        return (text if seed % 15 else text.replace("sock", "s\\u006fck")).encode()
    except (ValueError, RecursionError):
        return None


def _change(places: list[tuple[Any, Any]], random: Random) -> None:
    (holder, key), (other, other_key) = random.choice(places), random.choice(places)
    match random.randrange(6):
        case 0 | 1:
            holder[key] = random.choice(_VALUES)
        case 2:
            holder[key] = [holder[key]]
        case 3:
            holder[key] = {str(key): holder[key]}
        case 4:
            holder[key] = json.loads(json.dumps(other[other_key]))
        case _:
            del holder[key]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and array with each of its keys or indices."""
    for key in range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ():
        yield value, key
        yield from _places(value[key])


def check(data: bytes) -> None:
    """A line is an object or an InputError; an object becomes documents that every later room takes, and skipping
    what no detector wants loses no alert.
    """
    found = hunt(data)
    try:
        entry = decode(data)
    except InputError:
        return
    tracee.recognise(entry)
    ecs.recognise(entry)
    documents = [*_traced(entry), *_exported(entry)]
    carry(documents, learn(documents))
    for document in documents:
        _sign(document)
    # A document that names a runtime itself is found by the canonical address beside it: who wrote one wrote both.
    assert b"runtime" in data or found >= hunt(data, everything=True)


def _traced(entry: Object) -> Iterator[Document]:
    try:
        document = tracee.to_document(entry)
        turned = tracee.to_document(dict(reversed(list(entry.items()))))
    except InputError:
        return
    if document:
        assert turned and turned["_id"] == document["_id"]
        assert decode(document["event"]["original"].encode()) is not None
        yield document


def _exported(entry: Object) -> Iterator[Document]:
    try:
        yield from ecs.to_documents(entry)
    except InputError:
        return


def _sign(document: Document) -> None:
    for detection in DETECTIONS:
        if not isinstance(detection, SignatureDetection):
            continue
        findings: list[Finding] = []
        signature = type(detection.signature)()
        signature.init(findings.append)
        try:
            signature.on_event(document)
        except SignatureEventError:
            assert not findings
        for finding in findings:
            msgspec.json.encode(finding_to_json(finding))
        signature.close()
