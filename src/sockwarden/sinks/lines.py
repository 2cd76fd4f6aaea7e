"""Alerts as lines of JSON: whole, in plain ECS, or as Tracee's findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from sockwarden.alerts import RISK_SCORES
from sockwarden.document import Document, encode, get

_AFTER_START = b"0}}}"
_END = b"}}}\n"
_AT_ONCE = 1 << 18
"""Bytes that are written at once; an alert is some 20 kB."""
_MOST_RULES = 256
"""Rules that are kept as JSON, some 10 kB each: an alert that a document's field names has one of its own."""


def whole(alert: Document) -> Document:
    """The document with `kibana.alert.*`, less the Tracee form that only its own output needs."""
    if get(alert, "sockwarden.alert.finding") is None:
        return alert
    ours = {**alert["sockwarden"], "alert": {**alert["sockwarden"]["alert"]}}
    del ours["alert"]["finding"]
    return {**alert, "sockwarden": ours}


def ecs(alert: Document) -> Document:
    """The alert in ECS's own fields: `event.kind: alert`, `rule.*`, `threat.*`; nothing of Kibana's. `@timestamp` is
    the event's: a run's alert has that of the run, and the event's beside it.
    """
    signal, rule = alert["kibana"]["alert"], alert["kibana"]["alert"]["rule"]
    document = {key: value for key, value in whole(alert).items() if key != "kibana"}
    if (original := signal.get("original_time")) is not None:
        document["@timestamp"] = original
    document["event"] = {
        **document["event"],
        "kind": "alert",
        "id": signal["uuid"],
        "severity": RISK_SCORES[signal["severity"]],
        "risk_score": signal["risk_score"],
        "reason": signal["reason"],
    }
    document["rule"] = {"id": rule["rule_id"], "name": rule["name"], "version": rule["version"]}
    document["threat"] = _threat(rule["threat"])
    return document


def _threat(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """ECS threat.*: parallel arrays, where Elastic's rules have a list of tactics with their techniques."""
    tactics = [entry["tactic"] for entry in entries]
    techniques = [technique for entry in entries for technique in entry.get("technique", ())]
    return {
        "framework": "MITRE ATT&CK",
        "tactic": {key: [tactic[key] for tactic in tactics] for key in ("id", "name")},
        "technique": {key: [technique[key] for technique in techniques] for key in ("id", "name")},
    }


def tracee(alert: Document) -> Document | None:
    """The finding in Tracee's form; None for a rule's alert, which has none."""
    finding = get(alert, "sockwarden.alert.finding")
    return finding if isinstance(finding, dict) else None


FORMS: dict[str, Callable[[Document], Document | None]] = {"ndjson": whole, "ecs": ecs, "tracee": tracee}


class Lines:
    """Alerts of one form as bytes. The rule, which is most of an alert and the same in all of its alerts, comes last,
    encoded once.
    """

    def __init__(self, form: str) -> None:
        self._form = FORMS[form]
        self._rules: dict[int, tuple[object, bytes]] = {}

    def line(self, alert: Document) -> bytes | None:
        """The alert and its newline; None for one that has no such form."""
        start = self.start(alert)
        return None if start is None else start + self.end(alert["kibana"]["alert"]["rule"])

    def start(self, alert: Document) -> bytes | None:
        """The line as far as the alert's rule says what is left of it: `end` has the rest."""
        shaped = self._form(alert)
        if shaped is None:
            return None
        if self._form is not whole:
            return encode(shaped)
        shaped = dict(shaped)
        kibana = dict(shaped.pop("kibana"))
        signal = dict(kibana.pop("alert"))
        del signal["rule"]
        shaped["kibana"] = {**kibana, "alert": {**signal, "rule": 0}}
        return encode(shaped)[: -len(_AFTER_START)]

    def end(self, rule: Document) -> bytes:
        """What follows the start, by the alert's rule: also in the forms that have it in the start already."""
        if self._form is not whole:
            return b"\n"
        known = self._rules.get(id(rule))
        if known is None:
            if len(self._rules) >= _MOST_RULES:
                self._rules.clear()
            # Its number is the rule's as long as the rule is held, and its alerts share it unchanged.
            known = self._rules[id(rule)] = (rule, encode(rule) + _END)
        return known[1]


class LineSink:
    """Writes one JSON object a line. left_out counts alerts that have no such form."""

    def __init__(self, form: str, file: BinaryIO) -> None:
        self.lines = Lines(form)
        self._file = file
        self._held: list[bytes] = []
        self._size = 0
        self.left_out = 0

    def add(self, alert: Document) -> None:
        """Writes one alert."""
        self.add_started(self.lines.start(alert), alert["kibana"]["alert"]["rule"])

    def add_started(self, start: bytes | None, rule: Document) -> None:
        """Writes one alert whose line was started elsewhere, or has no such form."""
        if start is None:
            self.left_out += 1
            return
        end = self.lines.end(rule)
        self._held += (start, end)
        self._size += len(start) + len(end)
        if self._size >= _AT_ONCE:
            self._write()

    def close(self) -> None:
        """Writes out what is held."""
        self._write()
        self._file.flush()

    def _write(self) -> None:
        held, self._held, self._size = self._held, [], 0
        self._file.write(b"".join(held))
