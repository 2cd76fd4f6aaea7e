"""Writes content/attack.json, MITRE ATT&CK's enterprise tactics and techniques, from a package that carries them.

  make attack

pySigma's wheel holds them as Python literals; those are read as data, nothing of the package is run. Later releases
of it fetch the data at run time instead, so this one is pinned. An argument is the uv to use.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PACKAGE, VERSION = "pysigma", "0.11.23"
MODULE = "sigma/data/mitre_attack.py"
OUTPUT = Path(__file__).parent.parent / "src/sockwarden/content/attack.json"
_LOWER = ("and", "of")


def main() -> None:
    """Fetches the wheel, and writes the version, the tactics' names, and each technique's name and tactics."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*(sys.argv[1:] or ["uv"]), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--target", folder, f"{PACKAGE}=={VERSION}"], check=True)
        literals = _literals(Path(folder, MODULE).read_text(encoding="utf-8"))
    slugs: dict[str, str] = literals["mitre_attack_tactics"]
    ids = {slug: tactic for tactic, slug in slugs.items()}
    tactics_of: dict[str, list[str]] = literals["mitre_attack_techniques_tactics_mapping"]
    lines = []
    for technique, name in sorted(literals["mitre_attack_techniques"].items()):
        row = [name, sorted(ids[slug] for slug in tactics_of[technique])]
        lines.append(f"{json.dumps(technique)}: {json.dumps(row, ensure_ascii=False)}")
    tactics = json.dumps({tactic: _title(slug) for tactic, slug in sorted(slugs.items())})
    version = json.dumps(literals["mitre_attack_version"])
    body = ",\n".join(lines)
    OUTPUT.write_text(
        f'{{\n"version": {version},\n"tactics": {tactics},\n"techniques": {{\n{body}\n}}}}\n', encoding="utf-8"
    )


def _literals(source: str) -> dict[str, Any]:
    return {
        statement.target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value
    }


def _title(slug: str) -> str:
    """`command-and-control` as ATT&CK titles it: Command and Control."""
    return " ".join(word if word in _LOWER else word.capitalize() for word in slug.split("-"))


if __name__ == "__main__":
    main()
