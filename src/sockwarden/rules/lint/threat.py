"""What a rule says of ATT&CK, held against ATT&CK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sockwarden.rules.lint.attack import SITE, attack, reference
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.schema import nearest, shorten
from sockwarden.toml_positions import KeyPath

CODES: dict[str, tuple[Severity, str]] = {
    "attack-missing": ("warning", "A rule without `threat` tells nobody what a match means."),
    "attack-framework": ("warning", "Only MITRE ATT&CK can be checked: the entry's ids and names were not."),
    "attack-id": ("error", "ATT&CK has no tactic, technique or sub-technique of that id."),
    "attack-name": ("error", "The name is not that of the id."),
    "attack-tactic": ("error", "The technique is not one of the tactic that it stands under."),
    "attack-subtechnique": ("error", "The sub-technique is not one of the technique that it stands under."),
    "attack-reference": ("error", "The reference is not the page of the id."),
    "attack-duplicate": ("warning", "A tactic or technique is named twice."),
}

_THREAT = ("rule", "threat")


def check(file: RuleFile) -> Iterator[Found]:
    """Every entry of `threat`."""
    threats = file.table.get("threat", [])
    if not threats and not file.rule.building_block and "building_block_type" not in file.table:
        yield Found(
            "attack-missing",
            file.at("rule"),
            "no `threat`: what a match means is not told",
            "Name the tactic and the technique that a match shows.",
        )
    seen: set[str] = set()
    for index, threat in enumerate(threats):
        path: KeyPath = (*_THREAT, index)
        if threat["framework"] != "MITRE ATT&CK":
            yield Found(
                "attack-framework",
                file.at(*path, "framework"),
                f"framework `{shorten(threat['framework'])}` is not known here, so its entries were not checked",
                "Write `MITRE ATT&CK` where that is meant.",
            )
            continue
        tactic = threat["tactic"]
        yield from _entry(file, tactic, "tactic", (*path, "tactic"))
        if tactic["id"] in seen:
            yield _twice(file, tactic["id"], (*path, "tactic", "id"))
        seen.add(tactic["id"])
        yield from _techniques(file, threat, path)


def _techniques(file: RuleFile, threat: dict[str, Any], path: KeyPath) -> Iterator[Found]:
    tactic = threat["tactic"]["id"]
    seen: set[str] = set()
    for index, technique in enumerate(threat.get("technique", ())):
        here: KeyPath = (*path, "technique", index)
        yield from _entry(file, technique, "technique", here)
        known = attack().techniques.get(technique["id"])
        if known and tactic in attack().tactics and tactic not in known[1]:
            right = " or ".join(f"{attack().tactics[one]} ({one})" for one in known[1])
            yield Found(
                "attack-tactic",
                file.at(*here, "id"),
                f"{technique['id']} {known[0]} is not a technique of {attack().tactics[tactic]} ({tactic})",
                f"It belongs to {right}.",
            )
        for position, sub in enumerate(technique.get("subtechnique", ())):
            below: KeyPath = (*here, "subtechnique", position)
            yield from _entry(file, sub, "sub-technique", below)
            if sub["id"] in attack().techniques and sub["id"].rpartition(".")[0] != technique["id"]:
                yield Found(
                    "attack-subtechnique",
                    file.at(*below, "id"),
                    f"{sub['id']} is not a sub-technique of {shorten(technique['id'])}",
                    f"Put it under {sub['id'].rpartition('.')[0]}.",
                )
        for identifier, place in [
            (technique["id"], here),
            *((sub["id"], (*here, "subtechnique", n)) for n, sub in enumerate(technique.get("subtechnique", ()))),
        ]:
            if identifier in seen:
                yield _twice(file, identifier, (*place, "id"))
            seen.add(identifier)


def _entry(file: RuleFile, entry: dict[str, Any], kind: str, path: KeyPath) -> Iterator[Found]:
    """The id, its name and its reference, of one entry."""
    identifier, name = entry["id"], entry["name"]
    known = attack().name(identifier)
    if known is None or _kind(identifier) != kind:
        right = [one for one in attack().ids(name) if _kind(one) == kind]
        todo = f"The {kind} of that name is {right[0]}." if right else f"See {SITE}/."
        found = f"no {kind} has the id `{shorten(identifier)}` in ATT&CK {attack().version}"
        yield Found("attack-id", file.at(*path, "id"), found, todo)
        return
    if name != known:
        todo = f'Write "{known}".'
        if right := [one for one in attack().ids(name) if _kind(one) == kind]:
            todo = f'Write "{known}", or the id {right[0]}, which has that name.'
        yield Found("attack-name", file.at(*path, "name"), f"{identifier} is not named `{shorten(name)}`", todo)
    if entry["reference"] != reference(identifier):
        yield Found(
            "attack-reference",
            file.at(*path, "reference"),
            f"the reference is not the page of {identifier}",
            f"Write {reference(identifier)}",
        )


def _kind(identifier: str) -> str:
    if identifier in attack().tactics:
        return "tactic"
    return "sub-technique" if "." in identifier else "technique"


def _twice(file: RuleFile, identifier: str, path: KeyPath) -> Found:
    return Found("attack-duplicate", file.at(*path), f"{shorten(identifier)} stands here twice", "Leave one out.")


def tactic_hint(name: str) -> str:
    """`: did you mean …?` with the nearest tactic, or nothing."""
    return nearest(name, attack().tactics.values())
