"""A tree as Elasticsearch's query DSL: what Kibana 9 sends for it.

Without types it is what Kibana sends when an index's mapping is not known. With types each field is asked as its type
can be asked, and what would make shards fail is refused: above all a value that the type cannot hold.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from sockwarden.kql.clauses import ImpossibleError, clause, query_string
from sockwarden.kql.named import NESTED, matching, nested_path, under
from sockwarden.kql.printer import print_query
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.tree import MATCH_ALL, NO_FIELD, And, Constant, Is, Literal, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import FieldTypes

MOST_CLAUSES = 1024
"""What Elasticsearch and OpenSearch take at least (indices.query.bool.max_clause_count)."""

Dsl = dict[str, Any]


def to_dsl(node: Node, types: FieldTypes | None = None) -> Dsl:
    """The query for `"query"` of a search. Raises UnsupportedError, with types only."""
    return _Translation(types).query(node, "")


class _Translation:
    def __init__(self, types: FieldTypes | None) -> None:
        self.types = types
        self.clauses = 0

    def query(self, node: Node, path: str) -> Dsl:
        """`path` is that of the `path:{…}` around it, empty outside."""
        match node:
            case Is() if node == MATCH_ALL:
                return {"match_all": {}}
            case Is(field, value) if field == NO_FIELD:
                return self.fieldless(node, value)
            case Is() | Range():
                return self.leaf(node, path)
            case And(children):
                return {"bool": {"filter": self.queries(children, path)}}
            case Or(children):
                return _any_of(self.queries(children, path))
            case Not(child):
                return {"bool": {"must_not": self.query(child, path)}}
            case Nested(name, child):
                full = str(under(path, name))
                if self.types and self.types.type_of(full) != NESTED:
                    raise self.refuse(node, full, f"`{full}` is no nested object in the index")
                return _nested(full, self.query(child, full))

    def queries(self, nodes: tuple[Node, ...], path: str) -> list[Dsl]:
        return list(map(self.query, nodes, repeat(path)))  # not a comprehension: it would need a frame a level

    def fieldless(self, node: Is, value: Literal) -> Dsl:
        self.count(node, 1)
        if isinstance(value, Wildcard):
            return {"query_string": {"query": query_string(value)}}
        if self.types and value == Constant(None):
            raise self.refuse(node, "", "Elasticsearch takes no null to look for")
        kind = "phrase" if getattr(value, "quoted", False) else "best_fields"
        asked = value.value
        return {"multi_match": {"type": kind, "query": asked, "lenient": True}}

    def leaf(self, node: Is | Range, path: str) -> Dsl:
        field = under(path, node.field)
        if self.types is None:
            return _any_of([clause(str(field), None, node)])
        if isinstance(field, Wildcard) and (names := matching(field, self.types)):
            return self.pattern(node, names, path, self.types)
        self.count(node, 1)
        name = str(field)
        inside = nested_path(name, self.types)
        if inside != path and not isinstance(field, Wildcard):
            raise self.refuse(node, name, _misplaced(name, inside, path))
        if self.types.type_of(name) == NESTED:
            raise self.refuse(node, name, f"`{name}` is a nested object, which has no value of its own")
        try:
            return _any_of([clause(name, self.types.type_of(name), node, typed=True)])
        except ImpossibleError as impossible:
            raise self.refuse(node, name, str(impossible)) from None

    def pattern(self, node: Is | Range, names: list[str], path: str, types: FieldTypes) -> Dsl:
        """One clause for each field that can hold the value; the others match nothing, whatever they hold."""
        queries = []
        for name in names:
            inside = nested_path(name, types)
            if path and inside != path:
                continue
            try:
                query = clause(name, types.type_of(name), node, typed=True)
            except ImpossibleError:
                continue
            queries.append(_nested(inside, query) if inside and not path else query)
        self.count(node, len(queries))
        return _any_of(queries) if queries else {"match_none": {}}

    def count(self, node: Node, clauses: int) -> None:
        self.clauses += clauses
        if self.types and self.clauses > MOST_CLAUSES:
            raise self.refuse(node, "", f"the query would have more than {MOST_CLAUSES} clauses")

    def refuse(self, node: Node, field: str, why: str) -> UnsupportedError:
        return UnsupportedError("Elasticsearch's DSL", print_query(node), field, why)


def _any_of(queries: list[Dsl]) -> Dsl:
    return {"bool": {"should": queries, "minimum_should_match": 1}}


def _nested(path: str, query: Dsl) -> Dsl:
    return {"nested": {"path": path, "query": query, "score_mode": "none"}}


def _misplaced(name: str, inside: str, path: str) -> str:
    if inside:
        return f"`{name}` lies in the nested object `{inside}`: write {inside}:{{ … }} around it"
    return f"`{name}` is asked inside `{path}:{{…}}` and does not lie in that nested object"
