"""Groups of matches, and how long they take others in."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.alerts import Detector, Grouping, GroupState, build, group_of, grouped, take

CASES = tomllib.loads((Path(__file__).parent / "groups.toml").read_text())["case"]
MINUTE = 60_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_groups(case: dict[str, Any]) -> None:
    grouping = Grouping(tuple(case["fields"]), with_missing=case.get("with_missing", True))
    same = [group_of(document, "r", grouping) for document in case["same"]]
    apart = [group_of(document, "r", grouping) for document in case.get("apart", ())]
    keys = {one.key for one in same if one}
    assert len(keys) == 1 and None not in same
    assert len({one.key for one in apart if one} | keys) == len(apart) + 1
    assert all(group_of(document, "r", grouping) is None for document in case.get("alone", ()))
    if "terms" in case and same[0]:
        assert [[one["field"], one["value"]] for one in same[0].terms] == case["terms"]


def test_rules_have_groups_of_their_own() -> None:
    first, second = (group_of({}, rule, Grouping(("a",))) for rule in ("r", "s"))
    assert first and second and first.key != second.key


@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())))
def test_any_values_make_a_group(values: list[Any]) -> None:
    belonging = group_of({"a": values}, "r", Grouping(("a",)))
    assert belonging == group_of({"a": [*reversed(values)]}, "r", Grouping(("a",)))


def test_within_a_run_all_are_one() -> None:
    state, folded = take(None, "a", 5, None)
    assert not folded
    for number, moment in enumerate((9 * MINUTE, 1, 7), 1):
        state, folded = take(state, "x", moment, None)
        assert folded and state.count == number
    assert state == GroupState("a", 5, 1, 9 * MINUTE, 3)


@pytest.mark.parametrize(("moment", "folded"), [(0, True), (4, True), (5, False), (-4, True), (-5, False)])
def test_a_window_counts_from_the_first_match(moment: int, folded: bool) -> None:
    state, _ = take(None, "a", 0, 5)
    state, _ = take(state, "b", 4, 5)
    assert take(state, "c", moment, 5)[1] is folded


def test_what_the_alert_tells() -> None:
    alert = build({"_id": "1", "user": {"name": "a"}}, Detector("r", "R", "low", 1, "1", [], {}), view=None)
    belonging = group_of(alert, "r", Grouping(("user.name", "x")))
    assert belonging
    signal = grouped(alert, belonging, GroupState("u", 0, 0, 1500, 0))["kibana"]["alert"]
    assert signal["instance"] == {"id": belonging.key}
    assert signal["suppression"] == {
        "terms": [{"field": "user.name", "value": "a"}, {"field": "x", "value": None}],
        "start": "1970-01-01T00:00:00.000Z",
        "end": "1970-01-01T00:00:01.500Z",
        "docs_count": 0,
    }
    assert "suppression" not in alert["kibana"]["alert"]
