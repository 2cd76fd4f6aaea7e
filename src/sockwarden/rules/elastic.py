"""Elastic's detection rule format: which keys a file of type `query` may hold, and what each must be.

The names are those of Elastic's public rule repository (its TOML files) and of Kibana's detection rule API. A key
falls into one of three groups: used here; carried as data, since it cannot change which documents match or what an
alert says; refused, since an alert would come out other than the file asks for.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from sockwarden.rules.schema import Array, Kind, Leaf, Refused, Table

OTHER_TYPES = ("eql", "esql", "machine_learning", "new_terms", "saved_query", "threat_match", "threshold")
"""Rule types that Kibana runs and sockwarden does not."""

DEFAULTS = {"from": "now-6m", "to": "now", "interval": "5m", "max_signals": 100, "version": 1}
"""What Kibana fills in where a rule is silent."""

_TEXT = Leaf(str, "a string")
_TEXTS = Array(_TEXT, "an array of strings")
_FLAG = Leaf(bool, "true or false")
_COUNT = Leaf(Annotated[int, Meta(ge=1)], "an integer of at least 1")
_LINE = Leaf(Annotated[str, Meta(pattern=r"\A[^\S\r\n]*+\S[^\r\n]*+\Z")], "one line of text")
_PROSE = Leaf(Annotated[str, Meta(pattern=r"\S")], "a text that is not blank")
_DAY = Leaf(Annotated[str, Meta(pattern=r"\A[0-9]{4}[/-][0-9]{2}[/-][0-9]{2}\Z")], 'a day as "2026/11/22"')
_INTERVAL = Leaf(Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,8}[smhdw]\Z")], 'a time span as "5m"')
_MOMENT = Leaf(Annotated[str, Meta(pattern=r"\Anow(-[1-9][0-9]{0,8}[smhdw])?\Z")], 'a moment as "now-9m"')
_UUID = Leaf(
    Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")],
    'a UUID as "01234567-89ab-4cde-8f01-23456789abcd"',
)
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

_USED: dict[str, Kind] = {
    "author": _TEXTS,
    "description": _PROSE,
    "false_positives": _TEXTS,
    "from": _MOMENT,
    "index": Array(_LINE, "an array of at least one index pattern", least=1),
    "interval": _INTERVAL,
    "language": Leaf(Literal["kuery"], "kuery, the only language that is run here"),
    "license": _TEXT,
    "max_signals": _COUNT,
    "name": _LINE,
    "note": _TEXT,
    "query": Leaf(Annotated[str, Meta(pattern=r"\S")], "a KQL query"),
    "references": _TEXTS,
    "risk_score": Leaf(Annotated[int, Meta(ge=0, le=100)], "an integer from 0 to 100"),
    "rule_id": _UUID,
    "setup": _TEXT,
    "severity": Leaf(Literal["low", "medium", "high", "critical"], "low, medium, high or critical"),
    "tags": _TEXTS,
    "threat": _THREATS,
    "type": Leaf(Literal["query"], "query"),
    "version": _COUNT,
}

_CARRIED: dict[str, Kind] = {
    "building_block_type": Leaf(Literal["default"], "default"),
    "immutable": _FLAG,
    "investigation_fields": Table({"field_names": _TEXTS}),
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
    # Moves the window of a scheduled search, not what matches in it.
    "timestamp_override": _TEXT,
    "timestamp_override_fallback_disabled": _FLAG,
    "to": _MOMENT,
}

_REFUSED: dict[str, Kind] = {
    "actions": Refused("actions are not carried out here, so an alert would notify nobody"),
    "alert_suppression": Refused("suppression is not applied here, so more alerts would come out"),
    "data_view_id": Refused("a data view cannot be resolved here; name its patterns in `index`"),
    "enabled": Refused("a rule that is given is run; to disable it, leave the file out", accepted=(True,)),
    "exceptions_list": Refused("exceptions are not applied here, so alerts that Kibana holds back would come out"),
    "filters": Refused("filters are not applied here, so more documents would match; write them into `query`"),
    "response_actions": Refused("response actions are not carried out here"),
    "risk_score_mapping": Refused("the alert's risk score is not taken from a field here"),
    "rule_name_override": Refused("the alert's name is not taken from a field here"),
    "severity_mapping": Refused("the alert's severity is not taken from a field here"),
}

_RULE = Table(
    {**_USED, **_CARRIED, **_REFUSED},
    frozenset({"description", "index", "language", "name", "query", "risk_score", "rule_id", "severity", "type"}),
)

FILE = Table({"metadata": _METADATA, "rule": _RULE, "transform": _TRANSFORM}, frozenset({"rule"}))
"""The whole file."""
