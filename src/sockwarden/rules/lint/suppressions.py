"""Findings that a file says are meant: a comment with the code and the reason, above the key or behind it.

    # lint: off CODE[, CODE …]: REASON

It holds for the key that begins next, or that ends on its line, with all of its value; above a table's header, for the
header. A comment, since it survives whatever else reads the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.schema import nearest, shorten
from sockwarden.toml_positions import KeyPath, Span

CODES: dict[str, tuple[Severity, str]] = {
    "suppression-form": ("error", "A comment that begins with `lint:` and is no suppression."),
    "suppression-reason": ("error", "A suppression without a reason."),
    "suppression-code": ("error", "A suppression of a code that there is not, or that cannot be suppressed."),
    "suppression-unused": ("error", "A suppression that suppresses nothing."),
}

_COMMENT = re.compile(r"#[ \t]*+lint:[ \t]*+([^\n]*+)")
_FORM = re.compile(r"off[ \t]++([^:\n]++):[ \t]*+([^\n]*+)")
_USAGE = "Write `# lint: off CODE: REASON`."


@dataclass(slots=True)
class Suppression:
    """One code that a comment at `offset` switches off for findings from `start` up to `end`."""

    code: str
    reason: str
    offset: int
    start: int
    end: int
    used: bool = False


def read(text: str, spans: Mapping[KeyPath, Span], known: Collection[str]) -> tuple[list[Suppression], list[Found]]:
    """The suppressions of a file, and what is wrong with them."""
    suppressions: list[Suppression] = []
    wrong: list[Found] = []
    extents = _Extents(text, spans)
    for comment in _COMMENT.finditer(text):
        offset = comment.start()
        if extents.in_string(offset):
            continue
        form = _FORM.fullmatch(comment[1].rstrip())
        if not form:
            wrong.append(Found("suppression-form", offset, f"`{shorten(comment[1])}` is no suppression", _USAGE))
            continue
        reason = form[2].strip()
        if not reason:
            wrong.append(Found("suppression-reason", offset, "a suppression without a reason", _USAGE))
        start, end = extents.after(offset)
        for code in (code.strip() for code in form[1].split(",")):
            if code not in known:
                message = f"`{shorten(code)}` is no finding that can be suppressed{nearest(code, known)}"
                wrong.append(Found("suppression-code", offset, message, "See `sockwarden rules lint --codes`."))
            elif reason:
                suppressions.append(Suppression(code, reason, offset, start, end))
    return suppressions, wrong


def remaining(found: list[Found], suppressions: list[Suppression]) -> list[Found]:
    """What no suppression covers; each one that covers something is marked as used."""
    by_code: dict[str, list[Suppression]] = defaultdict(list)
    for one in suppressions:
        by_code[one.code].append(one)
    left = []
    for finding in found:
        covering = next((one for one in by_code[finding.code] if one.start <= finding.offset < one.end), None)
        if covering:
            covering.used = True
        else:
            left.append(finding)
    return left


def unused(suppressions: list[Suppression]) -> Iterator[Found]:
    """Those that have nothing to do."""
    for one in suppressions:
        if not one.used:
            message = f"nothing to suppress: no `{one.code}` is found there"
            yield Found("suppression-unused", one.offset, message, "Take the comment away.")


class _Extents:
    """Which key a comment belongs to, and what is a string and no comment."""

    def __init__(self, text: str, spans: Mapping[KeyPath, Span]) -> None:
        self._text = text
        self._keys = sorted(spans.values(), key=lambda span: (span.key, -span.end))
        self._starts = [span.key for span in self._keys]
        self._strings = sorted(
            (span.value, span.end) for span in spans.values() if text.startswith(('"', "'"), span.value)
        )

    def in_string(self, offset: int) -> bool:
        at = bisect_right(self._strings, (offset, len(self._text))) - 1
        return at >= 0 and self._strings[at][0] <= offset < self._strings[at][1]

    def after(self, offset: int) -> tuple[int, int]:
        """From the key on the comment's line, or else the next key, up to its value's end; a table's, to the line's."""
        line = self._text.rfind("\n", 0, offset) + 1
        behind = bool(self._text[line:offset].strip())
        at = self._ending(line, offset) if behind else bisect_right(self._starts, offset)
        if at is None or at == len(self._keys):
            return offset, offset
        span = self._keys[at]
        end = span.end if span.end > span.value else self._text.find("\n", span.key)
        return span.key, max(end, span.key + 1)

    def _ending(self, line: int, offset: int) -> int | None:
        """The outermost key or element whose value ends on the line, before the comment."""
        at = bisect_right(self._starts, offset) - 1
        found = None
        while at >= 0:
            span = self._keys[at]
            if line <= max(span.end, span.key) <= offset:
                found = at
            if span.key < line:
                break
            at -= 1
        return found
