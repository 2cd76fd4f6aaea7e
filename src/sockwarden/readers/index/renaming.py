"""`--map FIELD=FIELD`: a field of the rules that documents carry under another name."""

from __future__ import annotations

from collections.abc import Mapping

from sockwarden.document import Document, put, values
from sockwarden.kql import And, Is, Node, Not, Or, Range, Text


def renamed_query(node: Node, fields: Mapping[str, str]) -> Node:
    """The tree in which each of the fields may also be the one that stands for it. Conditions inside `path:{…}` stay:
    their objects have fields of their own.
    """
    match node:
        case Is(Text(name), value) if name in fields:
            return Or((node, Is(Text(fields[name]), value)))
        case Range(Text(name), operator, value) if name in fields:
            return Or((node, Range(Text(fields[name]), operator, value)))
        case And(children):
            return And(tuple(renamed_query(child, fields) for child in children))
        case Or(children):
            return Or(tuple(renamed_query(child, fields) for child in children))
        case Not(child):
            return Not(renamed_query(child, fields))
    return node


def rename(document: Document, fields: Mapping[str, str]) -> None:
    """Gives the document each field of the rules with the values of both, so that exceptions see what the query saw."""
    for name, other in fields.items():
        both = list(dict.fromkeys([*values(document, name), *values(document, other)]))
        if both:
            put(document, name, both if len(both) > 1 else both[0])
