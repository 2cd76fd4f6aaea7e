"""Names of images, as Docker's distribution reads them."""

from __future__ import annotations

from sockwarden.requests.facts.shape import Image

_DEFAULT_REGISTRY = "docker.io"
_NAMES_OF_DEFAULT = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


def image_of(reference: str, tag: str = "") -> Image | None:
    """An image by a reference, with the tag or digest beside it that a query has; None without a reference."""
    reference = reference.removeprefix("docker://").strip()
    if not reference:
        return None
    if tag:
        reference += ("@" if ":" in tag else ":") + tag
    name, _, digest = reference.partition("@")
    return Image(reference=reference, registry=registry_of(name), digest=digest)


def registry_of(name: str) -> str:
    """The registry that a name begins with, in lower case: a first part with a dot or a port, or `localhost`."""
    first, sign, _ = name.partition("/")
    if not sign or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return _DEFAULT_REGISTRY
    first = first.lower()
    return _DEFAULT_REGISTRY if first in _NAMES_OF_DEFAULT else first
