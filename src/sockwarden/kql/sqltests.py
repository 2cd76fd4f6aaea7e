"""The test of one value of a document in duckdb's SQL, by the type of its field."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from sockwarden.kql.dates import Clock, parse_bound
from sockwarden.kql.kinds import DATES, EXACT, INTEGERS, LIMITS, WORDS
from sockwarden.kql.scalars import address_number, network_bounds, parse_address, parse_network, parse_number
from sockwarden.kql.sqltext import MOST_PATTERN, NUMBER, address, milliseconds, pattern, text
from sockwarden.kql.tree import Constant, Is, Operator, Range, Wildcard

_COMPARISONS: dict[Operator, str] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class CannotError(ValueError):
    """A test that SQL cannot express; `could_match` is false where no value of the type would ever pass it."""

    def __init__(self, why: str, *, could_match: bool = True) -> None:
        super().__init__(why)
        self.could_match = could_match


def sql_test(node: Is | Range, kind: str | None, value: str, clock: Clock) -> str:
    """A condition over `value`, the name of a JSON value that is no array; NULL counts as false. Raises CannotError."""
    if isinstance(node.value, Wildcard) and isinstance(node, Is) and node.value.is_lone:
        return _exists(value)
    if node.value == Constant(None):
        if isinstance(node, Is):
            raise CannotError("no value is null to an index; `not field:*` finds what is missing", could_match=False)
        return _exists(value)
    _check_encodable(str(node.value))
    scalar = f"json_type({value}) NOT IN ('OBJECT', 'NULL')"
    shown = f"({value} ->> '$')"
    return f"{scalar} AND {_typed(node, kind, shown, value, clock)}"


def _exists(value: str) -> str:
    inner = f"len([e FOR e IN json_extract({value}, '$..*') IF json_type(e) NOT IN ('OBJECT', 'ARRAY', 'NULL')]) > 0"
    return f"CASE coalesce(json_type({value}), 'NULL') WHEN 'NULL' THEN false WHEN 'OBJECT' THEN {inner} ELSE true END"


def _typed(node: Is | Range, kind: str | None, shown: str, value: str, clock: Clock) -> str:
    if kind in WORDS:
        raise CannotError(f"a field of type {kind} is analysed into words")
    if kind is None:
        return _untyped(node, shown, value, clock)
    if kind in EXACT:
        return _exact(node, shown)
    if isinstance(node.value, Wildcard):
        raise CannotError(f"a field of type {kind} takes no wildcards", could_match=False)
    if kind in INTEGERS:
        return _integer(node, shown, kind)
    if kind in ("double", "float"):
        return _double(node, shown, kind)
    if kind == "boolean" and isinstance(node, Is):
        return _boolean(str(node.value), shown)
    if kind == "ip":
        return _address(node, shown)
    if kind in DATES and kind != "date_nanos":
        return _date(node, shown, clock)
    raise CannotError(f"a field of type {kind} is not compared here")


def _exact(node: Is | Range, shown: str) -> str:
    if isinstance(node, Range):
        return f"{shown} {_COMPARISONS[node.operator]} {text(str(node.value))}"
    if isinstance(node.value, Wildcard):
        if sum(map(len, node.value.pieces)) > MOST_PATTERN:
            raise CannotError(f"a pattern of more than {MOST_PATTERN} characters")
        return f"regexp_full_match({shown}, {pattern(node.value.pieces)})"
    return f"{shown} = {text(str(node.value))}"


def _number(node: Is | Range, kind: str) -> Decimal:
    number = parse_number(str(node.value))
    if number is None:
        raise CannotError("the field holds numbers only", could_match=False)
    least, most = LIMITS[kind]
    if not least <= number.exact <= most:
        raise CannotError("the number lies outside what the type holds", could_match=False)
    return number.exact


def _integer(node: Is | Range, shown: str, kind: str) -> str:
    """A fraction in a document is cut off, as an index does (`coerce`)."""
    asked = _number(node, kind)
    whole = (
        f"CASE WHEN regexp_full_match({shown}, '[+-]?[0-9]+') THEN TRY_CAST({shown} AS HUGEINT) "
        f"WHEN regexp_full_match({shown}, {NUMBER}) THEN TRY_CAST(trunc(TRY_CAST({shown} AS DOUBLE)) AS HUGEINT) END"
    )
    if isinstance(node, Is):
        return f"{whole} = {int(asked)}::HUGEINT" if asked == asked.to_integral_value() else "false"
    bound = asked.to_integral_value(ROUND_FLOOR if node.operator in ("gt", "lte") else ROUND_CEILING)
    return f"{whole} {_COMPARISONS[node.operator]} {int(bound)}::HUGEINT"


def _double(node: Is | Range, shown: str, kind: str) -> str:
    asked = float(_number(node, kind))
    sign = "=" if isinstance(node, Is) else _COMPARISONS[node.operator]
    name = "FLOAT" if kind == "float" else "DOUBLE"
    number = f"CASE WHEN regexp_full_match({shown}, {NUMBER}) THEN TRY_CAST({shown} AS {name}) END"
    return f"{number} {sign} '{asked!r}'::{name}"


def _boolean(asked: str, shown: str) -> str:
    if asked not in ("true", "false"):
        raise CannotError("the field holds true or false only", could_match=False)
    return f"{shown} = 'true'" if asked == "true" else f"{shown} IN ('false', '')"


def _address(node: Is | Range, shown: str) -> str:
    asked = str(node.value)
    if isinstance(node, Range):
        bound = parse_address(asked)
        if bound is None or "%" in asked:
            raise CannotError("the field holds IP addresses only", could_match=False)
        return f"{address(shown)} {_COMPARISONS[node.operator]} '{address_number(bound):032x}'"
    network = parse_network(asked)
    if network is None or "%" in asked:
        raise CannotError("the field holds IP addresses only", could_match=False)
    first, last = network_bounds(network)
    return f"{address(shown)} BETWEEN '{first:032x}' AND '{last:032x}'"


def _date(node: Is | Range, shown: str, clock: Clock) -> str:
    moment = milliseconds(shown)
    if isinstance(node, Range):
        bound = _instant(str(node.value), clock, round_up=node.operator in ("gt", "lte"))
        return f"{moment} {_COMPARISONS[node.operator]} {bound}"
    first, last = (_instant(str(node.value), clock, round_up=up) for up in (False, True))
    return f"{moment} BETWEEN {first} AND {last}"


def _instant(asked: str, clock: Clock, *, round_up: bool) -> int:
    bound = parse_bound(asked, clock, round_up=round_up, dates=True)
    if bound is None:
        raise CannotError("the field holds dates only", could_match=False)
    return bound() // 1_000_000


def _untyped(node: Is | Range, shown: str, value: str, clock: Clock) -> str:
    """By the value's own type, as an index maps what it does not know."""
    string, number = f"json_type({value}) = 'VARCHAR'", f"json_type({value}) IN ('BIGINT', 'UBIGINT', 'DOUBLE')"
    asked = str(node.value)
    if isinstance(node, Range) and parse_bound(asked, clock, round_up=False):
        raise CannotError("a date in a field of which the type is not known")
    tests = [f"({string} AND {_exact(node, shown)})"]
    if isinstance(node.value, Wildcard):
        return tests[0]
    if (parsed := parse_number(asked)) is not None and math.isfinite(parsed.double):
        sign = "=" if isinstance(node, Is) else _COMPARISONS[node.operator]
        tests.append(f"({number} AND TRY_CAST({shown} AS DOUBLE) {sign} '{parsed.double!r}'::DOUBLE)")
    if isinstance(node, Is) and asked in ("true", "false"):
        tests.append(f"(json_type({value}) = 'BOOLEAN' AND {shown} = '{asked}')")
    return f"({' OR '.join(tests)})"


def _check_encodable(asked: str) -> None:
    try:
        asked.encode()
    except UnicodeEncodeError:
        raise CannotError("half a surrogate pair is no text to duckdb", could_match=False) from None
