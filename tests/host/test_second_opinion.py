"""auditd's own ausearch and auparse as second opinions: which events connect to a docker.sock by name.

known_errors.tsv lists every event on which one of them differs from us, and why it is not us who are wrong.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sockwarden.document import get
from sockwarden.literals import Wanted
from sockwarden.readers import Tally, auditlog, plan, stretches_of

pytestmark = pytest.mark.host

TESTS = Path(__file__).parents[1]
KNOWN_ERRORS = Path(__file__).parent / "known_errors.tsv"
GOLDEN = ["calls-by-architecture", "enriched", "enriched-saddr-lies", "interleaved", "labels-with-spaces"]
GOLDEN += [
    "saddr-abstract",
    "saddr-unix",
    "serial-rollover",
    "socketcall",
    "uring-in-context",
    "values-quoted-hex-bare",
]
LOGS = [
    *sorted((TESTS / "data" / "captures").glob("*.audit.log")),
    *(TESTS / "auditrecords" / "golden" / f"{name}.log" for name in GOLDEN),
]
_SOCKADDR = re.compile(r"type=SOCKADDR msg=audit\([^)]*:(\d+)\) : .*saddr=\{ saddr_fam=local path=(.*?) \}", re.ASCII)


def by_ausearch(ausearch: str, log: Path) -> dict[int, str]:
    """Serial and path of each event that ausearch takes for a connect to a docker.sock."""
    arguments = [ausearch, "-if", str(log), "-sc", "connect", "-i"]
    run = subprocess.run(arguments, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert run.returncode == 0 or b"<no matches>" in run.stderr, run.stderr
    found = _SOCKADDR.findall(run.stdout.decode("utf-8", "backslashreplace"))
    return {int(serial): path for serial, path in found if path.endswith("docker.sock")}


def by_auparse(python: str, log: Path) -> dict[int, str]:
    """Serial and path of each event that auparse takes for a connect to a docker.sock."""
    script = Path(__file__).with_name("by_auparse.py")
    run = subprocess.run([python, str(script), str(log)], capture_output=True, check=False, timeout=60)
    assert run.returncode == 0 or b"not UTF-8" in run.stderr, run.stderr
    found = dict(json.loads(line) for line in run.stdout.splitlines())
    return {int(serial): path for serial, path in found.items() if path.endswith("docker.sock")}


def by_us(log: Path) -> dict[int, str]:
    with plan([str(log)])[0] as stream:
        documents = list(auditlog.documents(stretches_of(stream)[0], Wanted(everything=True), Tally()))
    given = {
        document["event"]["sequence"]: get(document, "sockwarden.socket.address_as_given")
        for document in documents
        if get(document, "event.action") == "connected-to"
    }
    return {serial: path for serial, path in given.items() if str(path).endswith("docker.sock")}


def known_errors(tool: str, log: Path) -> dict[int, str]:
    rows = csv.DictReader(KNOWN_ERRORS.read_text(encoding="utf-8").splitlines(), delimiter="\t")
    return {int(row["serial"]): row["reason"] for row in rows if (row["tool"], row["log"]) == (tool, log.name)}


def differing(theirs: dict[int, str], ours: dict[int, str]) -> set[int]:
    assert ours
    return {serial for serial in theirs.keys() | ours.keys() if theirs.get(serial) != ours.get(serial)}


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_ausearch_agrees_but_for_its_known_errors(log: Path, require: Callable[..., str]) -> None:
    theirs = by_ausearch(require("ausearch"), log)
    assert differing(theirs, by_us(log)) == known_errors("ausearch", log).keys()


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_auparse_agrees_but_for_its_known_errors(log: Path, require: Callable[..., str]) -> None:
    theirs = by_auparse(require("python3", module="auparse"), log)
    assert differing(theirs, by_us(log)) == known_errors("auparse", log).keys()


def test_every_known_error_is_of_a_log_that_is_tried() -> None:
    rows = csv.DictReader(KNOWN_ERRORS.read_text(encoding="utf-8").splitlines(), delimiter="\t")
    assert {row["log"] for row in rows} <= {log.name for log in LOGS}
