"""What is done to a document before it is judged."""

from __future__ import annotations

from typing import Any

import pytest

from sockwarden.document import Document
from sockwarden.pipeline.graded import grade_request, redact
from sockwarden.sockets import packaged
from sockwarden.sockets.inventory import Inventory

RUN = ["docker", "run", "-e", "TOKEN=seeded", "bb"]
TITLE = "type=PROCTITLE msg=audit(1.0:1): proctitle="


def test_secrets_of_command_lines_are_taken_out_wherever_they_stand() -> None:
    """Given a command line with a secret, of a process and of its kin, when it is redacted, then none has it."""
    line = " ".join(RUN)
    document: Document = {
        "process": {
            "args": [*RUN],
            "command_line": line,
            "title": line,
            "parent": {"args": [*RUN], "command_line": line},
        }
    }
    redact(document)
    assert "seeded" not in str(document)
    assert document["process"]["args"] == [*RUN[:3], "TOKEN=[redacted]", "bb"]
    assert document["process"]["command_line"] == "docker run -e TOKEN=[redacted] bb"


@pytest.mark.parametrize("plain", ["/bin/ls -l", "docker ps", ""])
def test_what_is_no_secret_stays_as_it_is(plain: str) -> None:
    document: Document = {"process": {"args": plain.split(), "command_line": plain}}
    redact(document)
    assert document == {"process": {"args": plain.split(), "command_line": plain}}


def test_an_audit_record_has_no_secret_either() -> None:
    """Given the record of a title, in hexadecimal, when it is redacted, then its argv has no secret; others stay."""
    raw = "\0".join(RUN).encode().hex().upper()
    other = f"{TITLE}{b'docker ps'.hex()}"
    document: Document = {"event": {"original": [f"{TITLE}{raw}", other, 'type=CWD msg=audit(1.0:1): cwd="/"']}}
    redact(document)
    first, *rest = document["event"]["original"]
    assert b"seeded" not in bytes.fromhex(first.rpartition("=")[2])
    assert bytes.fromhex(first.rpartition("=")[2]).split(b"\0")[3] == b"TOKEN=[redacted]"
    assert rest == [other, 'type=CWD msg=audit(1.0:1): cwd="/"']


@pytest.mark.parametrize(
    "odd", [{"process": None}, {"process": {"args": "x", "title": 5}}, {"event": {"original": [5]}}]
)
def test_documents_of_another_shape_are_left_alone(odd: dict[str, Any]) -> None:
    redact(odd)


def create(*sources: str) -> Document:
    container = {"image": "bb", "mount_sources": list(sources)}
    request = {"operation": "container-create", "content": "whole", "container": container}
    return {"sockwarden": {"request": request, "actor": {"origin": "host"}}}


def test_a_mounts_source_is_graded_by_what_it_is(tmp_path: Any) -> None:
    """Given a link to the root, when a container is to have it mounted, then that is as bad as the root itself."""
    (tmp_path / "harmless").symlink_to("/")
    document = create(f"{tmp_path}/harmless")
    grade_request(document, Inventory(packaged()))
    request = document["sockwarden"]["request"]
    assert request["risk"] == "critical" and "host-root-mounted" in request["reasons"]
    assert len(request["texts"]) == len(request["reasons"]) and "T1611" in request["techniques"]
    harmless = create(str(tmp_path))
    grade_request(harmless, Inventory(packaged()))
    assert harmless["sockwarden"]["request"]["risk"] == "medium"


@pytest.mark.parametrize("part", ["container", "volume", "build"])
def test_a_source_is_looked_up_whatever_is_made_of_it(part: str, tmp_path: Any) -> None:
    (tmp_path / "harmless").symlink_to("/")
    request = {"operation": "volume-create", "content": "whole", part: {"mount_sources": [f"{tmp_path}/harmless"]}}
    document: Document = {"sockwarden": {"request": request, "actor": {"origin": "host"}}}
    grade_request(document, Inventory(packaged()))
    assert document["sockwarden"]["request"]["risk"] == "critical"


def test_a_device_is_graded_by_what_it_is(tmp_path: Any) -> None:
    (tmp_path / "harmless").symlink_to("/dev/mem")
    document = create()
    document["sockwarden"]["request"]["container"]["devices"] = [f"{tmp_path}/harmless:/dev/x:rwm"]
    grade_request(document, Inventory(packaged()))
    assert "memory-device" in document["sockwarden"]["request"]["reasons"]
