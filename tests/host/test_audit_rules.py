"""Rules that auditctl made, read back from the kernel: sockwarden prints what auditctl prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sockwarden.sensors.audit import list_rules, rules_for
from sockwarden.sensors.audit.protocol import Control
from sockwarden.sensors.audit.rule import EXIT

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("audit")]

WRITTEN = Path(__file__).with_name("auditctl_rules.txt").read_text(encoding="ascii").splitlines()
RULES = [line for line in WRITTEN if not line.startswith("#")]


def auditctl(*arguments: str) -> str:
    return subprocess.run(["auditctl", *arguments], check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the table names calls of x86_64")
@pytest.mark.parametrize("written", RULES)
def test_a_rule_that_auditctl_wrote(written: str) -> None:
    auditctl(*written.split())
    with Control() as control:
        (rule,) = control.rules()
        try:
            assert str(rule) == auditctl("-l").strip()
        finally:
            control.delete(rule)
        auditctl(*str(rule).split())
        again = control.rules()
        for made in again:
            control.delete(made)
    assert again == [rule], "what is printed makes the same rule"


def test_our_rules_are_listed_as_they_were_made(tmp_path: Path) -> None:
    made = rules_for(str(tmp_path / "docker.sock")) + rules_for(str(tmp_path), folder=True)
    with Control() as control:
        for rule in made:
            control.add(rule)
        try:
            listed = list_rules()
            printed = auditctl("-l").splitlines()
        finally:
            for rule in made:
                control.delete(rule)
    assert sorted(map(str, listed)) == sorted(map(str, made))
    assert [str(rule) for rule in listed if rule.filter == EXIT] == [line for line in printed if "exit" in line]
