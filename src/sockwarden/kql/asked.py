"""The fields that a query asks for."""

from __future__ import annotations

from sockwarden.kql.tree import NO_FIELD, And, Is, Nested, Node, Not, Or, Range


def fields_of(node: Node) -> frozenset[str]:
    """Names and patterns of names, below a `path:{…}` with the path before them. A value without a field adds none."""
    found: set[str] = set()
    nodes: list[tuple[Node, str]] = [(node, "")]
    while nodes:
        asked, prefix = nodes.pop()
        match asked:
            case Is(field, _) | Range(field, _, _):
                if field != NO_FIELD:
                    found.add(prefix + str(field))
            case And(children) | Or(children):
                nodes.extend((child, prefix) for child in children)
            case Not(child):
                nodes.append((child, prefix))
            case Nested(path, child):
                nodes.append((child, f"{prefix}{path}."))
    return frozenset(found)
