"""Which rules a person means."""

from __future__ import annotations

from collections.abc import Iterable

from sockwarden.errors import UsageError
from sockwarden.rules.rule import Rule
from sockwarden.rules.schema import shorten


def select(rules: Iterable[Rule], selector: str) -> list[Rule]:
    """The rules whose file stem, rule_id or name is `selector`, in their order; names and ids in any case.

    UsageError when none fits; it tells the nearest names.
    """
    rules = tuple(rules)
    wanted = selector.casefold()
    found = [
        rule for rule in rules if selector == rule.stem or wanted in (rule.rule_id.casefold(), rule.name.casefold())
    ]
    if found:
        return found
    from difflib import get_close_matches  # noqa: PLC0415 - every start would pay for what an error needs

    known = {text.casefold(): text for rule in rules for text in (rule.name, rule.rule_id, rule.stem)}
    near = [known[text] for text in get_close_matches(wanted[:100], known)]
    raise UsageError(
        f"no rule has the file stem, rule_id or name `{shorten(selector)}`",
        why=f"nearest: {', '.join(near)}" if near else "",
        todo="See `sockwarden rules list`.",
    )
