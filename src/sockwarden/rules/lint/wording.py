"""What a person is told: the guide, the version, the days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile

CODES: dict[str, tuple[Severity, str]] = {
    "note-missing": ("warning", "No `note`: whoever gets the alert is not told what to look at."),
    "false-positives-missing": ("warning", "No `false_positives`: nobody is told what is harmless."),
    "name-form": ("warning", "The name ends in a full stop, or has blanks around it or twice within."),
    "date-invalid": ("error", "A day that the calendar does not have."),
    "date-order": ("error", "A later day stands before an earlier one."),
    "date-missing": ("warning", "No creation_date or updated_date in [metadata]."),
    "version-behind": ("warning", "Version 1, and changed since the day it was made."),
    "index-duplicate": ("warning", "An index pattern stands twice."),
    "maturity-deprecated": ("warning", "Maturity and deprecation_date do not go together."),
}

_DAYS = ("creation_date", "updated_date", "deprecation_date")


def check(file: RuleFile) -> Iterator[Found]:
    """Texts, days and version, index patterns."""
    rule = file.rule
    place = file.at("rule")
    if not rule.note.strip():
        todo = "Say in `note` what to look at first, and what to do."
        yield Found("note-missing", file.at("rule", "note"), "no investigation guide", todo)
    if not any(line.strip() for line in rule.false_positives):
        todo = "Say what harmless thing matches, or that none is known."
        yield Found("false-positives-missing", place, "no `false_positives`", todo)
    plain = " ".join(rule.name.split()).rstrip(".")
    if rule.name != plain:
        yield Found(
            "name-form", file.at("rule", "name"), "a name has no blanks too many and no full stop", f'Write "{plain}".'
        )
    yield from _days(file)
    seen: set[str] = set()
    for index, pattern in enumerate(rule.index):
        if pattern in seen:
            message = f"the index pattern `{pattern}` stands twice"
            yield Found("index-duplicate", file.at("rule", "index", index), message, "Leave one out.")
        seen.add(pattern)


def _days(file: RuleFile) -> Iterator[Found]:
    days: dict[str, date] = {}
    for key in _DAYS:
        place = file.at("metadata", key)
        if key not in file.metadata:
            if key != "deprecation_date":
                yield Found("date-missing", place, f"no `{key}` in [metadata]", 'Write it as "2026/11/22".')
            continue
        text = file.metadata[key].replace("/", "-")
        try:
            days[key] = date.fromisoformat(text)
        except ValueError as error:
            yield Found("date-invalid", place, f"`{key}`: {error}", 'Write a day as "2026/11/22".')
    created, updated = days.get("creation_date"), days.get("updated_date")
    if created and updated and updated < created:
        message = "updated_date is before creation_date"
        yield Found("date-order", file.at("metadata", "updated_date"), message, "Write the later day there.")
    if created and updated and updated > created and file.table.get("version") == 1:
        message = "version 1, and updated after the day it was made"
        yield Found("version-behind", file.at("rule", "version"), message, "Raise the version with each change.")
    deprecated = file.metadata.get("maturity") == "deprecated"
    if deprecated != ("deprecation_date" in file.metadata):
        message = "maturity `deprecated` and a deprecation_date go together"
        yield Found("maturity-deprecated", file.at("metadata", "maturity"), message, "Write both, or neither.")
