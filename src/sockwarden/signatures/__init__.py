"""Signatures: detectors in Python with Tracee's life cycle. To add one: a file here, and a line in SIGNATURES."""

from sockwarden.signatures.docker_abuse import DockerAbuse
from sockwarden.signatures.runtime_socket import RuntimeSocketAccess
from sockwarden.signatures.signature import (
    EventSelector,
    Finding,
    FindingHandler,
    Signature,
    SignatureEventError,
    SignatureMetadata,
    SourceComplete,
    finding_to_json,
)

SIGNATURES: tuple[type[Signature], ...] = (DockerAbuse, RuntimeSocketAccess)

__all__ = [
    "SIGNATURES",
    "EventSelector",
    "Finding",
    "FindingHandler",
    "Signature",
    "SignatureEventError",
    "SignatureMetadata",
    "SourceComplete",
    "finding_to_json",
]
