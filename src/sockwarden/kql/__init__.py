"""Kibana Query Language alone: parse a query, evaluate it over documents, name the literals that it requires.

Pure: no input or output; the one thing it asks of the machine is the time, for `now`, and a caller may hand that in.
What few need they get from its module: dsl, explain, places, printer, sql.
"""

from sockwarden.kql.asked import depends_on, fields_of, leaves_on
from sockwarden.kql.evaluate import compile_query
from sockwarden.kql.required import required_literals, requirements
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
    "FieldTypes",
    "Is",
    "KqlSyntaxError",
    "Literal",
    "Nested",
    "Node",
    "Not",
    "Or",
    "Range",
    "Text",
    "TypeTable",
    "Wildcard",
    "compile_query",
    "depends_on",
    "fields_of",
    "leaves_on",
    "parse",
    "required_literals",
    "requirements",
    "to_json",
]
