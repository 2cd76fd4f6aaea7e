"""`--from`: which place the scheduled engine asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from sockwarden.cli.cluster import client_of
from sockwarden.detect import Source
from sockwarden.errors import UsageError
from sockwarden.readers.folder import Folder
from sockwarden.readers.index import IndexSource
from sockwarden.settings import Config
from sockwarden.store import Store


class Asked(msgspec.Struct, frozen=True):
    """What `--from` and the options beside it say.

    name: as given. renamed: `--map`: fields of the rules' queries, each with the field that is asked in its place.
    """

    name: str
    config: Config
    store: Store
    renamed: dict[str, str]


def _store(asked: Asked) -> Source:
    _no_map(asked)
    return asked.store.source


def _folder(asked: Asked) -> Source:
    _no_map(asked)
    return Folder(asked.name)


def _index(asked: Asked) -> Source:
    return IndexSource(client_of(asked.config.cluster), asked.renamed)


SOURCES: dict[str, Callable[[Asked], Source]] = {"store": _store, "index": _index}
"""Places with a name of their own; anything else is a folder's path."""


def source_of(asked: Asked) -> Source:
    """The source that `--from` names. UsageError where none has that name; InputError where it cannot be used."""
    if opener := SOURCES.get(asked.name):
        return opener(asked)
    if not Path(asked.name).is_dir():
        raise UsageError(
            f"--from {asked.name[:80]} is neither {', '.join(SOURCES)} nor a folder", todo="Name a folder that exists."
        )
    return _folder(asked)


def renamed(given: tuple[str, ...]) -> dict[str, str]:
    """`--map FIELD=FIELD`, as a dict."""
    pairs = {}
    for text in given:
        left, _, right = (part.strip() for part in text.partition("="))
        if not left or not right or "=" in right:
            raise UsageError(
                f"--map {text[:80]} is no pair of fields",
                todo="Write the rule's field, then the documents': --map destination.address=destination.path.",
            )
        pairs[left] = right
    return pairs


def _no_map(asked: Asked) -> None:
    if asked.renamed:
        raise UsageError(f"--map is not for --from {asked.name[:80]}, only for --from index", todo="Leave --map out.")
