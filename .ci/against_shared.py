"""Compares with the team's shared folder: the tests' copies with their origin, and hunts through freshly generated
logs with the generator's truth.

    python .ci/against_shared.py ../shared
"""

from __future__ import annotations

import filecmp
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULE = "unusual-process-connection-runtime-socket"
MEGABYTES = 15


def check_copies(shared: Path) -> list[str]:
    """Files that differ from their origin, or exist on one side only."""
    problems = []
    for folder in ("captures", "kql"):
        origin, copy = shared / folder, ROOT / "tests" / "data" / folder
        names = sorted({path.name for path in (*origin.iterdir(), *copy.iterdir())})
        _, differing, missing = filecmp.cmpfiles(origin, copy, names, shallow=False)
        problems += [f"tests/data/{folder}/{name} is not as in {origin}" for name in (*differing, *missing)]
    return problems


def check_generated(shared: Path, form: str, seed: int, folder: Path) -> list[str]:
    """Alerts that differ from the generator's truth."""
    log = folder / f"{form}-{seed}.log"
    generator = [sys.executable, str(shared / "bench" / "gen_audit.py"), str(log)]
    subprocess.run([*generator, "--mb", str(MEGABYTES), "--format", form, "--seed", str(seed)], check=True, stdout=-3)
    truth = json.loads((folder / f"{log.name}.truth.json").read_text())
    problems = []
    for arguments, verdict in (([], "canonical"), (["--literal"], "alerts")):
        hunt = [sys.executable, "-c", "from sockwarden.cli.main import main; main()", "hunt", str(log)]
        run = subprocess.run(
            [*hunt, "--rule", RULE, "--output", "ndjson", *arguments], check=True, capture_output=True, text=True
        )
        found = sorted(json.loads(line)["event"]["sequence"] for line in run.stdout.splitlines())
        right = found == sorted(truth[verdict]) and bool(found)
        print(f"{form} seed {seed} {verdict}: {len(found)} alerts, {'as the truth' if right else 'WRONG'}")
        if not right:
            problems.append(f"{log.name}: {verdict} differs from the truth")
    return problems


def main() -> int:
    """Gives 1 where anything differs."""
    shared = Path(sys.argv[1])
    problems = check_copies(shared)
    print("copies of captures and cases:", "as in the origin" if not problems else "WRONG")
    with tempfile.TemporaryDirectory(prefix="sockwarden-ci-") as name:
        for form in ("raw", "enriched"):
            for seed in (20240, random.randrange(1 << 30)):
                problems += check_generated(shared, form, seed, Path(name))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
