"""What a daemon says that it was asked, line by line, and what a watch tells: the same, or the loss is counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import pytest
from asking import field_of, lost_by, requests_of, until_quiet
from runtimes import WELL_KNOWN, Runtime
from watching import watching

from sockwarden.document import Document, get

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

PROCESSES, EACH = 4, 2500
MARK = re.compile(r"\bs?n([0-3])-(\d+)\b")
REDIRECTED = " //"
"""In requests that the daemon's router answers by itself, so that the daemon does not hear of them."""
CALLING = re.compile(r'msg="Calling ([A-Z]+ [^"]+)"')


def by_process(lines: Iterable[str]) -> dict[str, list[str]]:
    """The requests that have a mark, in their order, by the process in it."""
    found: dict[str, list[str]] = {str(number): [] for number in range(PROCESSES)}
    for line in lines:
        if marked := MARK.search(line.replace("%73", "s")):
            found[marked[1]].append(line)
    return found


def test_ten_thousand_requests(docker: Runtime, tmp_path: Path) -> None:
    log = docker.folder / "log"
    before = log.stat().st_size
    with watching(tmp_path, "--sensor=ebpf") as watch:
        client = [sys.executable, str(Path(__file__).with_name("by_http.py")), str(WELL_KNOWN)]
        running = [
            subprocess.Popen([*client, str(number), str(EACH)], stdout=subprocess.PIPE, text=True)
            for number in range(PROCESSES)
        ]
        asked = {str(number): one.communicate(timeout=100)[0].splitlines() for number, one in enumerate(running)}
        assert [one.returncode for one in running] == [0] * PROCESSES
        with log.open(encoding="utf-8") as lines:
            lines.seek(before)
            called = by_process(CALLING.findall(lines.read()))
        assert called == {number: [one for one in all_ if REDIRECTED not in one] for number, all_ in asked.items()}
        until_quiet(watch)
    told, lost = requests_of(watch), lost_by(watch)
    missing: Counter[str] = Counter()
    for process, sequence in zip(running, asked.values(), strict=True):
        wanted = [spoken(first) for first in sequence]
        ours = [f"{field_of(one, 'method')} {field_of(one, 'path')}" for one in told if of(one, process)]
        assert is_part_of(ours, wanted), "one was told that was not asked, twice, or in another order"
        missing += Counter(wanted) - Counter(ours)
    assert missing.total() == lost, (missing.most_common(10), watch.messages[-3:])


def of(request: Document, process: subprocess.Popen[str]) -> bool:
    return bool(get(request, "process.pid") == process.pid)


def spoken(first: str) -> str:
    """A method and a target without the target's version, query and escapes."""
    method, target = first.split()
    path = re.sub(r"/+", "/", unquote(target.partition("?")[0]))
    return f"{method} {re.sub(r'^/v[0-9.]+/', '/', path)}"


def is_part_of(some: list[str], all_of_them: list[str]) -> bool:
    """Whether these are among those, in the same order."""
    rest = iter(all_of_them)
    return all(one in rest for one in some)
