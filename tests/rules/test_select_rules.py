"""A rule is chosen by file stem, rule_id or name."""

from __future__ import annotations

import pytest

from sockwarden.errors import UsageError
from sockwarden.rules import load_packaged, select

RULES = load_packaged()
PUBLISHED = "unusual-process-connection-runtime-socket"


@pytest.mark.parametrize(
    "selector",
    [
        PUBLISHED,
        "370ef41f-cd05-430f-860a-01b91e046c95",
        "370EF41F-CD05-430F-860A-01B91E046C95",
        "Unusual Process Connection to Docker or Containerd Socket",
        "unusual process connection to docker or containerd socket",
    ],
)
def test_each_way_to_name_a_rule(selector: str) -> None:
    assert [rule.stem for rule in select(RULES, selector)] == [PUBLISHED]


def test_rules_of_one_name_are_all_chosen() -> None:
    assert len(select((*RULES, *RULES), PUBLISHED)) == 2


def test_a_near_miss_is_told_its_neighbour() -> None:
    with pytest.raises(UsageError, match=r"nearest: .*unusual-process-runtime-socket-access"):
        select(RULES, "unusual-process-runtime-socket-acces")


@pytest.mark.parametrize("selector", ["", "*", "\x1b[2J", "x" * 1_000_000])
def test_nonsense_is_refused_without_a_guess(selector: str) -> None:
    with pytest.raises(UsageError) as refused:
        select(RULES, selector)
    assert refused.value.why == ""
    assert len(str(refused.value)) < 300


def test_no_rules_at_all() -> None:
    with pytest.raises(UsageError):
        select((), PUBLISHED)
