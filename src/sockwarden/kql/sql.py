"""A tree as a condition in duckdb's SQL over documents as JSON.

The condition is never NULL: each leaf is false where there is nothing, so that NOT is exact. Every leaf is asked of
each element of an array, at every level. Keys with dots in them and arrays within arrays are not seen; `irregular`
tells the documents that hold such, and those that duckdb does not take for JSON.
"""

from __future__ import annotations

import time
from itertools import repeat

from sockwarden.document import METADATA
from sockwarden.kql.dates import Clock
from sockwarden.kql.named import NESTED, matching, nested_path, under
from sockwarden.kql.printer import print_query
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.sqltests import CannotError, sql_test
from sockwarden.kql.sqltext import any_of, text, values
from sockwarden.kql.sqltext import pattern as sql_pattern
from sockwarden.kql.tree import NO_FIELD, And, Is, Literal, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import FieldTypes, parent_of


def to_sql(node: Node, types: FieldTypes, document: str = "document", clock: Clock = time.time_ns) -> str:
    """The condition. `document` is an expression of type JSON, usually a column's name as SQL takes it; `clock` gives
    `now` in nanoseconds since 1970 UTC, which the condition holds as a number. Raises UnsupportedError.
    """
    return _Translation(types, clock).condition(node, "", document)


def irregular(line: str) -> str:
    """A condition over a document's text: that its verdict must be had otherwise. May say so without need."""
    text_with_dot = r'"(?:[^"\\]|\\.)*\.(?:[^"\\]|\\.)*"'
    arrays, keys, hidden = r"[\[,]\s*\[", rf"{text_with_dot}\s*:", r"\\u002[eE]"
    return f"(NOT json_valid({line}) OR regexp_matches({line}, {text(f'{arrays}|{keys}|{hidden}')}))"


class _Translation:
    def __init__(self, types: FieldTypes, clock: Clock) -> None:
        self.types = types
        self.clock = clock
        self.level = 0

    def condition(self, node: Node, path: str, document: str) -> str:
        """`path` is that of the `path:{…}` around it, whose object `document` then is."""
        match node:
            case Is(field, Wildcard() as value) if value.is_lone and _any_field(field) and not path:
                return "true"
            case Is(field, _) if field == NO_FIELD:
                raise self.refuse(node, "", "a value without a field is looked for in analysed text, too")
            case Is() | Range():
                return self.leaf(node, path, document)
            case And(children):
                return self.several(children, " AND ", path, document)
            case Or(children):
                return self.either(children, path, document)
            case Not(child):
                return f"(NOT {self.condition(child, path, document)})"
            case Nested(name, child):
                return self.nested(node, str(under(path, name)), child, path, document)

    def several(self, children: tuple[Node, ...], joiner: str, path: str, document: str) -> str:
        return "(" + joiner.join(map(self.condition, children, repeat(path), repeat(document))) + ")"

    def either(self, children: tuple[Node, ...], path: str, document: str) -> str:
        """Alternatives of one field look its values up once."""
        by_field: dict[str, list[Is | Range]] = {}
        others: list[Node] = []
        for child in children:
            if isinstance(child, Is | Range) and child.field != NO_FIELD and not isinstance(child.field, Wildcard):
                by_field.setdefault(str(under(path, child.field)), []).append(child)
            else:
                others.append(child)
        tests = [self.leaves(name, leaves, path, document) for name, leaves in by_field.items()]
        tests += map(self.condition, others, repeat(path), repeat(document))
        return "(" + " OR ".join(tests) + ")"

    def nested(self, node: Node, full: str, child: Node, path: str, document: str) -> str:
        if self.types.type_of(full) != NESTED:
            raise self.refuse(node, full, f"`{full}` is not known to be a nested object")
        self.level += 1
        each = f"n{self.level}"
        inside = self.condition(child, full, each)
        listed = values(document, _below(full, path), self.level)
        return any_of(listed, each, f"json_type({each}) = 'OBJECT' AND {inside}")

    def leaf(self, node: Is | Range, path: str, document: str) -> str:
        field = under(path, node.field)
        if isinstance(field, Wildcard):
            return self.pattern(node, field, path, document)
        return self.leaves(str(field), [node], path, document)

    def leaves(self, name: str, nodes: list[Is | Range], path: str, document: str) -> str:
        """Whether any of the leaves holds, which all ask this field."""
        inside = nested_path(name, self.types)
        self.level += 1
        value = f"v{self.level}"
        tests = []
        for node in nodes:
            if inside != path:
                why = f"`{name}` does not lie in what is around it, but in `{inside or 'no object'}`"
                raise self.refuse(node, name, why)
            try:
                tests.append(sql_test(node, self.types.type_of(name), value, self.clock))
            except CannotError as cannot:
                if cannot.could_match:
                    raise self.refuse(node, name, str(cannot)) from None
        if not tests:
            return "false"
        test = tests[0] if len(tests) == 1 else " OR ".join(f"({test})" for test in tests)
        source = parent_of(name, self.types) or name  # a multi-field indexes its parent's values
        return any_of(values(document, _below(source, path), self.level), value, test)

    def pattern(self, node: Is | Range, field: Wildcard, path: str, document: str) -> str:
        """Each known field that fits, and what else a document holds under such a name."""
        if path:
            raise self.refuse(node, str(field), "a pattern of names inside a nested object is not looked up")
        tests = []
        for name in (known := matching(field, self.types)):
            if inside := nested_path(name, self.types):
                raise self.refuse(node, name, f"the pattern reaches into the nested object `{inside}`")
            tests.append(self.leaves(name, [node], path, document))
        tests.append(self.others(node, field, known, document))
        return "(" + " OR ".join(tests) + ")"

    def others(self, node: Is | Range, field: Wildcard, known: list[str], document: str) -> str:
        name = "substr(replace(regexp_replace(t.fullkey, '\\[[0-9]+\\]', '', 'g'), '\"', ''), 3)"
        listed = ", ".join(map(text, [*known, *METADATA]))
        try:
            test = sql_test(node, None, "t.value", self.clock)
            fits = f"regexp_full_match({name}, {sql_pattern(field.pieces)})"
        except CannotError as cannot:
            if cannot.could_match:
                raise self.refuse(node, str(field), str(cannot)) from None
            return "false"
        where = f"t.type NOT IN ('OBJECT', 'ARRAY', 'NULL') AND {fits} AND {name} NOT IN ({listed}) AND {test}"
        return f"EXISTS (SELECT 1 FROM json_tree({document}) t WHERE {where})"  # noqa: S608 - texts are escaped

    def refuse(self, node: Node, field: str, why: str) -> UnsupportedError:
        return UnsupportedError("SQL", print_query(node), field, why)


def _any_field(field: Literal) -> bool:
    return field == NO_FIELD or (isinstance(field, Wildcard) and field.is_lone)


def _below(name: str, path: str) -> list[str]:
    """The parts of a field's name below the object that is at hand."""
    return (name[len(path) + 1 :] if path else name).split(".")
