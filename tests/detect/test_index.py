"""The index leaves nobody out who could match: with it, an engine answers what every detector, asked in turn, would."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from drawn_queries import kinds, trees, trees_and_documents
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sockwarden.detect import Detection, Engine, RuleDetection, SignatureDetection
from sockwarden.detect.index import Index
from sockwarden.document import Document, put
from sockwarden.kql import Node, TypeTable, compile_query, parse, requirements
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import format_of, plan
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES, SignatureEventError
from sockwarden.sockets import packaged

CAPTURES = Path(__file__).parents[1] / "data" / "captures"


def index_of(*queries: str) -> Index:
    return Index([requirements(parse(query)) for query in queries])


@pytest.mark.parametrize(
    ("queries", "document", "candidates"),
    [
        (["a:x", "a:y", "a:z*"], {"a": "y"}, 0b010),
        (["a:x", "a:y", "a:z*"], {"a": "zy"}, 0b100),
        (["a:x", "a:y"], {"a": ["x", "y"]}, 0b11),
        (["a:x", "a:y"], {}, 0b00),
        (["a:x", "a:y"], {"a": []}, 0b00),
        (["a:x", "a:y", "not a:x"], {"a": "z"}, 0b100),
        (["a:x", "a:*"], {"a": "z"}, 0b10),
        (["a:x", "a:1"], {"a": 1}, 0b11),  # what is no text is left to the query
        (["a:longer and a:y", "a:y"], {"a": ["y"]}, 0b10),
        (["a.b:x", "a.b:y"], {"a": [{"b": "x"}]}, 0b11),
        (["a:x and b:y", "a:x and b:z"], {"a": "x", "b": "z"}, 0b10),
        (["a:x or b:y"], {"a": "z"}, 0b1),
        (["a:x"], {"a": "z"}, 0b0),
    ],
)
def test_candidates(queries: list[str], document: Document, candidates: int) -> None:
    assert index_of(*queries).candidates(document) == candidates


def test_many_new_texts_are_not_kept() -> None:
    index = index_of("a:*x", "a:y*")
    for number in range(10_000):
        assert index.candidates({"a": f"y{number}"}) == 0b10
        assert index.candidates({"a": "y" * (number + 1)}) == 0b10
    (field,) = index._fields
    assert len(field._known) <= 4096
    assert all(len(text) <= 512 for text in field._known)


@settings(max_examples=1000, deadline=None)
@given(trees_and_documents(), st.lists(trees, max_size=6), kinds)
def test_whoever_matches_is_a_candidate(
    drawn: tuple[Node, dict[str, Any]], others: list[Node], by_name: dict[str, str]
) -> None:
    tree, document = drawn
    types = TypeTable(by_name)
    queries = [tree, *others]
    candidates = Index([requirements(query, types) for query in queries]).candidates(document)
    event(f"candidates {candidates.bit_count()} of {len(queries)}")
    for bit, query in enumerate(queries):
        assert candidates >> bit & 1 or not compile_query(query, types=types)(document)


def detections() -> list[Detection]:
    return [
        *(RuleDetection(rule) for rule in load_packaged()),
        *(SignatureDetection(kind()) for kind in SIGNATURES),
    ]


def captured() -> list[Document]:
    found: list[Document] = []
    wanted = wanted_by((one.required_literals for one in detections()), packaged())
    for stream in plan([str(path) for path in sorted(CAPTURES.glob("*.audit.log"))]):
        with stream:
            found += Replay(packaged(), wanted).documents(stream, format_of(stream))
    return found


DOCUMENTS = captured()
DETECTIONS = detections()
VALUES: dict[str, list[Any]] = {
    "event.action": ["connected-to", "opened-file", "requested", "events-lost", "unknown-call", "x"],
    "event.dataset": ["sockwarden.health", "sockwarden.request", ["x", "sockwarden.request"], "auditd.log"],
    "event.code": ["security_socket_connect", "security_file_open", ["security_file_open"], "x"],
    "host.os.type": ["linux", ["linux"], "windows"],
    "sockwarden.actor.origin": ["container", "host", ["container"]],
    "sockwarden.actor.verified": [True, False, "true"],
    "sockwarden.socket.runtime": ["docker", ["docker"], ""],
    "sockwarden.socket.address_as_given": ["/run/docker.sock", "/x/docker.sock", 5],
    "sockwarden.request.operation": ["container-list", "container-exec", ["x", "image-pull"], "container-create"],
    "sockwarden.request.risk": ["high", "low"],
    "sockwarden.request.container.mount_sources": ["/run/docker.sock", ["/x", "/y/containerd.sock"]],
    "sockwarden.tracee.flags": ["O_RDWR", "x", 2, None],
    "process.executable": ["/usr/bin/dockerd", "/usr/bin/curl", "/var/lib/a/usr/bin/dockerd"],
    "_index": ["logs-auditd_manager.auditd-x", "other"],
}


def by_every_detector(document: Document) -> tuple[list[Document], Counter[str]]:
    alerts: list[Document] = []
    errors: Counter[str] = Counter()
    for detection in DETECTIONS:
        try:
            alerts += detection.judge(document)
        except SignatureEventError as error:
            errors[error.what] += 1
        except Exception as error:  # noqa: BLE001 - whichever there are, the engine must count the same
            errors[str(error)] += 1
    return alerts, errors


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(DOCUMENTS), st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in VALUES.items()})
)
def test_an_engine_answers_what_every_detector_does(captured: Document, changes: dict[str, Any]) -> None:
    document = copy.deepcopy(captured)
    for field, value in changes.items():
        put(document, field, value)
    engine = Engine(DETECTIONS)
    given_alerts = list(engine.judge(document))
    alerts, errors = by_every_detector(document)
    event(f"{len(alerts)} alerts, {engine.counts.asked} asked, {bool(errors)}")
    assert given_alerts == alerts
    assert engine.counts.errors + engine.counts.outside + engine.counts.excepted == errors
