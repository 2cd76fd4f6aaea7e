r"""Templates of messages: JSON text with `{{ field.path }}` in it, and nothing else.

Inside a JSON string a field's value stands as text, escaped for JSON; several values are joined by ", ". Outside it
stands as JSON: a string in quotes, a number, an array, `null` where there is none. So the result is JSON whatever an
alert holds, which is checked once with the template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.document import Document, get, values
from sockwarden.errors import InputError
from sockwarden.kql.caret import line_and_column, point_at

MOST_BYTES = 1 << 16
_FIELD = re.compile(r"[ \t]*([A-Za-z0-9_@-]+(?:\.[A-Za-z0-9_@-]+)*)[ \t]*")
_TODO = 'A field is written {{ kibana.alert.reason }}; what stands around it is JSON: {"text": "{{ message }}"}.'


class Template:
    """A template's text, read once. InputError with line and caret where it is broken; `where` names the file."""

    def __init__(self, text: str, where: str) -> None:
        self._parts: list[tuple[str, str, bool]] = []
        in_string = False
        offset = 0
        for literal, field, place in _pieces(text, where):
            in_string = _ends_in_string(literal, in_string=in_string)
            self._parts.append((literal, field, in_string))
            offset = place
        probes: tuple[Document | None, ...] = ({}, None)
        for document in probes:
            try:
                msgspec.json.decode(self._filled(document))
            except msgspec.DecodeError:
                raise self._no_json(text, where, offset) from None

    def render(self, document: Document) -> bytes:
        """The message for a document, as JSON in UTF-8."""
        return self._filled(document).encode("utf-8", "replace")

    def _filled(self, document: Document | None) -> str:
        """document: None for a value in the place of every field."""
        return "".join(
            literal + (_value(document, field, quoted) if field else "") for literal, field, quoted in self._parts
        )

    def _no_json(self, text: str, where: str, end: int) -> InputError:
        """Where the JSON around the fields ends to be JSON: each field is replaced by as many characters of a value."""
        shown, position = [], 0
        for literal, field, quoted in self._parts:
            shown.append(literal)
            position += len(literal)
            if field:
                close = text.index("}}", position) + 2
                width = close - position
                shown.append("x" * width if quoted else '"' + "x" * (width - 2) + '"')
                position = close
        try:
            json.loads("".join(shown))
        except json.JSONDecodeError as error:
            return _broken(text, where, error.pos, f"not JSON around its fields: {error.msg}")
        return _broken(text, where, end, "not JSON around its fields")


def read_template(path: Path) -> Template:
    """The template in a file. InputError where it cannot be read or is broken."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InputError("the template cannot be read", where=str(path), why=why, todo=_TODO) from None
    if len(content) > MOST_BYTES:
        raise InputError("too large for a template", where=str(path), why=f"it holds at most {MOST_BYTES} bytes")
    return Template(text, str(path))


def _pieces(text: str, where: str) -> Iterator[tuple[str, str, int]]:
    """Literal text, the field behind it, where that ends; the last without a field."""
    start = 0
    while (opening := text.find("{{", start)) >= 0:
        field = _FIELD.match(text, opening + 2)
        if not field:
            raise _broken(text, where, opening + 2, "a field's name is expected here, as in {{ process.executable }}")
        if not text.startswith("}}", field.end()):
            raise _broken(text, where, field.end(), "the field ends here, and }} is expected")
        yield text[start:opening], field[1], field.end() + 2
        start = field.end() + 2
    yield text[start:], "", len(text)


def _ends_in_string(literal: str, *, in_string: bool) -> bool:
    characters = iter(literal)
    for character in characters:
        if character == "\\" and in_string:
            next(characters, None)
        elif character == '"':
            in_string = not in_string
    return in_string


def _value(document: Document | None, field: str, quoted: bool) -> str:
    if document is None:
        return "x" if quoted else '"x"'
    found = list(values(document, field))
    if not quoted:
        one: Any = found[0] if len(found) == 1 and not isinstance(get(document, field), list) else found or None
        return _json(one)
    return _json(", ".join(each if isinstance(each, str) else _json(each) for each in found))[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)


def _broken(text: str, where: str, offset: int, why: str) -> InputError:
    line, column = line_and_column(text, offset)
    shown = "".join(f"\n    {one}" for one in point_at(text, offset).splitlines())
    return InputError(
        "the template is broken", where=f"{where}: line {line}, column {column}", why=f"{why}{shown}", todo=_TODO
    )
