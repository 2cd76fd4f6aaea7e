"""Tags: those that a reader filters by, and whether they say what the rule says."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from sockwarden.kql import And, Is, Node, Or, Text
from sockwarden.rules.lint.attack import attack
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.lint.threat import tactic_hint
from sockwarden.rules.schema import shorten

CODES: dict[str, tuple[Severity, str]] = {
    "tag-missing": ("warning", "No tag of a kind that every rule has: OS, Domain, Use Case."),
    "tag-tactic-missing": ("warning", "A tactic of `threat` has no tag."),
    "tag-tactic-unfounded": ("warning", "A tag names a tactic that `threat` does not."),
    "tag-os": ("warning", "The query asks for an operating system that no tag names."),
    "tag-guide": ("warning", "The tag of the investigation guide and `note` do not go together."),
    "tag-duplicate": ("warning", "A tag stands twice."),
    "tag-form": ("warning", "A tag that looks like one of a known kind, misspelt."),
}

REQUIRED = ("OS", "Domain", "Use Case")
_KINDS = (*REQUIRED, "Data Source", "Tactic", "Resources", "Rule Type", "Threat", "Language", "Platform")
_GUIDE = "Resources: Investigation Guide"
_SYSTEMS = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}


def check(file: RuleFile) -> Iterator[Found]:
    """Each tag by itself, then what is missing."""
    tags = file.rule.tags
    seen: set[str] = set()
    for index, tag in enumerate(tags):
        if tag.casefold() in seen:
            place = file.at("rule", "tags", index)
            yield Found("tag-duplicate", place, f"the tag `{shorten(tag)}` stands twice", "Leave one out.")
        seen.add(tag.casefold())
        yield from _form(file, tag, index)
    place = file.at("rule", "tags")
    for kind in REQUIRED:
        if not any(tag.startswith(f"{kind}: ") for tag in tags):
            yield Found("tag-missing", place, f"no tag of the kind `{kind}: …`", f'Add one, e.g. "{_example(kind)}".')
    yield from _tactics(file)
    for system in dict.fromkeys(_systems(file.rule.tree)):
        if system in _SYSTEMS and f"OS: {_SYSTEMS[system]}" not in tags:
            todo = f'Add "OS: {_SYSTEMS[system]}".'
            yield Found("tag-os", place, f"the query asks for {_SYSTEMS[system]}, and no tag does", todo)
    yield from _guide(file, place)


def _form(file: RuleFile, tag: str, index: int) -> Iterator[Found]:
    kind, colon, value = tag.partition(":")
    if kind in _KINDS and value.startswith(" ") and value == f" {value.strip()}" and value.strip():
        return
    near = get_close_matches(kind.strip()[:40].title(), _KINDS, 1, 0.8) or (
        ["OS"] if kind.strip().upper() == "OS" else []
    )
    if near and colon:
        todo = f'Write "{near[0]}: {shorten(value.strip()) or "…"}".'
        message = f"the tag `{shorten(tag)}` is not of the form `{near[0]}: …`"
        yield Found("tag-form", file.at("rule", "tags", index), message, todo)


def _tactics(file: RuleFile) -> Iterator[Found]:
    named = {threat.tactic.name for threat in file.rule.threat if threat.framework == "MITRE ATT&CK"}
    for index, threat in enumerate(file.rule.threat):
        name = threat.tactic.name
        if name in attack().tactics.values() and f"Tactic: {name}" not in file.rule.tags:
            place = file.at("rule", "threat", index, "tactic", "name")
            yield Found(
                "tag-tactic-missing", place, f"no tag for the tactic {name}", f'Add "Tactic: {name}" to `tags`.'
            )
    for index, tag in enumerate(file.rule.tags):
        name = tag.removeprefix("Tactic: ")
        if name != tag and name not in named:
            hint = tactic_hint(name) if name not in attack().tactics.values() else ""
            message = f"the tag `{shorten(tag)}` names a tactic that is not in `threat`{hint}"
            todo = "Add the tactic to `threat`, or leave the tag out."
            yield Found("tag-tactic-unfounded", file.at("rule", "tags", index), message, todo)


def _systems(node: Node) -> Iterator[str]:
    """What any match has in host.os.type: one of these, where the query says so."""
    match node:
        case Is(Text("host.os.type"), Text(value)):
            yield value
        case And(children):
            for child in children:
                yield from _systems(child)
        case Or(children):
            each = [list(_systems(child)) for child in children]
            if all(each):
                yield from (system for systems in each for system in systems)


def _guide(file: RuleFile, place: int) -> Iterator[Found]:
    if file.rule.note.strip() and _GUIDE not in file.rule.tags:
        yield Found("tag-guide", place, "the rule has a guide in `note`, and no tag says so", f'Add "{_GUIDE}".')
    if _GUIDE in file.rule.tags and not file.rule.note.strip():
        index = file.rule.tags.index(_GUIDE)
        message = "the tag speaks of a guide, and `note` has none"
        yield Found("tag-guide", file.at("rule", "tags", index), message, "Write `note`, or leave the tag out.")


def _example(kind: str) -> str:
    return {"OS": "OS: Linux", "Domain": "Domain: Endpoint"}.get(kind, "Use Case: Threat Detection")
