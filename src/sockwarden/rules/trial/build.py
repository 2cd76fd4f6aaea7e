"""One document for which given leaves hold and others do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sockwarden.document import Document, put
from sockwarden.kql import ECS, NO_FIELD, Is, Nested, Range, Text, Wildcard
from sockwarden.kql.types import parent_of
from sockwarden.rules.parts import Part, part_of
from sockwarden.rules.trial.values import Value, fits, holding

MOST_STEPS = 20_000
"""Parts looked at for one document before it is given up."""


class SpentError(Exception):
    """The work that one query may cost is done."""


@dataclass(slots=True)
class Work:
    """How many leaves may still be held against values; shared by all drafts of a query."""

    left: int = 1_000_000

    def spend(self, count: int) -> None:
        """Raises SpentError when nothing is left."""
        self.left -= count
        if self.left < 0:
            raise SpentError


@dataclass(slots=True)
class Field:
    """What one field holds, and which leaves ask for it and which must not find it."""

    values: list[Value] = field(default_factory=list)
    wanted: list[tuple[Is | Range, str | None]] = field(default_factory=list)
    unwanted: list[tuple[Is | Range, str | None]] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)  # of unwanted ones, those that are equal to one text only
    absent: bool = False

    def allows(self, value: Value, work: Work) -> bool:
        """Whether it is certain that no unwanted leaf holds for the value."""
        work.spend(1 + len(self.unwanted))
        return value not in self.texts and all(fits(leaf, kind, value) is False for leaf, kind in self.unwanted)


class Draft:
    """A document in the making. `prefix` is the path of the object that it is, within `path:{…}`."""

    def __init__(self, work: Work, prefix: str = "") -> None:
        self.work = work
        self.prefix = prefix
        self.fields: dict[str, Field] = {}
        self.objects: dict[str, Document] = {}

    def demand(self, part: Part) -> bool:
        """Adds a leaf that must hold, or must not; False where that cannot be had beside the others."""
        leaf = part.leaf
        self.work.spend(1)
        if isinstance(leaf, Nested):
            return self._demand_nested(leaf, positive=part.positive)
        if not isinstance(leaf, Is | Range) or leaf.field == NO_FIELD or isinstance(leaf.field, Wildcard):
            return False  # which field would hold it, nobody says
        name, kind = self.place(leaf)
        of = self.fields.setdefault(name, Field())
        if part.positive:
            return not of.absent and self._want(of, leaf, kind)
        if isinstance(leaf, Is) and isinstance(leaf.value, Wildcard) and leaf.value.is_lone:
            of.absent = True
            return not of.values
        if _is_one_text(leaf, kind):
            of.texts.add(str(leaf.value))
        else:
            of.unwanted.append((leaf, kind))
        return self._renewed(of, leaf, kind)

    def place(self, leaf: Is | Range) -> tuple[str, str | None]:
        """The name of the field that holds the leaf's value, and the type by which it is compared."""
        full = f"{self.prefix}{leaf.field}"
        parent = parent_of(full, ECS)
        return (parent or full).removeprefix(self.prefix), ECS.type_of(full)

    def document(self) -> Document | None:
        """The document; None where one field would lie within another's value."""
        made: Document = {}
        names = [name for name, of in self.fields.items() if of.values]
        names += self.objects
        self.work.spend(len(names))
        if any(parent in self.fields and self.fields[parent].values for name in names for parent in _parents(name)):
            return None
        if any(parent in self.objects for name in names for parent in _parents(name)):
            return None
        for name, of in self.fields.items():
            if of.values:
                put(made, name, of.values[0] if len(of.values) == 1 else list(of.values))
        for name, one in self.objects.items():
            put(made, name, one)
        return made

    def _want(self, of: Field, leaf: Is | Range, kind: str | None) -> bool:
        of.wanted.append((leaf, kind))
        self.work.spend(len(of.values))
        if any(fits(leaf, kind, value) for value in of.values):
            return True
        value = next((value for value in holding(leaf, kind) if of.allows(value, self.work)), None)
        if value is None:
            return False
        of.values.append(value)
        return True

    def _renewed(self, of: Field, leaf: Is | Range, kind: str | None) -> bool:
        """Values anew where one of them is now unwanted."""
        self.work.spend(len(of.values))
        if all(fits(leaf, kind, value) is False for value in of.values):
            return True
        wanted, of.wanted, of.values = of.wanted, [], []
        return all(self._want(of, one, its_kind) for one, its_kind in wanted)

    def _demand_nested(self, leaf: Nested, *, positive: bool) -> bool:
        name = str(leaf.path)
        if not positive:
            return name not in self.objects
        if name in self.objects or isinstance(leaf.path, Wildcard):
            return False
        inside = f"{self.prefix}{name}."
        leaves = trail([part_of(leaf.child)], {}, self.work, inside)
        inner = draft_of(leaves, self.work, inside) if leaves is not None else None
        made = inner.document() if inner else None
        if made is None:
            return False
        self.objects[name] = made
        return True


_Goals = tuple[Part, "_Goals"] | None


def trail(
    parts: Iterable[Part], focus: dict[int, int], work: Work, prefix: str = "", base: list[Part] | None = None
) -> list[Part] | None:
    """The leaves that make the parts hold, one choice of alternatives for all, after those of `base`; None where
    none was found. Depth first, with a stack of its own.

    focus: the alternative that must be taken, by the id of its `or`
    """
    goals: _Goals = None
    for part in reversed(list(parts)):
        goals = (part, goals)
    taken = list(base or ())
    draft = draft_of(taken, work, prefix)
    rest: list[tuple[_Goals, int]] = [(goals, len(taken))]
    steps = 0
    while rest and draft is not None:
        goals, length = rest.pop()
        if length < len(taken):
            del taken[length:]
            draft = draft_of(taken, work, prefix)
            assert draft is not None  # noqa: S101 - it was possible before
        while goals:
            steps += 1
            if steps > MOST_STEPS:
                return None
            part, goals = goals
            if part.kind == "leaf":
                taken.append(part)
                if not draft.demand(part):
                    break
            elif part.kind == "and":
                for one in reversed(part.parts):
                    goals = (one, goals)
            else:
                chosen = focus.get(id(part))
                options = part.parts if chosen is None else [part.parts[chosen]]
                rest += [((one, goals), len(taken)) for one in reversed(options[1:])]
                goals = (options[0], goals)
        else:
            if draft.document() is not None:
                return taken
    return None


def draft_of(leaves: Iterable[Part], work: Work, prefix: str = "") -> Draft | None:
    """A draft with these leaves; None where they exclude each other."""
    draft = Draft(work, prefix)
    return draft if all(draft.demand(leaf) for leaf in leaves) else None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _is_one_text(leaf: Is | Range, kind: str | None) -> bool:
    """Whether the leaf holds for one text, and for no number or boolean that is spelled so."""
    if not isinstance(leaf, Is) or not isinstance(leaf.value, Text) or kind not in (None, "keyword"):
        return False
    text = leaf.value.value
    return text not in ("true", "false") and not text[:1].isdigit() and text[:1] not in ("+", "-", ".")
