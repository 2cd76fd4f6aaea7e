"""Lines of JSON: Tracee's events, and ECS documents and hits that others exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
from fuzz.hunting import DETECTIONS, carry, hunt

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


def check(data: bytes) -> None:
    """A line is an object or an InputError; an object becomes documents that every later room takes."""
    try:
        entry = decode(data)
    except InputError:
        hunt(data)
        return
    tracee.recognise(entry)
    ecs.recognise(entry)
    documents = [*_traced(entry), *_exported(entry)]
    carry(documents)
    for document in documents:
        _sign(document)
    hunt(data)


def _traced(entry: Object) -> Iterator[Document]:
    try:
        document = tracee.to_document(entry)
        turned = tracee.to_document(dict(reversed(entry.items())))
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
