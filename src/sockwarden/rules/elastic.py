"""Elastic's detection rule format: which keys a file of type `query` may hold, and what each must be.

The names are those of Elastic's public rule repository (its TOML files) and of Kibana's detection rule API. A key
falls into one of three groups: used here; carried as data, since it cannot change which documents match or what an
alert says; refused, since an alert would come out other than the file asks for.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from sockwarden.rules.exceptions.form import EXTRA
from sockwarden.rules.schema import Array, Kind, Leaf, Refused, Table

OTHER_TYPES = ("eql", "esql", "machine_learning", "new_terms", "saved_query", "threat_match", "threshold")
"""Rule types that Kibana runs and sockwarden does not."""

DEFAULTS = {"from": "now-6m", "to": "now", "interval": "5m", "max_signals": 100, "version": 1}
"""What Kibana fills in where a rule is silent."""

_TEXT = Leaf(str, "a string")
_TEXTS = Array(_TEXT, "an array of strings")
_FLAG = Leaf(bool, "true or false")
_AMOUNT = Leaf(Annotated[int, Meta(ge=1, le=999_999_999)], "an integer from 1 to 999999999")
_COUNT = Leaf(Annotated[int, Meta(ge=1)], "an integer of at least 1")
_LINE = Leaf(Annotated[str, Meta(pattern=r"\A[^\S\r\n]*+\S[^\r\n]*+\Z")], "one line of text")
_PROSE = Leaf(Annotated[str, Meta(pattern=r"\S")], "a text that is not blank")
_DAY = Leaf(Annotated[str, Meta(pattern=r"\A[0-9]{4}[/-][0-9]{2}[/-][0-9]{2}\Z")], 'a day as "2026/11/22"')
_INTERVAL = Leaf(Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,8}[smhdw]\Z")], 'a time span as "5m"')
_MOMENT = Leaf(Annotated[str, Meta(pattern=r"\Anow(-[1-9][0-9]{0,8}[smhdw])?\Z")], 'a moment as "now-9m"')
_RULE_ID = Leaf(
    Annotated[str, Meta(pattern=r"\A[^\s\x00-\x1f\x7f]{1,256}\Z")],
    'an id as "01234567-89ab-4cde-8f01-23456789abcd"',
)
_FIELD = Leaf(Annotated[str, Meta(pattern=r"\A[^\s]+\Z")], "a field's name")
_FIELD_OR_NONE = Leaf(Annotated[str, Meta(pattern=r"\A[^\s]*\Z")], "a field's name")
_SEVERITY = Leaf(Literal["low", "medium", "high", "critical"], "low, medium, high or critical")
_RISK_SCORE = Leaf(Annotated[int, Meta(ge=0, le=100)], "an integer from 0 to 100")
_EQUALS = Leaf(Literal["equals"], "equals")
_ANY_TABLE = Leaf(dict[str, Any], "a table")
_ANY_TABLES = Array(_ANY_TABLE, "an array of tables")

_METADATA = Table(
    {
        "bypass_bbr_timing": _FLAG,
        "comments": _TEXT,
        "creation_date": _DAY,
        "deprecation_date": _DAY,
        "extended": _ANY_TABLE,
        "integration": Leaf(str | list[str], "a string or an array of strings"),
        "maturity": Leaf(
            Literal["beta", "deprecated", "development", "experimental", "production"],
            "beta, deprecated, development, experimental or production",
        ),
        "min_stack_comments": _TEXT,
        "min_stack_version": _TEXT,
        "os_type_list": _TEXTS,
        "promotion": _FLAG,
        "query_schema_validation": _FLAG,
        "related_endpoint_rules": Leaf(list[str | list[str]], "an array of strings, or of arrays of strings"),
        "updated_date": _DAY,
    }
)

# Filled into the guide when Elastic publishes a rule; they touch `note` alone.
_TRANSFORM = Table({"investigate": _ANY_TABLES, "osquery": _ANY_TABLES})

_ENTRY: dict[str, Kind] = {"id": _LINE, "name": _LINE, "reference": _LINE}
_ENTRY_KEYS = frozenset(_ENTRY)
_SUBTECHNIQUES = Array(Table(_ENTRY, _ENTRY_KEYS), "an array of tables")
_TECHNIQUES = Array(Table({**_ENTRY, "subtechnique": _SUBTECHNIQUES}, _ENTRY_KEYS), "an array of tables")
_THREATS = Array(
    Table(
        {"framework": _LINE, "tactic": Table(_ENTRY, _ENTRY_KEYS), "technique": _TECHNIQUES},
        frozenset({"framework", "tactic"}),
    ),
    "an array of tables",
)

_MAPPING: dict[str, Kind] = {"field": _FIELD, "operator": _EQUALS, "value": _TEXT}
_MAPPING_KEYS = frozenset(_MAPPING)
_SUPPRESSION = Table(
    {
        "group_by": Array(_FIELD, "an array of 1 to 3 fields", least=1, most=3),
        "duration": Table(
            {"value": _AMOUNT, "unit": Leaf(Literal["s", "m", "h"], "s, m or h")}, frozenset({"value", "unit"})
        ),
        "missing_fields_strategy": Leaf(Literal["suppress", "doNotSuppress"], "suppress or doNotSuppress"),
    },
    frozenset({"group_by"}),
)
_LIST_TYPE = Leaf(Literal["detection", "rule_default", "endpoint"], "detection, rule_default or endpoint")
_EXCEPTION_LIST = Table(
    {
        "id": _LINE,
        "list_id": _LINE,
        "namespace_type": Leaf(Literal["single", "agnostic"], "single or agnostic"),
        "type": _LIST_TYPE,
    },
    frozenset({"list_id"}),
)

_USED: dict[str, Kind] = {
    "alert_suppression": _SUPPRESSION,
    "author": _TEXTS,
    "building_block_type": Leaf(Literal["default"], "default"),
    "description": _PROSE,
    "enabled": _FLAG,
    "exceptions_list": Array(_EXCEPTION_LIST, "an array of tables"),
    "false_positives": _TEXTS,
    "from": _MOMENT,
    "index": Array(_LINE, "an array of at least one index pattern", least=1),
    "interval": _INTERVAL,
    "investigation_fields": Table({"field_names": Array(_FIELD, "an array of at least one field", least=1)}),
    "language": Leaf(Literal["kuery"], "kuery, the only language that is run here"),
    "license": _TEXT,
    "max_signals": _COUNT,
    "name": _LINE,
    "note": _TEXT,
    "query": Leaf(Annotated[str, Meta(pattern=r"\S")], "a KQL query"),
    "references": _TEXTS,
    "risk_score": _RISK_SCORE,
    "risk_score_mapping": Array(Table({**_MAPPING, "risk_score": _RISK_SCORE}, _MAPPING_KEYS), "an array of tables"),
    "rule_id": _RULE_ID,
    "rule_name_override": _FIELD_OR_NONE,
    "setup": _TEXT,
    "severity": _SEVERITY,
    "severity_mapping": Array(
        Table({**_MAPPING, "severity": _SEVERITY}, _MAPPING_KEYS | {"severity"}), "an array of tables"
    ),
    "tags": _TEXTS,
    "threat": _THREATS,
    "timestamp_override": _FIELD_OR_NONE,
    "timestamp_override_fallback_disabled": _FLAG,
    "to": _MOMENT,
    "type": Leaf(Literal["query"], "query"),
    "version": _COUNT,
}

_CARRIED: dict[str, Kind] = {
    "immutable": _FLAG,
    "meta": _ANY_TABLE,
    "namespace": _TEXT,
    "output_index": _TEXT,
    "related_integrations": _ANY_TABLES,
    "required_fields": _ANY_TABLES,
    "revision": Leaf(Annotated[int, Meta(ge=0)], "an integer of at least 0"),
    "rule_source": _ANY_TABLE,
    "throttle": _TEXT,
    "timeline_id": _TEXT,
    "timeline_title": _TEXT,
}

_REFUSED: dict[str, Kind] = {
    "actions": Refused("actions are not carried out here, so an alert would notify nobody"),
    "data_view_id": Refused("a data view cannot be resolved here; name its patterns in `index`"),
    "filters": Refused("filters are not applied here, so more documents would match; write them into `query`"),
    "response_actions": Refused("response actions are not carried out here"),
}

CARRIED = frozenset(_CARRIED)
"""Keys that are data: nothing here acts on them."""

_RULE = Table(
    {**_USED, **_CARRIED, **_REFUSED},
    frozenset({"description", "index", "language", "name", "query", "risk_score", "rule_id", "severity", "type"}),
)

FILE = Table({"extra": EXTRA, "metadata": _METADATA, "rule": _RULE, "transform": _TRANSFORM}, frozenset({"rule"}))
"""The whole file."""
