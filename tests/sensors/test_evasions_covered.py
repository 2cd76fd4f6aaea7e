"""Every technique is carried out by a scenario, by a test of its own, or waits for a room that is not there yet."""

from __future__ import annotations

import csv
from pathlib import Path

from evading import REASONS

TESTS = Path(__file__).parent.parent
NOT_YET = {"components", "relays"}
WAYS = "tests/host/test_requests_ways.py::test_ways_to_ask"


def rows(path: str) -> list[dict[str, str]]:
    with (TESTS / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", strict=True))


def test_every_technique_is_carried_out_somewhere() -> None:
    techniques = {row["technique"]: row["elsewhere"] for row in rows("data/evasions/techniques.tsv")}
    done = {row["technique"] for row in rows("host/evasions.tsv")}
    assert done == {name for name, elsewhere in techniques.items() if elsewhere == "-"}
    for elsewhere in set(techniques.values()) - NOT_YET - {"-"}:
        for place in elsewhere.split():
            file, _, test = place.partition("::")
            assert f"def {test}(" in (TESTS.parent / file).read_text(encoding="utf-8"), place


def test_ways_to_ask_are_of_the_techniques_that_they_are_said_to_be_of() -> None:
    techniques = {row["technique"]: row["elsewhere"] for row in rows("data/evasions/techniques.tsv")}
    done = {row["technique"] for row in rows("host/request_ways.tsv")}
    assert {name for name, elsewhere in techniques.items() if WAYS in elsewhere} <= done <= techniques.keys()


def test_scenarios_and_what_is_expected_of_them_fit() -> None:
    names = [row["scenario"] for row in rows("host/evasions.tsv")]
    assert len(names) == len(set(names))
    expected = rows("host/evasions_expected.tsv")
    assert {row["scenario"] for row in expected} <= set(names)
    verdicts = {row[sensor].rpartition(":") for row in expected for sensor in ("audit", "ebpf")}
    assert {kind for kind, _, _ in verdicts} <= {"", "maybe", "vague", "maybe-vague", "hooked"}
    assert {reason for _, _, reason in verdicts} - {"seen"} == REASONS.keys()
