"""Conditions that decide nothing: a query that can never match or always does, and parts that make no difference.

Each part is looked at with what must hold around it (in `a and …`, a; in `a or …`, not a) and what follows from that
by itself: `f:x` says that f exists, and that `f:x*` holds. What it calls decided is decided; of what takes a search
through combinations it says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sockwarden.kql import ECS, MATCH_ALL, NO_FIELD, Is, Node, Range, Text, Wildcard
from sockwarden.kql.kinds import EXACT, WORDS
from sockwarden.kql.values import glob
from sockwarden.rules.lint.families import families
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.parts import Part, part_of
from sockwarden.rules.schema import shorten

CODES: dict[str, tuple[Severity, str]] = {
    "never-matches": ("error", "No document can match: two conditions exclude each other."),
    "always-matches": ("error", "Every document matches."),
    "redundant-branch": ("warning", "An alternative that can add no match."),
    "redundant-condition": ("warning", "A condition that always holds where it stands."),
}

_EVERYTHING = Wildcard(("", ""))
_MOST_COMPARED = 200  # wildcards or texts of one field that a leaf is held against


def check(file: RuleFile) -> Iterator[Found]:
    """The query as a whole, and each part of it."""
    found = _Analysis()
    decided = found.decide(part_of(file.rule.tree))
    if decided is not None:
        code = "always-matches" if decided else "never-matches"
        message = "every document matches" if decided else "no document can match: what stands here excludes the rest"
        yield _found(file, code, found.culprit, message, "Look at `and`, `or` and `not`, and at the brackets.")
        return
    for code, leaf, message in found.notes:
        yield _found(file, code, leaf, message, "Leave it out, or mend what was meant.")


def _found(file: RuleFile, code: str, leaf: int, message: str, todo: str) -> Found:
    places = file.leaves
    return Found(code, file.in_query(places[leaf].value_offset if leaf < len(places) else 0), message, todo)


def _plain(leaf: Node) -> Node:
    """With quotes taken off where they make no difference."""
    if isinstance(leaf, Is) and isinstance(leaf.value, Text) and leaf.value.quoted and not _is_text(leaf.field):
        return Is(leaf.field, Text(leaf.value.value))
    return leaf


def _is_text(name: object) -> bool:
    return ECS.type_of(str(name)) in WORDS


class _Analysis:
    """`notes`: code, leaf and message of each part that decides nothing; `culprit`: the leaf that decided the last."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int, str]] = []
        self.culprit = 0
        self._known: dict[Node, bool] = {}
        self._by_field: dict[tuple[str, bool, type], list[Is]] = defaultdict(list)

    def decide(self, part: Part) -> bool | None:
        """Whether the part holds wherever what is known holds; None where that depends on the document."""
        if part.kind == "leaf":
            held = self._held(_plain(part.leaf))
            return None if held is None else held == part.positive
        mark, assumed = len(self.notes), []
        neutral = part.kind == "and"  # what a part is that makes no difference among its siblings
        open_parts = 0
        decided: bool | None = None
        for one in sorted(part.parts, key=lambda one: one.kind != "leaf"):
            result = self.decide(one)
            if result is None:
                open_parts += 1
                if one.kind == "leaf":
                    leaf = _plain(one.leaf)
                    self._assume(leaf, holds=one.positive == neutral)
                    assumed.append(leaf)
            elif result == neutral:
                self._note(one, neutral=neutral)
            else:
                decided, self.culprit = result, one.first if one.kind == "leaf" else self.culprit
                break
        for leaf in reversed(assumed):
            self._forget(leaf)
        if decided is None and not open_parts:
            decided = neutral
        if decided is not None:
            del self.notes[mark:]
        return decided

    def _note(self, part: Part, *, neutral: bool) -> None:
        shown = f"`{shorten(_words(part))}`"
        if neutral:
            self.notes.append(("redundant-condition", part.first, f"{shown} always holds where the rest does"))
        else:
            message = f"{shown} adds no match: it cannot hold there, or what stands beside it holds too"
            self.notes.append(("redundant-branch", part.first, message))

    def _assume(self, leaf: Node, *, holds: bool) -> None:
        self._known[leaf] = holds
        if isinstance(leaf, Is):
            self._by_field[str(leaf.field), holds, type(leaf.value)].append(leaf)

    def _forget(self, leaf: Node) -> None:
        holds = self._known.pop(leaf)
        if isinstance(leaf, Is):
            self._by_field[str(leaf.field), holds, type(leaf.value)].pop()

    def _held(self, leaf: Node) -> bool | None:
        if leaf in self._known:
            return self._known[leaf]
        if not isinstance(leaf, Is | Range):
            return None
        if isinstance(leaf, Is) and leaf.value == _EVERYTHING and (leaf.field == NO_FIELD or leaf == MATCH_ALL):
            return True
        if isinstance(leaf.field, Wildcard) or leaf.field == NO_FIELD:
            return None
        if self._known.get(Is(leaf.field, _EVERYTHING)) is False:
            return False
        return self._by_others(leaf) if isinstance(leaf, Is) else None

    def _by_others(self, leaf: Is) -> bool | None:
        """What other leaves of the field say of it, where the field holds texts that are compared as they are."""
        name = str(leaf.field)
        texts = self._by_field[name, True, Text][:_MOST_COMPARED]
        if leaf.value == _EVERYTHING:
            return True if texts or self._by_field[name, True, Wildcard] else None
        if _is_text(name) or ECS.type_of(name) not in (None, *EXACT):
            return None
        for other in texts:
            implied = _implies(other, leaf)
            if implied or (implied is False and name in families().one_value.fields):
                return implied
        excluded = self._by_field[name, False, Wildcard][:_MOST_COMPARED]
        return False if isinstance(leaf.value, Text) and any(_implies(leaf, other) for other in excluded) else None


def _implies(one: Is, other: Is) -> bool | None:
    """Whether a value that fits the first fits the second; None where that depends on the value."""
    if isinstance(one.value, Text) and isinstance(other.value, Wildcard):
        return glob(other.value.pieces)(one.value.value)
    if isinstance(one.value, Text) and isinstance(other.value, Text):
        return one.value.value == other.value.value
    return None


def _words(part: Part) -> str:
    """The part in a few words, with its first leaf."""
    while part.parts:
        part = part.parts[0]
    leaf = part.leaf
    if isinstance(leaf, Is):
        text = str(leaf.value) if leaf.field == NO_FIELD else f"{leaf.field}:{leaf.value}"
    else:
        text = str(leaf.field if isinstance(leaf, Range) else getattr(leaf, "path", ""))
    return text if part.positive else f"not {text}"
