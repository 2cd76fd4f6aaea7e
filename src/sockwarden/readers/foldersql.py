"""The SQL by which a folder's files are read and searched."""

from __future__ import annotations

from sockwarden.kql.sql import irregular
from sockwarden.kql.sqltext import milliseconds, text, values
from sockwarden.rules import Rule

PARQUET = ".parquet"
_LINES = (".ndjson", ".jsonl", ".json")
KINDS = (*_LINES, PARQUET)
_COMPRESSIONS = {"": "none", ".gz": "gzip", ".zst": "zstd"}  # duckdb takes a `?` in a name for the end of it

_MOST_LINE_BYTES = 64 << 20
_GLOB = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]", "]": "[]]"})
_DATE_AND_TIME = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)(?:\+00)?"'
_ISO = r'"\1T\2Z"'


def is_documents(file: str) -> bool:
    """Whether it is a file of documents, by its name."""
    return file.endswith(PARQUET) or any(_is_packed(file, suffix) for suffix in _COMPRESSIONS)


def _is_packed(file: str, suffix: str) -> bool:
    return file.endswith(tuple(kind + suffix for kind in _LINES))


def documents(files: list[str], columns: dict[str, str]) -> str:
    """Rows of (line, packed): JSON text, NULL for a line that is none, and whether it comes from Parquet.

    columns: the types of each Parquet file's columns, as one text
    """
    parts = []
    for suffix, compression in _COMPRESSIONS.items():
        if lines := [_path(file) for file in files if _is_packed(file, suffix)]:
            options = f"compression = '{compression}', ignore_errors = true, maximum_object_size = {_MOST_LINE_BYTES}"
            read = f"read_ndjson_objects([{', '.join(lines)}], {options})"
            parts.append(f"SELECT json::VARCHAR AS line, false AS packed FROM {read}")  # noqa: S608 - texts of others are escaped here
    for file in files:
        if file.endswith(PARQUET):
            line = "to_json(p)::VARCHAR"
            if "TIMESTAMP" in columns[file]:  # duckdb writes a space where an index wants a T
                line = f"regexp_replace({line}, {text(_DATE_AND_TIME)}, {text(_ISO)}, 'g')"
            parts.append(f"SELECT {line} AS line, true AS packed FROM read_parquet({_path(file)}) p")  # noqa: S608 - as above
    return " UNION ALL ".join(parts)


def describe(file: str) -> str:
    """Rows of a Parquet file's columns: name, type and more."""
    return f"DESCRIBE SELECT * FROM read_parquet({_path(file)})"  # noqa: S608 - as above


def read_through(rows: str) -> str:
    """Fails where the files cannot be read to their ends."""
    return f"SELECT count(line) FROM ({rows})"  # noqa: S608 - as above


def search(rows: str, rule: Rule, condition: str) -> str:
    """Rows of (line, packed, odd, time) that may match: odd ones first, then the others by time, which do match.

    odd: what SQL cannot judge, or finds no date in; the rule has to. $start and $end are the window in milliseconds.
    """
    hit = "CASE WHEN json_type(line::JSON, '$._source') = 'OBJECT' THEN line::JSON -> '$._source' ELSE line::JSON END"
    many = "coalesce(json_type(line::JSON, '$.hits.hits') = 'ARRAY', false)"
    none = "json_type(line::JSON) <> 'OBJECT'"
    odd = f"CASE WHEN line IS NULL OR {irregular('line')} THEN true ELSE {many} OR {none} END"
    return (
        f"WITH rows_ AS ({rows}), told AS (SELECT *, {odd} AS odd FROM rows_), "  # noqa: S608 - as above
        f"hits AS (SELECT *, CASE WHEN odd THEN NULL ELSE {hit} END AS document FROM told), "
        f"dated AS (SELECT *, CASE WHEN odd THEN NULL ELSE {_time(rule)} END AS time FROM hits) "
        "SELECT line, packed, odd OR time IS NULL AS unjudged, time FROM dated "
        f"WHERE odd OR ((time IS NULL OR time BETWEEN $start AND $end) AND {condition}) "
        "ORDER BY unjudged DESC, time"
    )


def _time(rule: Rule) -> str:
    """Milliseconds, as rules.moments.time_of tells them."""
    fields = [rule.timestamp_override] if rule.timestamp_override else []
    if not (fields and rule.timestamp_override_fallback_disabled):
        fields.append("@timestamp")
    shown = milliseconds("(d ->> '$')")
    moments = [f"list_min([{shown} FOR d IN {values('document', field.split('.'))}])" for field in fields]
    return f"coalesce({', '.join(moments)})"


def _path(file: str) -> str:
    return text(file.translate(_GLOB))
