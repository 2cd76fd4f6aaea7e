"""Containers by cgroup: cgroups.tsv, one case a line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.enrich.cgroup import claim_of, pairs_of, unit_of

IDS = {"a": "a1" * 32, "b": "0b" * 32, "c": "c" * 62, "x": "x"}


def cases() -> list[dict[str, str]]:
    with Path(__file__).with_name("cgroups.tsv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["case"])
def test_claims(case: dict[str, str]) -> None:
    claim = claim_of(case["cgroup"].replace("\\n", "\n").format(**IDS))
    expected = (case["id"].format(**IDS), case["runtime"])
    assert ((claim.id, claim.runtime or "-") if claim else ("-", "-")) == expected


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("9:name=systemd:/default/web\n4:memory:/default/web", [("default", "web")]),
        ("0::/default/web/init", [("web", "init"), ("default", "web")]),
        ("0::/user.slice/user-0.slice/session-1.scope", []),
        ("0::/only", []),
        ("0::/../x", []),
        ("0::/-n/x", []),
        (f"0::/{'n' * 77}/x", []),
        ("0::/" + "/".join("abcdefgh"), [("g", "h"), ("f", "g"), ("e", "f")]),
    ],
)
def test_pairs_that_containerd_might_have_made(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(pairs_of(text)) == pairs


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/ssh.service", "ssh.service"),
        ("0::/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service", "x.service"),
        ("1:cpu:/\n0::/system.slice", None),
    ],
)
def test_units(text: str, unit: str | None) -> None:
    assert unit_of(text) == unit


@given(st.text(alphabet="a0:/-.\n\\x@", max_size=300))
def test_anything_is_read(text: str) -> None:
    claim = claim_of(text)
    assert claim is None or (claim.id and claim.id in text.replace("\\x2d", "-"))


def test_a_deep_path_is_read_from_its_end() -> None:
    assert claim_of(f"0::/docker/{IDS['a']}" + "/x" * 30_000) is None
    claim = claim_of("0::" + "/x" * 30_000 + f"/docker-{IDS['a']}.scope")
    assert claim
    assert claim.id == IDS["a"]
