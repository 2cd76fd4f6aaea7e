"""Work shared among processes, its results in order."""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import signal
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO, TypeVar

from sockwarden.errors import InputError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_HEADER = struct.Struct("=BQ")
"""What follows, and how many bytes of it."""
_BATCH = 64
_PIPE = 1 << 20
"""Bytes that may wait to be taken, so that a process goes on meanwhile: what the kernel grants without privilege."""
_RESULT, _OVER, _FAILED = range(3)


def in_order(
    tasks: Sequence[_Task], work: Callable[[_Task], Iterator[_Result]], processes: int | None = None
) -> Iterator[tuple[_Task, _Result]]:
    """Each task with each of its results, in the order of the tasks; results and exceptions must be picklable.

    Every process is a fork that inherits all there is, takes each n-th task, and waits while its results are not taken.
    With one task or one process nothing is forked. Raises what the work raises, and InputError where a process ended
    before its work was done. processes: as many as the processors that this one may use, if not given.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(tasks))
    if count < 2:
        yield from ((task, result) for task in tasks for result in work(task))
        return
    workers: list[tuple[int, BinaryIO]] = []
    try:
        for first in range(count):
            workers.append(_forked(tasks[first::count], work))  # noqa: PERF401 - those that began must be ended
        for number, task in enumerate(tasks):
            for result in _taken(*workers[number % count]):
                yield task, result
    finally:
        for pid, results in workers:
            results.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _forked(tasks: Sequence[_Task], work: Callable[[_Task], Iterator[object]]) -> tuple[int, BinaryIO]:
    """A process that does these tasks: its pid, and where its results come from."""
    theirs, ours = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
    # What is there already is shared with the forks as long as nobody writes to it, and a collection would.
    gc.freeze()
    pid = os.fork()
    if pid:
        gc.unfreeze()
        os.close(ours)
        return pid, os.fdopen(theirs, "rb")
    # What a worker makes refers to nothing in circles, and it ends with its tasks.
    gc.disable()
    try:
        os.close(theirs)
        with os.fdopen(ours, "wb") as out:
            for task in tasks:
                _do(task, work, out)
    finally:
        # Nothing that the parent has yet to write may be written by its fork too.
        os._exit(0)


def _do(task: _Task, work: Callable[[_Task], Iterator[object]], out: BinaryIO) -> None:
    try:
        for result in work(task):
            _tell(out, _RESULT, result)
        _tell(out, _OVER, None)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the parent raises it
        _tell(out, _FAILED, error)
    out.flush()


def _tell(out: BinaryIO, kind: int, what: object) -> None:
    told = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    out.write(_HEADER.pack(kind, len(told)))
    out.write(told)


def _taken(pid: int, told: BinaryIO) -> Iterator[Any]:
    """The results of one task."""
    while True:
        header = told.read(_HEADER.size)
        kind, size = _HEADER.unpack(header) if len(header) == _HEADER.size else (_OVER, -1)
        content = told.read(size) if size > 0 else b""
        if len(content) != size:
            raise InputError(
                "a process that shared the work ended before it was done",
                where=f"process {pid}",
                why="it was killed, or there was no memory left",
                todo="Run it again; `dmesg` tells of processes that the kernel ended for want of memory.",
            )
        what = pickle.loads(content)  # noqa: S301 - a fork of this process wrote it
        if kind == _OVER:
            return
        if kind == _FAILED:
            raise what
        yield what


def batched(items: Iterable[_Task]) -> Iterator[tuple[_Task, ...]]:
    """Items a few hundred at a time, so that results are told while there is more; an empty batch ends them."""
    rest = iter(items)
    batch: tuple[_Task, ...] | None = None
    while batch is None or batch:
        batch = tuple(islice(rest, _BATCH))
        yield batch
