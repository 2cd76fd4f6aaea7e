"""What two files have in common and may not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.schema import shorten

CODES: dict[str, tuple[Severity, str]] = {
    "duplicate-rule-id": ("error", "Two files have one rule_id: Kibana would keep one of them."),
    "duplicate-name": ("error", "Two files have one name: whoever reads an alert cannot tell them apart."),
}


def check_together(files: Sequence[RuleFile]) -> Iterator[tuple[RuleFile, Found]]:
    """Every id and name that an earlier file has too."""
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    for file in files:
        rule = file.rule
        for code, key, text, seen in (
            ("duplicate-rule-id", "rule_id", rule.rule_id, ids),
            ("duplicate-name", "name", rule.name, names),
        ):
            earlier = seen.setdefault(text.casefold(), file.origin)
            if earlier != file.origin:
                message = f"{key} `{shorten(text)}` is that of {shorten(earlier)} too"
                yield file, Found(code, file.at("rule", key), message, f"Give this rule a {key} of its own.")
