"""A rule file becomes a rule, with nothing guessed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sockwarden.rules import Subtechnique, Tactic, Technique, Threat, load_rule, parse_rule

MINIMAL = """
[rule]
description = "A description."
name = "A name"
rule_id = "00000000-0000-4000-8000-000000000001"
type = "query"
language = "kuery"
index = ["logs-*"]
severity = "low"
risk_score = 21
query = 'event.action:"connected-to"'
"""

FULL = (
    """
[metadata]
bypass_bbr_timing = true
comments = "x"
creation_date = "2026/11/22"
deprecation_date = "2026/11/22"
updated_date = "2026/11/22"
integration = "auditd_manager"
maturity = "production"
min_stack_version = "8.3.0"
min_stack_comments = "x"
os_type_list = ["linux"]
query_schema_validation = false
related_endpoint_rules = [["a", "b"]]
promotion = false

[metadata.extended]
anything = [1, { b = 2 }]

[transform]
[[transform.osquery]]
label = "Users"
query = "users"
"""
    + MINIMAL
    + """
author = ["Someone"]
building_block_type = "default"
enabled = true
exceptions_list = []
false_positives = ["Backups."]
from = "now-9m"
to = "now"
interval = "10m"
license = "MIT"
max_signals = 20
note = "Look."
references = ["https://example.org/"]
related_integrations = [{ package = "auditd_manager", version = "^1.0.0" }]
required_fields = [{ ecs = true, name = "event.action", type = "keyword" }]
rule_name_override = ""
setup = "Turn it on."
tags = ["OS: Linux"]
timestamp_override = "event.ingested"
version = 7

[rule.meta]
from = "1m"

[[rule.threat]]
framework = "MITRE ATT&CK"

[[rule.threat.technique]]
id = "T1550"
name = "Use Alternate Authentication Material"
reference = "https://attack.mitre.org/techniques/T1550/"

[[rule.threat.technique.subtechnique]]
id = "T1550.001"
name = "Application Access Token"
reference = "https://attack.mitre.org/techniques/T1550/001/"

[rule.threat.tactic]
id = "TA0008"
name = "Lateral Movement"
reference = "https://attack.mitre.org/tactics/TA0008/"
"""
)


def test_kibanas_defaults_are_filled_in() -> None:
    rule = parse_rule(MINIMAL, "folder/some-rule.toml")
    assert (rule.stem, rule.version, rule.from_, rule.interval, rule.max_signals) == (
        "some-rule",
        1,
        "now-6m",
        "5m",
        100,
    )
    assert (rule.note, rule.setup, rule.license) == ("", "", "")
    assert (rule.tags, rule.threat, rule.author, rule.false_positives, rule.references) == ((), (), (), (), ())


def test_every_key_that_the_format_knows_is_taken() -> None:
    rule = parse_rule(FULL, "full.toml")
    assert (rule.version, rule.from_, rule.interval, rule.max_signals) == (7, "now-9m", "10m", 20)
    assert (rule.author, rule.license, rule.tags) == (("Someone",), "MIT", ("OS: Linux",))
    assert (rule.note, rule.setup) == ("Look.", "Turn it on.")
    token = Subtechnique("T1550.001", "Application Access Token", "https://attack.mitre.org/techniques/T1550/001/")
    assert rule.threat == (
        Threat(
            "MITRE ATT&CK",
            Tactic("TA0008", "Lateral Movement", "https://attack.mitre.org/tactics/TA0008/"),
            (
                Technique(
                    "T1550",
                    "Use Alternate Authentication Material",
                    "https://attack.mitre.org/techniques/T1550/",
                    (token,),
                ),
            ),
        ),
    )


def test_the_query_judges_documents() -> None:
    rule = parse_rule(MINIMAL, "x.toml")
    assert rule.matches({"event": {"action": "connected-to"}})
    assert not rule.matches({"event": {"action": "opened-file"}})
    assert rule.required_literals == (frozenset({("event.action", "connected-to")}),)


def test_parameters_are_the_files_own_without_what_kibana_keeps_beside() -> None:
    parameters = parse_rule(FULL, "x.toml").parameters()
    assert not {"name", "tags", "interval", "enabled"} & parameters.keys()
    assert parameters["from"] == "now-9m"
    assert parameters["risk_score"] == 21
    assert parameters["threat"][0]["technique"][0]["id"] == "T1550"
    assert parameters["timestamp_override"] == "event.ingested"
    assert parse_rule(MINIMAL, "x.toml").parameters().items() >= {"to": "now", "max_signals": 100}.items()
    msgspec.json.encode(parameters)


def test_parameters_are_the_callers_to_change() -> None:
    rule = parse_rule(FULL, "x.toml")
    rule.parameters()["threat"].clear()
    assert rule.parameters()["threat"]


def test_windows_line_ends_are_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(FULL.replace("\n", "\r\n").encode())
    assert load_rule(path).name == "A name"


@pytest.mark.parametrize("moment", ["now", "now-30s", "now-9m", "now-1d", "now-2w"])
def test_moments(moment: str) -> None:
    assert parse_rule(f'{MINIMAL}from = "{moment}"\n', "x.toml").from_ == moment


def test_rules_are_told_apart_by_identity() -> None:
    one, other = parse_rule(MINIMAL, "x.toml"), parse_rule(MINIMAL, "x.toml")
    assert one != other
    assert len({one, other}) == 2
