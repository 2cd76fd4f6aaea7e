"""`sockwarden rules list`."""

from __future__ import annotations

import click
import msgspec
from rich.table import Column, Table

from sockwarden.cli.detections import chosen
from sockwarden.cli.output import console, write_line
from sockwarden.detect import RuleDetection


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """What comes with sockwarden."""
    table = Table(Column("selector", no_wrap=True), "severity", "name", box=None, header_style="dim")
    for detection in chosen(()):
        detector = detection.detector
        selector = detection.rule.stem if isinstance(detection, RuleDetection) else detector.rule_id
        kind = "rule" if isinstance(detection, RuleDetection) else "signature"
        if as_json:
            row = {"selector": selector, "kind": kind, "rule_id": detector.rule_id, "name": detector.name}
            write_line(msgspec.json.encode(row | {"severity": detector.severity, "risk_score": detector.risk_score}))
        else:
            table.add_row(selector, f"{detector.severity} {detector.risk_score}", detector.name)
    if not as_json:
        console().print(table)
