"""TRC-1019, Tracee's published signature docker_abuse, exactly: the base that SWD-0001 widens.

The address counts as given, by its last characters: `/x/mydocker.sock` matches, an alias by another name does not.
"""

from __future__ import annotations

from sockwarden.document import Document, get
from sockwarden.literals import Clause
from sockwarden.signatures.open_flags import writes
from sockwarden.signatures.signature import ADDRESS, FLAGS, FROM_CONTAINERS, EventSelector, Signature, SignatureMetadata

_ENDING = "docker.sock"

_METADATA = SignatureMetadata(
    id="TRC-1019",
    version="1",
    name="Docker socket abuse detected",
    event_name="docker_abuse",
    description=(
        "Watches for suspicious use of Docker's Unix socket by a process in a container: it may be an attempt on the "
        "Docker environment, or on the host behind it."
    ),
    tags=None,
    properties={
        "Severity": 2,
        "Category": "privilege-escalation",
        "Technique": "Exploitation for Privilege Escalation",
        "Kubernetes_Technique": "N/A",
        "id": "attack-pattern--b21c3b2d-02e6-45b1-980b-e69051040839",
        "external_id": "T1068",
    },
)


class DockerAbuse(Signature):
    """Opens of docker.sock with write access and connects to it, from a container whose entry point has run."""

    def get_metadata(self) -> SignatureMetadata:
        return _METADATA

    def get_selected_events(self) -> tuple[EventSelector, ...]:
        return FROM_CONTAINERS

    @property
    def required_literals(self) -> tuple[Clause, ...]:
        return (frozenset({(ADDRESS, _ENDING)}),)

    def matches(self, document: Document) -> bool:
        address = get(document, ADDRESS)
        if get(document, "event.code") == "security_file_open":
            if not isinstance(address, str):
                raise self.lacks(document, "pathname")
            # Needed even where the path cannot match, as in Tracee, which reads both before it compares.
            writing = writes(get(document, FLAGS))
            if writing is None:
                raise self.lacks(document, "flags")
            return writing and address.endswith(_ENDING)
        if not self._is_unix(document) or get(document, "sockwarden.socket.type") == "unnamed":
            return False
        if not isinstance(address, str):
            raise self.lacks(document, "sun_path")
        return address.endswith(_ENDING)

    def _is_unix(self, document: Document) -> bool:
        """By Tracee's own argument; other sensors say the family in network.type."""
        family = get(document, "sockwarden.tracee.remote_addr.sa_family")
        network = get(document, "network.type")
        if family is None and network is None:
            raise self.lacks(document, "remote_addr")
        return bool(family == "AF_UNIX") if family is not None else bool(network == "unix")
