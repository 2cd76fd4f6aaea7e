"""Every input that fuzzing kept goes through its target again, and one variation of it; see fuzz/run.py."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
CORPUS = FUZZ / "corpus"
TARGETS = sorted(path.stem for path in FUZZ.glob("*.dict"))


@pytest.fixture
def target(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FUZZ.parent))
    return importlib.import_module(f"fuzz.{name}")


@pytest.mark.parametrize("name", TARGETS)
def test_replay(name: str, target: Any) -> None:
    for path in sorted((CORPUS / name).iterdir()):
        data = path.read_bytes()
        try:
            target.check(data)
            if hasattr(target, "vary") and (varied := target.vary(data, len(data))) is not None:
                target.check(varied)
        except Exception as error:
            error.add_note(f"input: {path}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str, target: Any) -> None:
    seeds = list(target.seeds())
    assert seeds
    for data in seeds:
        assert len(data) <= target.LONGEST
        target.check(data)


def test_no_corpus_is_an_orphan() -> None:
    with_check = {path.stem for path in FUZZ.glob("*.py") if "\ndef check(data: bytes)" in path.read_text("utf-8")}
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS) == with_check != set()


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_is_small_and_each_file_is_what_its_name_says(name: str) -> None:
    files = {path.name: path.read_bytes() for path in (CORPUS / name).iterdir()}
    assert 0 < len(files) < 300
    assert sum(map(len, files.values())) < 300_000
    for file, data in files.items():
        generated = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        assert file == generated or re.fullmatch(r"(?![0-9a-f]{40}$)[a-z0-9-]+", file)
