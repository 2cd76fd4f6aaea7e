"""MITRE ATT&CK's tactics and techniques, from the package's data."""

from __future__ import annotations

from functools import cache

import msgspec

from sockwarden.content import packaged

SITE = "https://attack.mitre.org"


class Attack(msgspec.Struct, frozen=True):
    """tactics: name by id; techniques: name and the tactics' ids, by id; `T1562.012` is a sub-technique."""

    version: str
    tactics: dict[str, str]
    techniques: dict[str, tuple[str, tuple[str, ...]]]

    def name(self, identifier: str) -> str | None:
        """The name of a tactic, technique or sub-technique; None of none that is known."""
        technique = self.techniques.get(identifier)
        return technique[0] if technique else self.tactics.get(identifier)

    def ids(self, name: str) -> list[str]:
        """Every id that goes by a name, in any case."""
        wanted = name.casefold()
        found = [identifier for identifier, known in self.tactics.items() if known.casefold() == wanted]
        return found + [identifier for identifier, (known, _) in self.techniques.items() if known.casefold() == wanted]


@cache
def attack() -> Attack:
    """The data that is packaged."""
    return msgspec.json.decode(packaged("attack.json").read_bytes(), type=Attack)


def reference(identifier: str) -> str:
    """The page of a tactic, technique or sub-technique, as rules give it."""
    shelf = "tactics" if identifier.startswith("TA") else "techniques"
    return f"{SITE}/{shelf}/{identifier.replace('.', '/')}/"
