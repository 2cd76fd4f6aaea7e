"""Every signature of the registry: what it says of itself, its life cycle, and what it finds in cases.jsonl.

A case is a Tracee event (raw, either shape) or a document of another sensor, the ids of the signatures that find
it, and the argument that a signature lacks (`lacks`, id to argument); all other signatures stay silent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.document import Document, put, values
from sockwarden.literals import Clause
from sockwarden.readers.tracee import to_document
from sockwarden.signatures import (
    SIGNATURES,
    EventSelector,
    Finding,
    Signature,
    SignatureEventError,
    SourceComplete,
)
from sockwarden.signatures.docker_abuse import DockerAbuse
from sockwarden.signatures.runtime_socket import RuntimeSocketAccess

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()
]
every_signature = pytest.mark.parametrize("signature_type", SIGNATURES, ids=lambda each: each.__name__)


def document_of(case: dict[str, Any]) -> Document:
    document = case["document"] if "document" in case else to_document(case["event"])
    assert document is not None
    return document


def findings_of(signature: Signature, document: Document) -> list[Finding]:
    found: list[Finding] = []
    signature.init(found.append)
    try:
        signature.on_event(document)
    finally:
        signature.close()
    return found


def holds(document: Document, clause: Clause) -> bool:
    return any(text in str(value) for field, text in clause for value in values(document, field))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
@every_signature
def test_case(signature_type: type[Signature], case: dict[str, Any]) -> None:
    signature = signature_type()
    name = signature.get_metadata().id
    document = document_of(case)
    if argument := case.get("lacks", {}).get(name):
        with pytest.raises(SignatureEventError, match=f"{name}.*`{argument}`"):
            findings_of(signature, document)
        return
    expected = [Finding(signature.get_metadata(), document)] if name in case["findings"] else []
    assert findings_of(signature, document) == expected


def test_cases_name_only_registered_signatures() -> None:
    ids = {signature().get_metadata().id for signature in SIGNATURES}
    named = {name for case in CASES for name in (*case["findings"], *case.get("lacks", ()))}
    assert named == ids
    assert len({case["case"] for case in CASES}) == len(CASES)


@every_signature
def test_metadata_is_complete(signature_type: type[Signature]) -> None:
    metadata = signature_type().get_metadata()
    for text in (metadata.id, metadata.version, metadata.name, metadata.event_name, metadata.description):
        assert text and text == text.strip()
    assert metadata.event_name.replace("_", "").isalnum() and metadata.event_name.islower()
    assert set(metadata.properties) == {
        "Severity",
        "Category",
        "Technique",
        "Kubernetes_Technique",
        "id",
        "external_id",
    }
    assert metadata.properties["Severity"] in (0, 1, 2, 3)
    assert metadata == signature_type().get_metadata()


def test_ids_and_event_names_are_unique() -> None:
    metadata = [signature().get_metadata() for signature in SIGNATURES]
    assert len({each.id for each in metadata}) == len({each.event_name for each in metadata}) == len(SIGNATURES) > 0


@every_signature
def test_it_selects_events(signature_type: type[Signature]) -> None:
    selected = signature_type().get_selected_events()
    assert selected and len(set(selected)) == len(selected)
    for selector in selected:
        assert selector.source and selector.name
        assert selector.origin in ("host", "container", "container-init")


@every_signature
def test_life_cycle(signature_type: type[Signature]) -> None:
    signature = signature_type()
    with pytest.raises(RuntimeError):
        signature.on_event({})
    with pytest.raises(RuntimeError):
        signature.on_signal(SourceComplete("tracee"))
    found: list[Finding] = []
    signature.init(found.append)
    with pytest.raises(RuntimeError):
        signature.init(found.append)
    signature.on_event({})
    signature.on_signal(SourceComplete("tracee"))
    signature.close()
    signature.close()
    with pytest.raises(RuntimeError):
        signature.on_event({})
    assert found == []
    signature.init(found.append)


@every_signature
def test_required_literals_are_in_every_finding(signature_type: type[Signature]) -> None:
    signature = signature_type()
    clauses = signature.required_literals
    assert clauses and all(clauses)
    name = signature.get_metadata().id
    found = [document_of(case) for case in CASES if name in case["findings"]]
    assert found
    for document in found:
        assert all(holds(document, clause) for clause in clauses)


ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
NEAR = st.sampled_from(["/run/docker.sock", "docker.sock", "docker.sock.bak", "docker", "@docker.sock", ""])
FIELDS = {
    "event.code": st.sampled_from(["security_file_open", "security_socket_connect"]),
    "sockwarden.actor.origin": st.sampled_from(["container", "host"]),
    "sockwarden.socket.address_as_given": NEAR | ODD,
    "sockwarden.socket.type": st.sampled_from(["path", "unnamed", "inet"]) | ODD,
    "sockwarden.socket.runtime": st.sampled_from(["docker", "containerd"]) | ODD,
    "sockwarden.tracee.flags": st.sampled_from([0, 1, 2, "O_RDWR", "O_RDONLY"]) | ODD,
    "sockwarden.tracee.remote_addr.sa_family": st.sampled_from(["AF_UNIX", "AF_INET"]) | ODD,
    "network.type": st.sampled_from(["unix", "ipv4"]) | ODD,
}


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_any_document_is_judged_or_refused(fields: dict[str, Any]) -> None:
    document: Document = {}
    for field, value in fields.items():
        put(document, field, value)
    for signature in (DockerAbuse(), RuntimeSocketAccess()):
        try:
            found = findings_of(signature, document)
        except SignatureEventError:
            found = []
        if found:
            assert fields["sockwarden.actor.origin"] == "container"
            assert all(holds(document, clause) for clause in signature.required_literals)


@given(st.text(max_size=20) | st.text(max_size=10).map(lambda text: text + "docker.sock"))
def test_docker_abuse_goes_by_the_ending_alone(path: str) -> None:
    event = {
        "timestamp": 1,
        "eventName": "security_socket_connect",
        "contextFlags": {"containerStarted": True},
        "args": [{"name": "remote_addr", "value": {"sa_family": "AF_UNIX", "sun_path": path}}],
    }
    document = to_document(event)
    assert document is not None
    assert bool(findings_of(DockerAbuse(), document)) == path.endswith("docker.sock")


def test_docker_abuse_is_the_published_one() -> None:
    signature = DockerAbuse()
    metadata = signature.get_metadata()
    assert (metadata.id, metadata.version, metadata.event_name) == ("TRC-1019", "1", "docker_abuse")
    assert metadata.name == "Docker socket abuse detected"
    assert metadata.tags is None
    assert metadata.properties == {
        "Severity": 2,
        "Category": "privilege-escalation",
        "Technique": "Exploitation for Privilege Escalation",
        "Kubernetes_Technique": "N/A",
        "id": "attack-pattern--b21c3b2d-02e6-45b1-980b-e69051040839",
        "external_id": "T1068",
    }
    assert signature.get_selected_events() == (
        EventSelector("tracee", "security_file_open", "container"),
        EventSelector("tracee", "security_socket_connect", "container"),
    )


def test_the_error_says_where_and_what_to_do() -> None:
    document = document_of({"document": {"_id": "ab12", "event": {"code": "security_file_open"}}})
    error = DockerAbuse().lacks(document, "flags")
    assert error.where == "security_file_open event ab12"
    assert error.why and error.todo
