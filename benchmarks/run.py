"""Runs benchmarks one after the other, keeps what they find in benchmarks/results, and reports it.

    python benchmarks/run.py [--quick] [NAME…]

Without names it runs all. What is not run, or cannot run on this machine, keeps its result of before. With --quick the
sizes are small, and results and page go to .bench, so that figures of no worth come onto no page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from report import PAGES, PLOTS, RESULTS, PlaceError, report
from results import BENCHMARKS, ROOT, UNABLE, read

QUICK = ROOT / ".bench"
_PAGE = "# Quick runs\n\n<!-- benchmarks --><!-- /benchmarks -->\n"


def run(name: str, results: Path, *, quick: bool) -> str:
    """Runs one; gives what came of it, empty where it went well."""
    script = ROOT / "benchmarks" / f"{name}.py"
    if not script.exists():
        return "not written"
    if b"--json" not in subprocess.run([sys.executable, script, "--help"], capture_output=True, check=False).stdout:
        return "not converted"
    result = results / f"{name}.json"
    before = f"the result of {read(result).date} stays" if result.exists() else "and never did: no result"
    print(f"\n=== {name}", flush=True)
    ended = subprocess.run([sys.executable, script, *["--quick"][:quick], "--json", result], check=False, cwd=ROOT)
    if ended.returncode == UNABLE:
        return f"cannot run here, {before}"
    if ended.returncode:
        return f"FAILED with {ended.returncode}, {before}"
    try:
        read(result)
    except (OSError, ValueError) as error:
        return f"FAILED, no results that can be read: {error}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    results, pages, plots = RESULTS, PAGES, PLOTS
    if given.quick:
        page = QUICK / "performance.md"
        results, pages, plots = QUICK / "results", [page], QUICK / "plots"
        QUICK.mkdir(exist_ok=True)
        page.write_text(_PAGE, encoding="utf-8")
    came = {name: run(name, results, quick=given.quick) for name in given.names or BENCHMARKS}
    print()
    for name, what in came.items():
        print(f"{name:10} {what or 'measured'}")
    try:
        report(pages, results, plots)
    except (PlaceError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"reported in {', '.join(str(page.relative_to(ROOT)) for page in pages)}")
    return int(any("FAILED" in what for what in came.values()))


if __name__ == "__main__":
    raise SystemExit(main())
