"""A query's normal form: one spelling for each tree, which parses to that tree again.

Keywords are lower-case, brackets only where the tree needs them, terms of one field in `field:(…)`. A literal stays
quoted or unquoted as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from sockwarden.kql.parser import MAX_DEPTH
from sockwarden.kql.scanner import AND, COMPARISON, NOT, OR, SPACE, literal_end
from sockwarden.kql.syntax import parse
from sockwarden.kql.tree import NO_FIELD, And, Constant, Is, Literal, Nested, Node, Not, Or, Range, Text, Wildcard

WIDTH = 100
"""Columns that a wrapped query keeps to where its literals allow it."""

_INDENT = "  "
_COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_NAMED_ESCAPES = {"\t": "\\t", "\r": "\\r", "\n": "\\n"}
_SPACES = " \t\r\n\xa0"
_SPECIAL = re.compile(r'[\\():<>"*{}]')
_WORD = re.compile(rf"(?<![^{_SPACES}])(?=(?:or|and)(?:[{_SPACES}]|$))", re.IGNORECASE)
_NOT = re.compile(rf"n(?=ot(?:[{_SPACES}]|$))", re.IGNORECASE)
_CONSTANTS = ("null", "true", "false")


class _Block(msgspec.Struct, frozen=True):
    """Parts with a keyword between them, in brackets or not: what may be wrapped."""

    opener: str
    parts: tuple[_Piece, ...]
    joiner: str
    closer: str
    depth: int
    length: int


_Piece = str | _Block


def print_query(node: Node, *, wrap: bool = False) -> str:
    """The normal form on one line; with `wrap`, on as many lines as WIDTH asks for, as rule files show it."""
    piece = _print(node, grouped=True)
    if _depth(piece) > MAX_DEPTH:
        piece = _print(node, grouped=False)  # `a:(b or c)` takes a bracket that `a:b or a:c` does not
    return "\n".join(_wrapped(piece, "", "")) if wrap else _flat(piece)


def is_normal(query: str) -> bool:
    """Whether a query is in its normal form, whitespace between its tokens aside. Raises KqlSyntaxError."""
    return list(_tokens(query)) == list(_tokens(print_query(parse(query))))


def _print(root: Node, *, grouped: bool) -> _Piece:
    """With a stack of its own: a tree may be deep. A field goes down with `field:(…)`, where only values stand."""
    done: list[_Piece] = []
    rest: list[tuple[Node, Literal | None, bool]] = [(root, None, False)]
    while rest:
        node, field, opened = rest.pop()
        children = _children(node)
        group = _one_field(node) if grouped and field is None and isinstance(node, And | Or) else None
        if not children:
            done.append(_leaf(node, field))
        elif opened:
            pieces = done[-len(children) :]
            del done[-len(children) :]
            done.append(_branch(node, pieces, group))
        else:
            rest.append((node, field, True))
            rest.extend((child, group or field, False) for child in reversed(children))
    return done[0]


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case And(children) | Or(children):
            return children
        case Not(child) | Nested(_, child):
            return (child,)
        case _:
            return ()


def _leaf(node: Node, field: Literal | None) -> str:
    match node:
        case Is(name, value) if field is not None or name == NO_FIELD:
            return _literal(value)
        case Is(name, value):
            return f"{_literal(name)}:{_literal(value)}"
        case Range(name, operator, value):
            return f"{_literal(name)} {_COMPARISONS[operator]} {_literal(value)}"
    raise AssertionError(node)  # the other nodes have children


def _branch(node: Node, pieces: list[_Piece], group: Literal | None) -> _Piece:
    match node:
        case And(children) | Or(children):
            enclosed = tuple(
                _enclose("(", piece) if _needs_brackets(node, child, piece) else piece
                for child, piece in zip(children, pieces, strict=True)
            )
            joiner = "and" if isinstance(node, And) else "or"
            length = sum(map(_length, enclosed)) + (len(joiner) + 2) * (len(enclosed) - 1)
            block = _Block("", enclosed, joiner, "", max(map(_depth, enclosed)), length)
            return block if group is None else _enclose(f"{_literal(group)}:(", block)
        case Nested(path, _):
            opener = f"{_literal(path)}:{{ "
            return _Block(opener, (pieces[0],), "", " }", _depth(pieces[0]) + 1, len(opener) + _length(pieces[0]) + 2)
    negated = pieces[0]
    if isinstance(node, Not) and isinstance(node.child, Not):
        return _enclose("not (", negated)
    if isinstance(negated, str):
        return f"not {negated}"
    return _prefixed("not ", negated) if negated.opener else _enclose("not (", negated)


def _needs_brackets(parent: And | Or, child: Node, piece: _Piece) -> bool:
    if isinstance(piece, str) or piece.opener:
        return False
    return isinstance(child, Or) or (isinstance(child, And) and isinstance(parent, And))


def _one_field(node: Node) -> Literal | None:
    """The field of every leaf, where there is one and the leaves are plain values."""
    found: Literal | None = None
    nodes: list[Node] = [node]
    while nodes:
        match nodes.pop():
            case Is(field, _) if field != NO_FIELD and found in (None, field):
                found = field
            case And(children) | Or(children):
                nodes.extend(children)
            case Not(child):
                nodes.append(child)
            case _:
                return None
    return found


def _enclose(opener: str, piece: _Piece) -> _Block:
    length = len(opener) + _length(piece) + 1
    if isinstance(piece, _Block) and not piece.opener:
        return _Block(opener, piece.parts, piece.joiner, ")", piece.depth + 1, length)
    return _Block(opener, (piece,), "", ")", _depth(piece) + 1, length)


def _prefixed(prefix: str, block: _Block) -> _Block:
    opener, length = prefix + block.opener, len(prefix) + block.length
    return _Block(opener, block.parts, block.joiner, block.closer, block.depth, length)


def _depth(piece: _Piece) -> int:
    return 0 if isinstance(piece, str) else piece.depth


def _length(piece: _Piece) -> int:
    return len(piece) if isinstance(piece, str) else piece.length


def _literal(literal: Literal) -> str:
    match literal:
        case Constant():
            return str(literal)
        case Wildcard(pieces):
            return _unquoted("*".join(pieces), {sum(map(len, pieces[:i])) + i - 1 for i in range(1, len(pieces))})
        case Text(text, quoted):
            if quoted or text in _CONSTANTS or text.strip(_SPACES) != text:  # the latter two no parser gives unquoted
                return '"' + "".join(_NAMED_ESCAPES.get(c) or _visible(c) for c in _escape_quoted(text)) + '"'
            return _unquoted(text, frozenset()) or "\\t"  # what is trimmed to nothing


def _escape_quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _unquoted(text: str, stars: set[int] | frozenset[int]) -> str:
    r"""Keywords are escaped wherever they are whole words, needed or not: they read as operators. `\not` is a line
    feed and `ot` to Kibana, so an `n` is spelled `\u006e`.
    """
    words = {match.start() for match in _WORD.finditer(text)}
    nots = {match.start() for match in _NOT.finditer(text)}
    return "".join(
        c
        if position in stars
        else f"\\{c}"
        if position in words or _SPECIAL.match(c) or (position in nots and c == "N")
        else "\\u006e"
        if position in nots
        else "\\u00a0"
        if c == "\xa0"
        else _NAMED_ESCAPES.get(c) or _visible(c)
        for position, c in enumerate(text)
    )


def _visible(character: str) -> str:
    r"""`\uNNNN` for what does not print; two of them beyond the first plane."""
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _flat(piece: _Piece) -> str:
    """With a stack of its own: a tree may be deep."""
    done: list[str] = []
    rest: list[_Piece] = [piece]
    while rest:
        piece = rest.pop()
        if isinstance(piece, str):
            done.append(piece)
            continue
        between = f" {piece.joiner} "
        rest.append(piece.closer)
        for number, part in enumerate(reversed(piece.parts)):
            rest += [between, part] if number else [part]
        rest.append(piece.opener)
    return "".join(done)


def _wrapped(piece: _Piece, indent: str, tail: str) -> list[str]:
    """Lines; `tail` is the keyword that follows, which ends a line rather than beginning the next."""
    if isinstance(piece, str) or len(indent) + piece.length + len(tail) <= WIDTH:
        return [indent + _flat(piece) + tail]
    inner = indent + _INDENT if piece.opener else indent
    lines = [indent + piece.opener.rstrip()] if piece.opener else []
    last = len(piece.parts) - 1
    for number, part in enumerate(piece.parts):
        end = f" {piece.joiner}" if number < last else "" if piece.opener else tail
        lines += _wrapped(part, inner, end)
    if piece.opener:
        lines.append(indent + piece.closer.lstrip() + tail)
    return lines


def _tokens(query: str) -> Iterator[str]:
    """The tokens of a query that parses, literals as they are spelled."""
    position = 0
    while position < len(query):
        if match := OR.match(query, position) or AND.match(query, position) or NOT.match(query, position):
            yield match[0].strip(_SPACES)
            position = match.end()
        elif (match := SPACE.match(query, position)) and match[0]:
            position = match.end()
        elif match := COMPARISON.match(query, position):
            yield match[0]
            position = match.end()
        elif end := literal_end(query, position):
            yield query[position:end].strip(_SPACES)
            position = end
        else:
            yield query[position]
            position += 1
