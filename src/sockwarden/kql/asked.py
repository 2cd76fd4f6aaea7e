"""The fields that a query asks for."""

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
