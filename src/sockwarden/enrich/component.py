"""Which runtime component an executable's path claims to be. The data is content/components.toml.

A claim, not a proof: anybody can put a program at such a path in a container or a mount namespace of their own.
`sockwarden.actor.verified` is filled where a live sensor can prove it; from recorded logs it stays unknown.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

import msgspec

from sockwarden import content
from sockwarden.document import Document, get, put

_MOST_PATH = 512
"""Characters of the longest path that is kept with its component; a host runs a few programs again and again."""


class _Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    executable: list[str]


@cache
def _components() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    data = content.packaged("components.toml").read_bytes()
    exact: dict[str, str] = {}
    globs: list[tuple[re.Pattern[str], str]] = []
    for component in msgspec.toml.decode(data, type=dict[str, list[_Component]])["component"]:
        for path in component.executable:
            if "*" in path:
                globs.append((re.compile("[^/]*".join(map(re.escape, path.split("*")))), component.name))
            else:
                exact[path] = component.name
    return exact, globs


def component_of(executable: str) -> str | None:
    """The component that has this executable; a ` (deleted)` one is none: it is not what the package installed."""
    return _known(executable) if len(executable) <= _MOST_PATH else _known.__wrapped__(executable)


@lru_cache(maxsize=1024)
def _known(executable: str) -> str | None:
    exact, globs = _components()
    if name := exact.get(executable):
        return name
    return next((name for pattern, name in globs if pattern.fullmatch(executable)), None)


def name_component(document: Document) -> None:
    """Fills sockwarden.actor.component in place."""
    executable = get(document, "process.executable")
    if isinstance(executable, str) and (component := component_of(executable)):
        put(document, "sockwarden.actor.component", component)
