"""Exceptions: items that say which matches of a rule are no alert, as Kibana has them."""

from sockwarden.rules.exceptions.item import ExceptionItem, Explanation, Trace, as_query
from sockwarden.rules.exceptions.load import BrokenList, ExceptionList, load_list, parse_list

__all__ = [
    "BrokenList",
    "ExceptionItem",
    "ExceptionList",
    "Explanation",
    "Trace",
    "as_query",
    "load_list",
    "parse_list",
]
