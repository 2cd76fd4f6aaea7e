"""Work shared among processes: its order, its failures, and that none of them is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockwarden.cli.detections import chosen
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.pipeline.hunt import Hunt
from sockwarden.pipeline.processes import batched, in_order
from sockwarden.readers import Stream, plan, stretches

CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.audit.log"))


def told(task: int) -> Iterator[tuple[int, int, int]]:
    return ((task, part, os.getpid()) for part in range(task % 3))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Beside those that the session's other tests have running."""
    before = children()
    yield
    assert children() <= before


@pytest.mark.parametrize("processes", [1, 2, 3, 50])
def test_results_come_in_the_order_of_the_tasks(processes: int) -> None:
    found = list(in_order(range(20), told, processes))
    assert [(task, result[:2]) for task, result in found] == [
        (n, (n, part)) for n in range(20) for part in range(n % 3)
    ]
    assert (os.getpid() in {pid for _, (_, _, pid) in found}) is (processes == 1)


def failing(task: int) -> Iterator[int]:
    yield task
    if task == 3:
        raise InputError("a bad task", where="here")


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_work_raises_comes_after_what_it_gave(processes: int) -> None:
    given: list[int] = []
    with pytest.raises(InputError, match="a bad task") as error:
        given.extend(result for _, result in in_order(range(9), failing, processes))
    assert given == [0, 1, 2, 3] and error.value.where == "here"


def dying(task: int) -> Iterator[int]:
    if task == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    yield task


def test_a_process_that_is_killed_is_told() -> None:
    given: list[int] = []
    with pytest.raises(InputError, match="ended before it was done"):
        given.extend(result for _, result in in_order(range(9), dying, 2))
    assert given == [0, 1, 2, 3]


def endless(task: int) -> Iterator[bytes]:
    while True:
        yield bytes([task]) * 100_000


def test_who_takes_no_more_leaves_no_process() -> None:
    results = in_order(range(4), endless, 2)
    assert next(results)[1][0] == 0
    results.close()  # type: ignore[attr-defined] # a generator


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 512])
def test_batches_hold_everything_and_end_with_an_empty_one(count: int) -> None:
    batches = list(batched(range(count)))
    assert [item for batch in batches for item in batch] == list(range(count))
    assert all(batches[:-1]) and not batches[-1]


def hunted(paths: list[Path], processes: int) -> tuple[list[Document], Hunt]:
    run = Hunt(chosen(()), processes=processes)
    return list(run.alerts(plan([str(path) for path in paths]))), run


@pytest.mark.parametrize("size", [5_000, 60_000, 1 << 24])
def test_a_hunt_finds_the_same_in_any_number_of_processes(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, alone = hunted(CAPTURES, 1)
    monkeypatch.setattr(stretches, "STRETCH_BYTES", size)
    for processes in (1, 2, 3):
        alerts, run = hunted(CAPTURES, processes)
        assert list(map(_identity, alerts)) == list(map(_identity, expected))
        assert run.met == alone.met
        assert run.engine.repeated == alone.engine.repeated


def _identity(alert: Document) -> tuple[str, str]:
    return alert["kibana"]["alert"]["uuid"], alert["kibana"]["alert"]["reason"]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_process_could_not_read_is_told(tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", 60_000)
    path = tmp_path / "audit.log"
    path.write_bytes(CAPTURES[0].read_bytes() * 2)

    def shorten(_stream: Stream, step: int, done: int) -> None:
        if step == 1 and done == path.stat().st_size:
            os.truncate(path, done // 2)

    run = Hunt(chosen(()), processes=processes)
    assert list(run.alerts(plan([str(path)]), shorten))
    assert [failure.what for failure in run.failures] == ["the file became shorter while it was read"]
