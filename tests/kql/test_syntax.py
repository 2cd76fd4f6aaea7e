"""What a syntax error shows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.errors import QueryError
from sockwarden.kql import KqlSyntaxError, parse
from sockwarden.kql.caret import WIDTH, point_at


def error_of(query: str) -> KqlSyntaxError:
    with pytest.raises(KqlSyntaxError) as raised:
        parse(query)
    return raised.value


def test_the_whole_message() -> None:
    error = error_of("host.name:a and\n  process.name:not curl")
    assert isinstance(error, QueryError)
    assert str(error) == (
        "the query is not KQL: it stops making sense at line 2, column 16\n"
        'expected a value, "(" or "{", found the keyword "not"\n'
        "    process.name:not curl\n"
        "                 ^\n"
        "Write there:   not process.name:curl"
    )
    assert error.exit_code == 3
    assert error.query[error.offset :] == "not curl"
    assert error.expected == ("a value", '"("', '"{"')
    assert error.suggestion == "host.name:a and\n  not process.name:curl"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("a:", 'expected a value, "(" or "{", found the end of the query'),
        ("a >", "expected a value, found the end of the query"),
        ('a:"b', "expected a closing quote, found a quote"),
        (")", 'expected a field name, a value, "(" or "not", found ")"'),
        ("not )", 'expected a field name, a value or "(", found ")"'),
        ("a:(b", 'expected "and", "or" or ")", found the end of the query'),
        ("a:{b:c", 'expected "and", "or" or "}", found the end of the query'),
        ('"a" b', 'expected ":", a comparison, "and", "or" or the end of the query, found "b"'),
        ("a:b\\", 'expected "and", "or" or the end of the query, found a backslash that escapes nothing'),
        ('"a" \x1b[31m', 'expected ":", a comparison, "and", "or" or the end of the query, found "\\x1b[31m"'),
    ],
)
def test_reason(query: str, reason: str) -> None:
    assert error_of(query).why.split("\n")[0] == reason


@pytest.mark.parametrize(
    ("query", "offset", "lines"),
    [
        ("a:>5", 2, "a:>5\n  ^"),
        ("", 0, "\n^"),
        ("a\n\nb", 2, "\n^"),
        ("a:b\nc:>5\nd", 6, "c:>5\n  ^"),
        ("a:b\r\nc:d\r\n", 3, "a:b\n   ^"),
        ("a:b\r\nc:d\r\n", 7, "c:d\n  ^"),
        ("a\t:\xa0x", 4, "a : x\n    ^"),
        ("\x1b[2J:x", 5, "\\x1b[2J:x\n        ^"),
        ("\u202e\U000e0001\ud800x", 3, "\\u202e\\U000e0001\\ud800x\n                      ^"),
        ("日本e\u0301x", 4, "日本e\u0301x\n     ^"),
        ("a" * 300, 150, f"…{'a' * 100}…\n{' ' * 61}^"),
        ("a" * 300, 0, f"{'a' * 100}…\n^"),
        ("a" * 300, 300, f"…{'a' * 60}\n{' ' * 61}^"),
        ("\x00" * 300, 150, "…" + r"\x00" * 25 + "…\n" + " " * 61 + "^"),
    ],
)
def test_caret(query: str, offset: int, lines: str) -> None:
    assert point_at(query, offset) == lines


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(0, 300))
def test_caret_is_safe_and_near(query: str, offset: int) -> None:
    offset = min(offset, len(query))
    line, caret = point_at(query, offset).split("\n")
    assert line.isprintable()
    assert caret.strip() == "^"
    assert len(caret) - 1 <= WIDTH + 1  # one more for the mark of the cut


def test_a_long_suggestion_shows_the_changed_place() -> None:
    query = " or ".join(f"field.number{i}:x" for i in range(50)) + " or b:not c"
    error = error_of(query)
    assert error.suggestion == query.replace("b:not c", "not b:c")
    assert error.todo.startswith("Write there: …")
    assert error.todo.endswith("or not b:c")


def test_a_suggestion_that_a_terminal_cannot_show_is_not_printed() -> None:
    error = error_of("a:\x1b[31m:x")
    assert error.suggestion == 'a:"\x1b[31m:x"'
    assert error.todo == ""
