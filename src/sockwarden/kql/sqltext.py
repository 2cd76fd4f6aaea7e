"""Pieces of duckdb SQL: texts, names and patterns of others, escaped; values of a field out of JSON."""

from __future__ import annotations

import re

MOST_PATTERN = 10_000
"""Characters of a pattern; RE2 refuses programs of more than some megabytes."""

_PUNCTUATION = re.compile(r"[!-/:-@\[-^`{-~]")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def text(value: str) -> str:
    """A text literal. A NUL ends the statement for some of duckdb's parsers, so it is joined in as a character."""
    if "\0" not in value:
        return "'" + value.replace("'", "''") + "'"
    return "(" + " || chr(0) || ".join(text(part) for part in value.split("\0")) + ")"


def pattern(pieces: tuple[str, ...]) -> str:
    """A regular expression in RE2's syntax, as a literal, for `regexp_full_match`: the pieces with anything between."""
    return text("(?s)" + ".*".join(map(_literally, pieces)))


def _literally(piece: str) -> str:
    escaped = _PUNCTUATION.sub(r"\\\g<0>", piece)
    return _CONTROL.sub(lambda match: f"\\x{{{ord(match[0]):02x}}}" if match[0] != " " else " ", escaped)


def step(name: str) -> str:
    """A JSON path to one key of an object, as a literal."""
    return text('$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"')


def values(document: str, parts: list[str], level: int = 0) -> str:
    """A list of the JSON values of a field; an array on the way, or at the end, gives its elements. NULLs may be in."""
    found = f"[{document}]"
    for number, part in enumerate(parts):
        outer, inner = f"o{level}_{number}", f"i{level}_{number}"
        found = (
            f"flatten([CASE WHEN json_type({inner}) = 'ARRAY' THEN json_extract({inner}, '$[*]') ELSE [{inner}] END "
            f"FOR {inner} IN [json_extract({outer}, {step(part)}) FOR {outer} IN {found}]])"
        )
    return found


def any_of(listed: str, variable: str, test: str) -> str:
    """Whether the test holds for an element; never NULL."""
    return f"coalesce(len([{variable} FOR {variable} IN {listed} IF coalesce({test}, false)]) > 0, false)"


NUMBER = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?'"


def address(value: str) -> str:
    """An IP address as 32 hexadecimal digits, whose order is the addresses'; an IPv4 address as mapped into IPv6
    (RFC 4291, 2.5.5.2). NULL for any other text. duckdb has no type for it without an extension.
    """
    octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    dotted = rf"{octet}(\.{octet}){{3}}"
    octets = "[printf('%02x', TRY_CAST(n AS INTEGER)) FOR n IN string_split({}, '.')]"
    tail = octets.format(f"regexp_extract({value}, '[0-9.]+$')")
    groups = "[lpad(g, 4, '0') FOR g IN string_split(split_part(a, '::', {}), ':') IF g <> '']"
    run = "[0-9a-f]{1,4}(:[0-9a-f]{1,4})*"
    return (
        f"CASE WHEN regexp_full_match({value}, '{dotted}') "
        f"THEN repeat('0', 20) || 'ffff' || array_to_string({octets.format(value)}, '') "
        f"WHEN contains({value}, ':') THEN [CASE "
        f"WHEN regexp_full_match(a, '({run})?::({run})?') AND len({groups.format(1)}) + len({groups.format(2)}) < 8 "
        f"THEN array_to_string({groups.format(1)}, '') || "
        f"repeat('0000', 8 - len({groups.format(1)}) - len({groups.format(2)})) || "
        f"array_to_string({groups.format(2)}, '') "
        f"WHEN regexp_full_match(a, '{run}') AND len({groups.format(1)}) = 8 "
        f"THEN array_to_string({groups.format(1)}, '') END FOR a IN [lower("
        f"CASE WHEN regexp_full_match({value}, '[0-9a-fA-F:]*:{dotted}') "
        f"THEN regexp_replace({value}, '[0-9.]+$', '') || {tail}[1] || {tail}[2] || ':' || {tail}[3] || {tail}[4] "
        f"ELSE {value} END)]][1] END"
    )


def milliseconds(value: str) -> str:
    """A document's date, as text, in milliseconds since 1970 UTC, as an index keeps it; NULL for what is none."""
    time = "([01][0-9]|2[0-3])(:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
    iso = f"[0-9]{{4}}(-[0-9]{{2}}(-[0-9]{{2}}(T({time})?)?)?)?"
    steps = (  # to seconds and a zone, with at most three digits after a point, which duckdb does not round
        ("^([0-9]{4})$", r"\1-01"),
        ("^([0-9]{4}-[0-9]{2})$", r"\1-01"),
        ("^([0-9-]{10})T?$", r"\1T00:00:00"),
        ("T([0-9]{2})(Z|[+-]|$)", r"T\1:00\2"),
        ("T([0-9]{2}:[0-9]{2})(Z|[+-]|$)", r"T\1:00\2"),
        ("[.,]([0-9]{1,3})[0-9]*", r".\1"),
        ("(T[^Z+-]*)$", r"\1Z"),
    )
    whole = value
    for found, given in steps:
        whole = f"regexp_replace({whole}, '{found}', '{given}')"
    return (
        f"CASE WHEN regexp_full_match({value}, '{iso}') THEN epoch_us(TRY_CAST({whole} AS TIMESTAMPTZ)) // 1000 "
        f"WHEN regexp_full_match({value}, '-?[0-9]{{1,16}}([.][0-9]{{1,6}})?') "
        f"THEN TRY_CAST(floor(TRY_CAST({value} AS DECIMAL(22, 6))) AS BIGINT) END"
    )
