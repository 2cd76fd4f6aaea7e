"""Messages as Slack and Teams take them. What an alert quotes was written by others: it can neither mark text up, nor
link, nor call anybody.
"""

from __future__ import annotations

from typing import Any

from sockwarden.sinks.escape import shorten
from sockwarden.sinks.told import Told

_SIGNS = {"low": "🔵", "medium": "🟡", "high": "🔴", "critical": "🚨"}
_COLOURS = {"low": "Accent", "medium": "Warning", "high": "Attention", "critical": "Attention"}
_MOST_HEADER = 150
_MOST_FIELDS = 10
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\\x60"})


def slack(told: Told) -> dict[str, Any]:
    """For an incoming webhook: blocks (header of 150 characters, sections of 10 fields, text of 3,000 each), and the
    text that a notification shows. `<!channel>` is a call only with its angle brackets, which become entities; values
    stand in code spans, which a backtick would end.
    """
    sign = _SIGNS.get(told.severity, "")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": shorten(f"{sign} {told.title}", _MOST_HEADER)}},
    ]
    if told.text:
        blocks.append({"type": "section", "text": _marked(told.text.translate(_ENTITIES))})
    fields = [_marked(f"*{label}*\n`{value.translate(_ENTITIES)}`") for label, value in told.facts]
    blocks += [
        {"type": "section", "fields": fields[start : start + _MOST_FIELDS]}
        for start in range(0, len(fields), _MOST_FIELDS)
    ]
    blocks.append({"type": "context", "elements": [_marked(f"`{told.foot.translate(_ENTITIES)}`")]})
    return {"text": f"{sign} {told.title}: {told.text}".translate(_ENTITIES), "blocks": blocks}


def teams(told: Told) -> dict[str, Any]:
    """For a Teams workflow ("post to a channel when a webhook request is received"): an Adaptive Card 1.4. Everything
    is a text run, which knows no markdown, and no mention without an entity of its own.
    """
    colour = _COLOURS.get(told.severity, "Default")
    body = [
        _runs(_run(told.title, size="Large", weight="Bolder", color=colour)),
        _runs(_run(told.text)) if told.text else None,
        *(_runs(_run(f"{label}  ", weight="Bolder"), _run(value, fontType="Monospace")) for label, value in told.facts),
        _runs(_run(told.foot, fontType="Monospace", isSubtle=True)),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [block for block in body if block],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _marked(text: str) -> dict[str, Any]:
    """verbatim: no address, no name of a channel or person becomes a link by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _runs(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
