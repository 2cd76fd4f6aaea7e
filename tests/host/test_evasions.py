"""Every way of evasions.tsv, done for real beside a watch, once for each sensor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from evading import OLDER, Done, begun, belongs, do, expected, go_on, judge, lacks, scenarios
from evasion_setting import Setting, activated, set_up
from runtimes import Runtime
from watching import SENSORS, watching

from sockwarden.document import Document

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

HOLDING_SECONDS = 9
"""For longer than receiver.c holds what it came by."""
TURNS = 5
"""Times that what a busy machine has missed is done, at most."""
SWEEPS = "[sensors.sweep]\nseconds = 1\n"
"""Often enough to find a receiver on a busy machine too."""


@pytest.fixture(scope="module")
def setting(
    docker: Runtime,
    containerd: Runtime,
    client: Path,
    receiver: Path,
    bystander: int,
    require: Callable[..., str],
) -> Iterator[Setting]:
    for program in ("podman", "setpriv", "busybox", "/usr/bin/python3"):
        require(program)
    # A short path: of a client that is gone at once audit's record keeps 128 bytes of arguments.
    with TemporaryDirectory(prefix="sw-") as folder:
        setting = Setting(docker, containerd, client, receiver, Path(folder))
        with set_up(setting, bystander):
            yield setting


@pytest.mark.parametrize("sensor", SENSORS)
def test_every_way_is_seen_or_known_to_be_unseen(
    sensor: str, setting: Setting, audit: None, tmp_path: Path, require: Callable[..., str], subtests: pytest.Subtests
) -> None:
    """A client that is gone before a busy machine could look at it has no argv, which is said and never guessed; such a
    scenario is done again.
    """
    accesses: list[Document] = []
    table, ways = expected(), scenarios()
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(SWEEPS, encoding="ascii")

    def seen(one: Done) -> list[Document]:
        return [document for document in accesses if belongs(document, one, setting)]

    with begun(setting, ways) as older, watching(tmp_path, *SENSORS[sensor]) as watch, activated(setting, require):
        done = {one.scenario: one for one in older}
        done |= {one: do(setting, one) for one in ways if one.where not in OLDER}
        go_on(older)
        last = next(one for one in ways if one.scenario == "plain")
        fresh = set(done)
        for turn in range(TURNS):
            final = do(setting, last)
            watch.until_stored(final.mark, 60)
            held = any(row.action == "held-connection" for way in fresh for row in table.get(way.scenario, []))
            time.sleep(HOLDING_SECONDS if held else 0)
            accesses = watch.accesses()
            again = [one for one in done.values() if lacks(seen(one), table.get(one.scenario.scenario, []), sensor)]
            fresh = {one.scenario for one in again if one.scenario.where not in OLDER}
            if turn < TURNS - 1:
                done |= {way: do(setting, way) for way in fresh}
    for one in done.values():
        with subtests.test(one.scenario.scenario):
            judge(one, seen(one), table.get(one.scenario.scenario, []), sensor, setting)
            if one.scenario.scenario not in table:
                assert not [alert for alert in watch.alerts if belongs(alert, one, setting)]
