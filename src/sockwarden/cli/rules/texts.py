"""Which rule files a command means, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sockwarden.content import RULES_FOLDER, packaged
from sockwarden.errors import RuleError, UsageError
from sockwarden.rules import Folder, load_packaged, select
from sockwarden.rules.files import read_text

_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Named:
    """A rule file: how it is called, the folder that it is in, and its text, or why there is none."""

    origin: str
    folder: Path
    text: str
    error: RuleError | None = None


def named(selectors: Sequence[str]) -> Iterator[Named]:
    """The files that paths, folders and names of rules mean; all that is packaged or in the user's folder where nothing
    is named.
    """
    has_folder = RULES_FOLDER.is_dir()
    if not selectors:
        yield from (_packaged(file.name) for file in _sorted(packaged("rules")))
        yield from (_read(Path(str(file))) for file in (_sorted(RULES_FOLDER) if has_folder else ()))
    own = Folder(RULES_FOLDER).load().rules if has_folder and selectors else []
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
            for rule in select((*own, *load_packaged()), selector):
                file = f"{rule.stem}{_SUFFIX}"
                yield _read(RULES_FOLDER / file) if rule in own else _packaged(file)


def _sorted(folder: Path) -> list[Path]:
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
