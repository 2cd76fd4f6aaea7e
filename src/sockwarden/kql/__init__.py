"""Kibana Query Language alone: parse a query, evaluate it over documents, name the literals that it requires.

Pure: no input or output; the one thing it asks of the machine is the time, for `now`, and a caller may hand that in.
"""

from sockwarden.kql.asked import depends_on, fields_of
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.evaluate import compile_query
from sockwarden.kql.explain import Explanation, explain, explanation_lines
from sockwarden.kql.places import Place, places
from sockwarden.kql.printer import is_normal, print_query
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.required import required_literals, requirements
from sockwarden.kql.sql import irregular, to_sql
from sockwarden.kql.syntax import KqlSyntaxError, parse
from sockwarden.kql.tree import (
    MATCH_ALL,
    NO_FIELD,
    And,
    Constant,
    Is,
    Literal,
    Nested,
    Node,
    Not,
    Or,
    Range,
    Text,
    Wildcard,
    to_json,
)
from sockwarden.kql.types import ECS, FieldTypes, TypeTable

__all__ = [
    "ECS",
    "MATCH_ALL",
    "NO_FIELD",
    "And",
    "Constant",
    "Explanation",
    "FieldTypes",
    "Is",
    "KqlSyntaxError",
    "Literal",
    "Nested",
    "Node",
    "Not",
    "Or",
    "Place",
    "Range",
    "Text",
    "TypeTable",
    "UnsupportedError",
    "Wildcard",
    "compile_query",
    "depends_on",
    "explain",
    "explanation_lines",
    "fields_of",
    "irregular",
    "is_normal",
    "parse",
    "places",
    "print_query",
    "required_literals",
    "requirements",
    "to_dsl",
    "to_json",
    "to_sql",
]
