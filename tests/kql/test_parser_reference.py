"""The parser against a naive PEG that tries every alternative and keeps the furthest failure, as Kibana's does."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.kql import KqlSyntaxError, parse, to_json
from sockwarden.kql.tree import Json

Match = tuple[Json, int] | None
Rule = Callable[[int], Match]
SPACE = " \t\r\n\xa0"
SPECIAL = '\\():<>"*{}'


class Peg:
    """One method a rule of the grammar, alternatives in its order; a named rule fails at its start only."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.furthest = 0
        self.silent = 0
        self.seen: dict[tuple[str, object, int, bool], Match] = {}

    def fail(self, at: int) -> None:
        if not self.silent:
            self.furthest = max(self.furthest, at)

    def named(self, rule: Rule, at: int) -> Match:
        self.silent += 1
        match = rule(at)
        self.silent -= 1
        if match is None:
            self.fail(at)
        return match

    def once(self, name: str, field: Json | None, rule: Rule, at: int) -> Match:
        key = (name, repr(field), at, self.silent > 0)
        if key not in self.seen:
            self.seen[key] = rule(at)
        return self.seen[key]

    def text_at(self, expected: str, at: int) -> int | None:
        if self.text[at : at + len(expected)].lower() == expected:
            return at + len(expected)
        self.fail(at)
        return None

    def spaces(self, at: int) -> int:
        while at < len(self.text) and self.text[at] in SPACE:
            at += 1
        self.fail(at)
        return at

    def keyword(self, word: str, at: int) -> int | None:
        def rule(start: int) -> Match:
            begin = start if word == "not" else self.spaces(start)
            end = None if begin == start and word != "not" else self.text_at(word, begin)
            after = end if end is None else self.spaces(end)
            return None if after is None or after == end else ("", after)

        match = self.named(rule, at)
        return None if match is None else match[1]

    def start(self) -> Json | int:
        """The tree, or the offset of the failure."""
        begin = self.spaces(0)
        match = self.alternatives(None, begin)
        tree, end = match or (["is", {"w": "*"}, {"w": "*"}], begin)
        end = self.spaces(end)
        return tree if end == len(self.text) else self.furthest

    def alternatives(self, field: Json | None, at: int) -> Match:
        return self.once("or", field, lambda p: self.joined("or", self.conjunction, field, p), at)

    def conjunction(self, field: Json | None, at: int) -> Match:
        return self.once("and", field, lambda p: self.joined("and", self.negation, field, p), at)

    def joined(self, word: str, part: Callable[[Json | None, int], Match], field: Json | None, at: int) -> Match:
        match = part(field, at)
        if match is None:
            return None
        parts, end = [match[0]], match[1]
        while (after := self.keyword(word, end)) is not None and (match := part(field, after)) is not None:
            parts.append(match[0])
            end = match[1]
        return (parts[0] if len(parts) == 1 else [word, *parts]), end

    def negation(self, field: Json | None, at: int) -> Match:
        part = self.sub if field is None else lambda p: self.values(field, p)
        after = self.keyword("not", at)
        if after is not None and (match := part(after)) is not None:
            return ["not", match[0]], match[1]
        return part(at)

    def enclosed(self, opener: str, closer: str, field: Json | None, at: int) -> Match:
        after = self.text_at(opener, at)
        if after is None or (match := self.alternatives(field, self.spaces(after))) is None:
            return None
        end = self.text_at(closer, self.spaces(match[1]))
        return None if end is None else (match[0], end)

    def sub(self, at: int) -> Match:
        return (
            self.enclosed("(", ")", None, at)
            or self.nested(at)
            or self.range(at)
            or self.field_value(at)
            or self.value({"v": None}, at)
        )

    def field(self, at: int) -> Match:
        return self.named(self.literal, at)

    def nested(self, at: int) -> Match:
        field = self.field(at)
        after = None if field is None else self.text_at(":", self.spaces(field[1]))
        match = None if after is None else self.enclosed("{", "}", None, self.spaces(after))
        return None if field is None or match is None else (["nested", field[0], match[0]], match[1])

    def range(self, at: int) -> Match:
        field = self.field(at)
        if field is None:
            return None
        begin = self.spaces(field[1])
        for sign, name in (("<=", "lte"), (">=", "gte"), ("<", "lt"), (">", "gt")):
            after = self.text_at(sign, begin)
            if after is not None:
                value = self.field(self.spaces(after))
                return None if value is None else (["range", field[0], name, value[0]], value[1])
        return None

    def field_value(self, at: int) -> Match:
        field = self.field(at)
        after = None if field is None else self.text_at(":", self.spaces(field[1]))
        return None if field is None or after is None else self.values(field[0], self.spaces(after))

    def values(self, field: Json, at: int) -> Match:
        return self.enclosed("(", ")", field, at) or self.value(field, at)

    def value(self, field: Json, at: int) -> Match:
        match = self.named(self.literal, at)
        return None if match is None else (["is", field, match[0]], match[1])

    def literal(self, at: int) -> Match:
        return self.quoted(at) or self.unquoted(at)

    def quoted(self, at: int) -> Match:
        if not self.text.startswith('"', at):
            return None
        at += 1
        taken = ""
        while at < len(self.text):
            escaped = self.escape(at, '"\\', keywords=False)
            if escaped is None and self.text[at] == '"':
                return {"q": taken}, at + 1
            character, at = escaped or (self.text[at], at + 1)
            taken += character
        return None

    def unquoted(self, at: int) -> Match:
        start, taken, wild = at, "", False
        while at < len(self.text):
            escaped = self.escape(at, SPECIAL, keywords=True)
            if escaped is not None:
                taken += escaped[0]
                at = escaped[1]
            elif self.text[at] == "*":
                taken, wild, at = taken + "*", True, at + 1
            elif self.text[at] in SPECIAL or any(self.keyword(word, at) for word in ("or", "and", "not")):
                break
            else:
                taken, at = taken + self.text[at], at + 1
        if at == start:
            return None
        taken = taken.strip(SPACE)
        if wild:
            return {"w": taken}, at
        constants: dict[str, bool | None] = {"null": None, "true": True, "false": False}
        return {"v": constants.get(taken, taken)}, at

    def escape(self, at: int, special: str, *, keywords: bool) -> tuple[str, int] | None:
        if self.text[at] != "\\":
            return None
        rest = self.text[at + 1 :]
        for letter, character in (("t", "\t"), ("r", "\r"), ("n", "\n")):
            if rest.startswith(letter):
                return character, at + 2
        if rest[:1] and rest[0] in special:
            return rest[0], at + 2
        if rest.startswith("u") and len(rest) > 4 and all(c in "0123456789abcdefABCDEF" for c in rest[1:5]):
            return chr(int(rest[1:5], 16)), at + 6
        for word in ("or", "and", "not") if keywords else ():
            if rest[: len(word)].lower() == word:
                return rest[: len(word)], at + 1 + len(word)
        return None


TOKENS = [
    *("a", "b", "n", "or", "and", "not", "OR", "Not", " or ", " and ", "not ", "nota", "null", "true"),
    *(" ", " ", "  ", "\t", "\n", "\xa0", "é"),
    *(":", ":", "(", ")", "{", "}", "(", ")", "<", "<=", ">", ">=", "*", '"', '"', '"x"', '"y z"'),
    *("\\", "\\n", "\\*", '\\"', "\\\\", "\\(", "\\u0041", "\\u004", "\\or", "\\and", "\\not", "\\Not"),
    *("a:b", "a:", "a:(", "a:{", "a > 1", "(a:b)", "a:(b or c)"),
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join))
def test_the_same_tree_or_the_same_offset(query: str) -> None:
    expected = Peg(query).start()
    try:
        found: Json | int = to_json(parse(query))
    except KqlSyntaxError as error:
        found = error.offset
    assert found == expected
