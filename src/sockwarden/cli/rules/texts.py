"""Which rule files a command means, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from sockwarden.content import packaged
from sockwarden.errors import RuleError, UsageError
from sockwarden.rules import load_packaged, select
from sockwarden.rules.files import read_text

_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Named:
    """A rule file: how it is called, the folder that it is in, and its text, or why there is none."""

    origin: str
    folder: Traversable
    text: str
    error: RuleError | None = None


def named(selectors: Sequence[str]) -> Iterator[Named]:
    """The files that paths, folders and names of packaged rules mean; all that is packaged where nothing is named."""
    if not selectors:
        yield from (_packaged(file.name) for file in _sorted(packaged("rules")))
    for selector in selectors:
        path = Path(selector)
        if selector.endswith(_SUFFIX):
            yield _read(path)
        elif path.is_dir():
            found = [Path(str(file)) for file in _sorted(path)]
            if not found:
                raise UsageError(
                    f"{selector[:200]} holds no rule file", todo=f"Name a folder with files ending in {_SUFFIX}."
                )
            yield from map(_read, found)
        else:
            yield from (_packaged(f"{rule.stem}{_SUFFIX}") for rule in select(load_packaged(), selector))


def _sorted(folder: Traversable) -> list[Traversable]:
    try:
        return sorted((file for file in folder.iterdir() if file.name.endswith(_SUFFIX)), key=lambda file: file.name)
    except OSError as error:
        raise RuleError("cannot read the folder", where=str(folder), why=error.strerror or "") from None


def _packaged(name: str) -> Named:
    folder = packaged("rules")
    return Named(name, folder, (folder / name).read_text("utf-8"))


def _read(path: Path) -> Named:
    try:
        return Named(str(path), path.parent, read_text(path))
    except RuleError as error:
        return Named(str(path), path.parent, "", error)
