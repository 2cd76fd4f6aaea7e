"""What an alert costs: time to build it, bytes as JSON and in the store.

    python benchmarks/alerts.py [--rounds 200] [--captures FOLDER]

Builds the alerts of the recorded captures again and again, by every packaged rule and signature, and stores each once.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from sockwarden.alerts import Detector, build
from sockwarden.detect import Detection, RuleDetection, SignatureDetection
from sockwarden.document import Document, encode
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import format_of, plan
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.sockets import packaged
from sockwarden.store import Store
from sockwarden.store.rows import alert_row

_CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"


def matches(folder: Path) -> list[tuple[Document, Detector]]:
    """Documents of the captures with what alerts on them."""
    found: list[tuple[Document, Detector]] = []
    detections: list[Detection] = [
        *(RuleDetection(rule) for rule in load_packaged()),
        *(SignatureDetection(kind()) for kind in SIGNATURES),
    ]
    for stream in plan([str(path) for path in sorted(folder.glob("*.audit.log"))]):
        with stream:
            replay = Replay(packaged(), wanted_by((one.required_literals for one in detections), packaged()))
            for document in replay.documents(stream, format_of(stream)):
                found += [(document, one.detector) for one in detections for _ in one.judge(document)]
    return found


def main() -> None:
    """Prints the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--captures", type=Path, default=_CAPTURES)
    chosen = options.parse_args()
    found = matches(chosen.captures)
    times = []
    for _ in range(chosen.rounds):
        began = time.perf_counter()
        for document, detector in found:
            build(document, detector, view=None)
        times.append((time.perf_counter() - began) / len(found))
    alerts = [build(document, detector, view=None) for document, detector in found]
    json = statistics.mean(len(encode(alert)) for alert in alerts)
    began = time.perf_counter()
    rows = [alert_row(alert) for alert in alerts]
    row_time = (time.perf_counter() - began) / len(rows)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder), create=True) as store:
        new = sum(store.write([], rows)[1])
    print(f"{len(found)} alerts, {new} of them different, {len({row.rule for row in rows})} rules' rows")
    print(f"build: median {statistics.median(times) * 1e6:.2f} µs, least {min(times) * 1e6:.2f} µs")
    print(f"alert_row: {row_time * 1e6:.0f} µs")
    print(
        f"JSON: {json:,.0f} bytes; in the store beside the rule: {statistics.mean(len(r.document) for r in rows):,.0f}"
    )


if __name__ == "__main__":
    main()
