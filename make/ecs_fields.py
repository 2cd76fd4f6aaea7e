"""Writes content/ecs_fields.json, the field types of the Elastic Common Schema, from the schema's own npm package.

  make ecs-fields

The package (Apache-2.0) carries the schema as a JavaScript object; node prints it as JSON. Of it are taken the names,
types and multi-fields.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

PACKAGE, VERSION = "@elastic/ecs", "9.4.0"
OUTPUT = Path(__file__).parent.parent / "src/sockwarden/content/ecs_fields.json"
_PRINT = "process.stdout.write(JSON.stringify(require(process.argv[1]).EcsFlat))"


def main() -> None:
    """Fetches the package, and writes the names of each type, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, stdout=sys.stderr)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            module = archive.extractfile("package/build/commonjs/ecs_flat.js")
            assert module is not None, "the package has no schema where it had one"
            script = Path(folder, "ecs_flat.cjs")
            script.write_bytes(module.read())
        printed = subprocess.run(["node", "-e", _PRINT, str(script)], check=True, capture_output=True).stdout
    types: dict[str, list[str]] = defaultdict(list)
    for name, field in json.loads(printed).items():
        types[field["type"]].append(name)
        for multi_field in field.get("multi_fields", ()):
            types[multi_field["type"]].append(multi_field["flat_name"])
    lines = [f" {json.dumps(kind)}: {json.dumps(sorted(names))}" for kind, names in sorted(types.items())]
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
