"""SWD-0001: any runtime socket, by whatever name, reached from any container.

It goes by what was reached (`sockwarden.socket.runtime`, of the canonical address), where TRC-1019 goes by how the
caller spelled it.
"""

from __future__ import annotations

from sockwarden.document import Document, get
from sockwarden.literals import Clause
from sockwarden.signatures.open_flags import writes
from sockwarden.signatures.signature import FLAGS, FROM_CONTAINERS, EventSelector, Signature, SignatureMetadata

_RUNTIME = "sockwarden.socket.runtime"

_METADATA = SignatureMetadata(
    id="SWD-0001",
    version="1",
    name="Container runtime socket reached from a container",
    event_name="runtime_socket_access",
    description=(
        "A process in a container connected to a container runtime's control socket, or opened it for writing. Whoever "
        "may speak to that socket can start a privileged container and so become root on the host."
    ),
    tags=None,
    properties={
        "Severity": 3,
        "Category": "privilege-escalation",
        "Technique": "Escape to Host",
        "Kubernetes_Technique": "N/A",
        "id": "attack-pattern--4a5b7ade-8bb5-4853-84ed-23f262002665",
        "external_id": "T1611",
    },
)


class RuntimeSocketAccess(Signature):
    """Connects of any kind to a runtime socket, and opens of it that may write, from a container."""

    def get_metadata(self) -> SignatureMetadata:
        return _METADATA

    def get_selected_events(self) -> tuple[EventSelector, ...]:
        return FROM_CONTAINERS

    @property
    def required_literals(self) -> tuple[Clause, ...]:
        return (frozenset({(_RUNTIME, "")}),)

    def matches(self, document: Document) -> bool:
        if not get(document, _RUNTIME):
            return False
        if get(document, "event.code") == "security_socket_connect":
            return True
        # Unknown flags count as a possible write: some records carry none (a request on an io_uring), the socket is
        # already known to be a runtime's, and a missed escape costs more than a second look.
        return writes(get(document, FLAGS)) is not False
