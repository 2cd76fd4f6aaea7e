"""Identity of an alert: the same document and rule give the same uuid, wherever and whenever they meet.

As Kibana derives it: sha256 over index, id and version of the document and `space:rule`, concatenated.
"""

from __future__ import annotations

import hashlib

from sockwarden.document import Document

SPACE = "default"


def uuid_of(document: Document, rule_id: str) -> str:
    """The alert's uuid: 64 hex digits."""
    text = f"{document.get('_index', '')}{document.get('_id', '')}{document.get('_version', '')}{SPACE}:{rule_id}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
