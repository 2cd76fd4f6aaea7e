"""Aliases, by aliases.tsv: what was given in which directory, its normal form, and by which kind of alias that reaches
a canonical address; `-` is none.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.sockets.aliases import kind_of, normalise

TABLE = Path(__file__).parent / "aliases.tsv"
ROWS = [
    {key: None if value == "-" else value for key, value in row.items()}
    for row in csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines(), delimiter="\t")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['given']} in {row['directory']}")
def test_alias(row: dict[str, str | None]) -> None:
    canonical = row["canonical"]
    assert canonical is not None
    assert normalise(row["given"] or "", row["directory"]) == row["normal"]
    assert kind_of(row["given"], row["directory"], canonical) == row["alias"]


SEGMENTS = st.sampled_from(["run", "var", "proc", "self", "1", "root", "cwd", "..", ".", "", "docker.sock", "é", "\n"])
PATHS = st.builds("{}{}".format, st.sampled_from(["", "/"]), st.lists(SEGMENTS, max_size=12).map("/".join))


@given(PATHS | st.text(max_size=20), st.none() | PATHS)
def test_normal_form_is_absolute_and_clean(path: str, directory: str | None) -> None:
    normal = normalise(path, directory)
    if normal is None:
        assert not path.startswith("/")
        return
    assert normal.startswith("/")
    assert not {"", ".", ".."} & set(normal.split("/")[1:]) or normal == "/"
    assert normalise(normal, None) == normal or "/proc/" in normal


def test_a_path_of_many_hops_takes_no_time() -> None:
    normal = normalise("/proc/self/root" * 100_000 + "/run/docker.sock", "/")
    assert normal is not None and normal.endswith("/run/docker.sock")
