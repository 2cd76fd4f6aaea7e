"""What a query asks for: the fields, and its leaves on some of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sockwarden.kql.tree import NO_FIELD, And, Is, Nested, Node, Not, Or, Range


def fields_of(node: Node) -> frozenset[str]:
    """Names and patterns of names, below a `path:{…}` with the path before them. A value without a field adds none."""
    return frozenset(name for name in _asked(node) if name is not None)


def depends_on(node: Node, names: Collection[str]) -> bool:
    """Whether the answer may be another when what stands at one of these names, or below it, is."""
    return any(
        asked is None or "*" in asked or f"{asked}.".startswith(f"{name}.") or name.startswith(f"{asked}.")
        for asked in _asked(node)
        for name in names
    )


def leaves_on(node: Node, names: Collection[str]) -> list[Node] | None:
    """What a query asks of these names, leaf by leaf: of two documents that differ there alone, and of which each leaf
    says the same, the query does. None where it asks in another way: by a pattern of names, by a name above, of an
    object of many, or of every field.
    """
    leaves: list[Node] = []
    nodes = [node]
    while nodes:
        asked = nodes.pop()
        if not depends_on(asked, names):
            continue
        match asked:
            case And(children) | Or(children):
                nodes.extend(children)
            case Not(child):
                nodes.append(child)
            case Is(field, _) | Range(field, _, _) if str(field) in names:
                leaves.append(asked)
            case _:
                return None
    return leaves


def _asked(node: Node) -> Iterator[str | None]:
    """The field of every leaf; None of a value without one."""
    nodes: list[tuple[Node, str]] = [(node, "")]
    while nodes:
        asked, prefix = nodes.pop()
        match asked:
            case Is(field, _) | Range(field, _, _):
                yield None if field == NO_FIELD else prefix + str(field)
            case And(children) | Or(children):
                nodes.extend((child, prefix) for child in children)
            case Not(child):
                nodes.append((child, prefix))
            case Nested(path, child):
                nodes.append((child, f"{prefix}{path}."))
