"""`sockwarden rules show`."""

from __future__ import annotations

import click
import msgspec
from rich.text import Text

from sockwarden.cli.detections import find
from sockwarden.cli.output import console, write_line
from sockwarden.detect import RuleDetection, SignatureDetection
from sockwarden.rules import Rule
from sockwarden.sinks import escape


@click.command()
@click.argument("selector")
@click.option("--json", "as_json", is_flag=True, help="The parameters as one JSON object.")
def show(selector: str, as_json: bool) -> None:
    """One rule or signature: by file stem, id, name, or a rule file's path."""
    for one in find(selector):
        detection = RuleDetection(one) if isinstance(one, Rule) else SignatureDetection(one)
        detector = detection.detector
        if as_json:
            write_line(msgspec.json.encode({**detector.parameters, "name": detector.name, "rule_id": detector.rule_id}))
            continue
        out = console()
        out.print(Text(escape(detector.name), style="bold"))
        for label, value in _facts(one, detection):
            out.print(Text(f"{label:<12}", style="dim").append(escape(value)))
        for heading, text in _texts(one, detection):
            out.print()
            out.print(Text(heading, style="bold"))
            for line in text.strip().split("\n"):
                out.print(Text(escape(line)), soft_wrap=heading == "Query")


def _facts(one: object, detection: RuleDetection | SignatureDetection) -> list[tuple[str, str]]:
    detector = detection.detector
    techniques = [technique for entry in detector.threat for technique in entry.get("technique", ())]
    facts = [
        ("id", detector.rule_id),
        ("version", detector.version),
        ("severity", f"{detector.severity}, risk score {detector.risk_score}"),
        ("ATT&CK", " · ".join(f"{technique['name']} {technique['id']}" for technique in techniques)),
    ]
    if isinstance(one, Rule):
        facts += [
            ("schedule", f"every {one.interval} from {one.from_}, at most {one.max_signals} alerts a run"),
            ("indices", ", ".join(one.index)),
            ("tags", " · ".join(one.tags)),
            ("references", ", ".join(one.references)),
        ]
    return facts


def _texts(one: object, detection: RuleDetection | SignatureDetection) -> list[tuple[str, str]]:
    if not isinstance(one, Rule):
        return [("Description", str(detection.detector.parameters.get("description", "")))]
    texts = [
        ("Description", one.description),
        ("Query", one.query),
        ("False positives", "\n".join(f"- {line}" for line in one.false_positives)),
        ("Investigation guide", one.note),
        ("Set-up", one.setup),
    ]
    return [(heading, text) for heading, text in texts if text]
