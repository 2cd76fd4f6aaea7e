"""What real clients asked of real daemons, told: each row of requests.tsv is done once, beside one watch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import Clients, problems, rows, seeded, settled, told_of
from runtimes import Runtime
from watching import watching

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "asking_fixtures"]


def test_what_was_asked(clients: Clients, docker: Runtime, tmp_path: Path, subtests: pytest.Subtests) -> None:
    with watching(tmp_path, "--sensor=ebpf") as watch:
        done = [clients.do(row) for row in rows()]
        requests = settled(watch, docker)
    with subtests.test("no secret is kept or said"):
        said = json.dumps([watch.alerts, watch.messages]).encode()
        kept = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert sum(map(len, kept.values())) > len(done) * 1000
        assert not [(path, one) for path, text in (kept | {"said": said}).items() for one in seeded() if one in text]
    for asked in done:
        with subtests.test(asked.row.name):
            told = told_of(asked, requests)
            assert not problems(asked, told, clients), [one["sockwarden"]["request"] for one in told]
