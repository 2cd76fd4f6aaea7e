"""Findings in the JSON form of Tracee's detect.Finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sockwarden.document import Document
from sockwarden.readers.tracee import to_document
from sockwarden.signatures import Finding, finding_to_json
from sockwarden.signatures.docker_abuse import DockerAbuse

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()
]
METADATA = DockerAbuse().get_metadata()


def of_case(name: str) -> tuple[dict[str, Any], Document]:
    event = next(case["event"] for case in CASES if case["case"] == name)
    document = to_document(event)
    assert document is not None
    return event, document


@pytest.mark.parametrize("name", ["connect", "open O_RDWR as text", "v1beta1 connect from a pod"])
def test_the_whole_form(name: str) -> None:
    event, document = of_case(name)
    assert json.dumps(finding_to_json(Finding(METADATA, document))) == json.dumps(
        {
            "Data": None,
            "Event": {
                "Headers": {
                    "Selector": {
                        "Name": event.get("eventName", event.get("name")),
                        "Origin": "container",
                        "Source": "tracee",
                    }
                },
                "Payload": event,
            },
            "SigMetadata": {
                "ID": "TRC-1019",
                "Version": "1",
                "Name": "Docker socket abuse detected",
                "EventName": "docker_abuse",
                "Description": METADATA.description,
                "Tags": None,
                "Properties": {
                    "Category": "privilege-escalation",
                    "Kubernetes_Technique": "N/A",
                    "Severity": 2,
                    "Technique": "Exploitation for Privilege Escalation",
                    "external_id": "T1068",
                    "id": "attack-pattern--b21c3b2d-02e6-45b1-980b-e69051040839",
                },
            },
        }
    )


def test_data_and_tags_are_written() -> None:
    _, document = of_case("connect")
    written = finding_to_json(Finding(replace(METADATA, tags=("linux", "container")), document, {"port": 1}))
    assert written["Data"] == {"port": 1}
    assert written["SigMetadata"]["Tags"] == ["linux", "container"]


def test_another_sensors_document_is_its_own_payload() -> None:
    document = next(case["document"] for case in CASES if case["case"] == "audit connect")
    event = finding_to_json(Finding(METADATA, document))["Event"]
    assert event["Payload"] == document
    assert event["Headers"]["Selector"]["Source"] == "auditd"
    bare = finding_to_json(Finding(METADATA, {"event": {"code": "security_socket_connect"}}))["Event"]
    assert bare["Headers"]["Selector"]["Source"] == "sockwarden"


@pytest.mark.parametrize("original", [None, "", "[]", "{", 7, ["type=SYSCALL"], "[" * 100_000])
def test_without_a_readable_original_the_document_is_the_payload(original: object) -> None:
    document: Document = {"event": {"module": "tracee", "original": original}}
    assert finding_to_json(Finding(METADATA, document))["Event"]["Payload"] is document


def test_hostile_text_can_be_written() -> None:
    event, _ = of_case("connect")
    event = json.loads(json.dumps(event).replace("/var/run", "\\ud800\\u0000\\udcff")) | {"cgroupId": 10**40}
    document = to_document(event)
    assert document is not None
    payload = json.loads(msgspec.json.encode(finding_to_json(Finding(METADATA, document))))["Event"]["Payload"]
    assert payload["args"][0]["value"]["sun_path"] == "\\ud800\x00\\xff/docker.sock"
    assert payload["cgroupId"] == 10**40
