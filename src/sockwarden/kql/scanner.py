"""The tokens of KQL: keywords, whitespace and literals, with their escapes (Kibana's `grammar.peggy`).

No input makes a pattern backtrack: what repeats is possessive, or a group whose branches exclude each other. (Groups
are not possessive here: before Python 3.11.5 such a repeat could end too soon, gh-106052; Debian 12 has 3.11.2.)
"""

from __future__ import annotations

import re

from sockwarden.kql.tree import Constant, Literal, Text, Wildcard

_WS = r"[ \t\r\n\xa0]"
_OR, _AND, _NOT = "[oO][rR]", "[aA][nN][dD]", "[nN][oO][tT]"
_SPECIAL = r'\\():<>"*{}'

SPACE = re.compile(f"{_WS}*+")
OR = re.compile(f"{_WS}++{_OR}{_WS}++")
AND = re.compile(f"{_WS}++{_AND}{_WS}++")
NOT = re.compile(f"{_NOT}{_WS}++")
COMPARISON = re.compile("[<>]=?")
KEYWORD = re.compile(rf"(?:{_OR}|{_AND}|{_NOT})\b")
WORD = re.compile(rf"[^{_SPECIAL} \t\r\n\xa0]{{1,40}}")

# A keyword ends the literal: `or` and `and` with whitespace on both sides, `not` with whitespace after it only.
_UNQUOTED = re.compile(
    rf"""(?:[^{_SPECIAL}nN \t\r\n\xa0]++
    |{_WS}++(?!(?:{_OR}|{_AND}){_WS})
    |[nN](?!{_NOT[4:]}{_WS})
    |\*
    |\\(?:[trn{_SPECIAL}]|u[0-9a-fA-F]{{4}}|{_OR}|{_AND}|{_NOT})
    )+""",
    re.VERBOSE,
)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\["\\]|\\(?!["\\]))*)"')

# `\n` comes before the keywords, as in Kibana: `\not` is a line feed and "ot".
_UNQUOTED_PART = re.compile(rf"[^\\*]++|\*|\\(?:[trn{_SPECIAL}]|u[0-9a-fA-F]{{4}}|{_OR}|{_AND}|{_NOT})")
_QUOTED_ESCAPE = re.compile(r'\\(?:[trn"\\]|u[0-9a-fA-F]{4})')
_WHITESPACE_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_CONSTANTS = {"null": Constant(None), "true": Constant(True), "false": Constant(False)}

# What `trim` removes in JavaScript (ECMA-262, WhiteSpace and LineTerminator); Python's `strip` differs.
TRIMMED = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))


def scan_literal(query: str, position: int) -> tuple[Literal, int] | None:
    """The literal that begins at the position and where it ends, None where none begins."""
    if match := _QUOTED.match(query, position):
        return Text(_unquote(match[1]), quoted=True), match.end()
    if match := _UNQUOTED.match(query, position):
        return _unquoted(match[0]), match.end()
    return None


def literal_end(query: str, position: int) -> int | None:
    """Where the literal that begins at the position ends, None where none begins."""
    match = _QUOTED.match(query, position) or _UNQUOTED.match(query, position)
    return match.end() if match else None


def _unquote(raw: str) -> str:
    if "\\" not in raw:
        return raw
    return _join_surrogates(_QUOTED_ESCAPE.sub(lambda match: _resolve(match[0]), raw))


def _unquoted(raw: str) -> Literal:
    parts: list[list[str]] = [[]]
    for match in _UNQUOTED_PART.finditer(raw):
        if match[0] == "*":
            parts.append([])
        else:
            parts[-1].append(_resolve(match[0]))
    pieces = [_join_surrogates("".join(part)) for part in parts]
    pieces[0] = pieces[0].lstrip(TRIMMED)
    pieces[-1] = pieces[-1].rstrip(TRIMMED)
    if len(pieces) > 1:
        return Wildcard(tuple(pieces))
    return _CONSTANTS.get(pieces[0]) or Text(pieces[0])


def _resolve(part: str) -> str:
    if not part.startswith("\\"):
        return part
    escaped = part[1:]
    if escaped[0] == "u":
        return chr(int(escaped[1:], 16))
    return _WHITESPACE_ESCAPES.get(escaped, escaped)


def _join_surrogates(text: str) -> str:
    r"""Two escapes such as `\ud83d\ude00` are one character, as they are in JavaScript; one alone stays alone."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
