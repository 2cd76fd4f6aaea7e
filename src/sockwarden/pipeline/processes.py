"""Work shared among processes, its results in order."""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import select
import signal
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from io import FileIO
from itertools import islice
from typing import Any, BinaryIO, Generic, Self, TypeVar

from sockwarden.errors import InputError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_HEADER = struct.Struct("=BQ")
"""What follows, and how many bytes of it; of what was begun, the task's number."""
_NUMBER = struct.Struct("=I")
_AHEAD = 256
"""Tasks that lie ready to be taken, so that no process waits for one: they fit any pipe."""
_BATCH = 64
_PIPE = 1 << 20
"""Bytes that may wait to be taken, so that a process goes on meanwhile: what the kernel grants without privilege."""
_RESULT, _OVER, _FAILED, _BEGUN = range(4)


def in_order(
    tasks: Sequence[_Task], work: Callable[[_Task], Iterator[_Result]], processes: int | None = None
) -> Iterator[tuple[_Task, _Result]]:
    """As Work, begun when the first result is asked for."""
    with Work(tasks, work, processes) as begun:
        yield from begun


class Work(Generic[_Task, _Result]):
    """Tasks that are done from now on, as a context manager; gives each with each of its results, in the order of the
    tasks; results and exceptions must be picklable.

    Every process is a fork that inherits all there is, takes the next task when it is done with one, and waits while
    its results are not taken. With one task or one process nothing is forked. Raises what the work raises, and
    InputError where a process ended before its work was done. processes: as many as the processors that this one may
    use, if not given.
    """

    def __init__(
        self, tasks: Sequence[_Task], work: Callable[[_Task], Iterator[_Result]], processes: int | None = None
    ) -> None:
        self._tasks, self._work = tasks, work
        count = min(processes or len(os.sched_getaffinity(0)), len(tasks))
        self._workers = _Workers(tasks, work, count) if count > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends the processes, whatever they are at."""
        if self._workers:
            self._workers.end()
            self._workers = None

    def __iter__(self) -> Iterator[tuple[_Task, _Result]]:
        workers = self._workers
        for number, task in enumerate(self._tasks):
            for result in workers.results(number) if workers else self._work(task):
                yield task, result


class _Workers:
    """Processes that take tasks by their numbers from one pipe, and tell what comes of them in one each."""

    def __init__(self, tasks: Sequence[Any], work: Callable[[Any], Iterator[object]], count: int) -> None:
        self._tasks, self._work = tasks, work
        self._pids: dict[FileIO, int] = {}
        self._at: dict[FileIO, int | None] = {}
        """By where it tells of it: the task that a process is at, None where it has not told yet."""
        self._ready, self._give = os.pipe()
        self._next = 0
        self._offer(_AHEAD)
        try:
            for _ in range(count):
                self._fork()
        except OSError:
            self.end()
            raise

    def _offer(self, most: int) -> None:
        """Lays more tasks ready."""
        numbers = range(self._next, min(self._next + most, len(self._tasks)))
        if numbers:
            os.write(self._give, b"".join(map(_NUMBER.pack, numbers)))
            self._next = numbers.stop
        if self._next == len(self._tasks) and self._give >= 0:
            os.close(self._give)
            self._give = -1

    def _fork(self) -> None:
        theirs, ours = os.pipe()
        with suppress(OSError):
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
        # What is there already is shared with the forks as long as nobody writes to it, and a collection would.
        gc.freeze()
        pid = os.fork()
        if pid:
            gc.unfreeze()
            os.close(ours)
            told = FileIO(theirs)
            self._pids[told], self._at[told] = pid, None
            return
        # What a worker makes refers to nothing in circles, and it ends with its tasks.
        gc.disable()
        try:
            os.close(theirs)
            if self._give >= 0:
                os.close(self._give)
            for told in self._pids:
                told.close()
            with os.fdopen(ours, "wb") as out:
                while taken := os.read(self._ready, _NUMBER.size):
                    (number,) = _NUMBER.unpack(taken)
                    _do(number, self._work(self._tasks[number]), out)
        finally:
            # Nothing that the parent has yet to write may be written by its fork too.
            os._exit(0)

    def results(self, number: int) -> Iterator[Any]:
        """Those of a task; they are asked for in order."""
        while number not in self._at.values():
            self._listen()
        told = next(told for told, at in self._at.items() if at == number)
        self._offer(1)
        yield from _taken(self._pids[told], told)
        self._at[told] = None

    def _listen(self) -> None:
        """Waits for one that tells what it is at."""
        waiting = select.poll()
        for told in (told for told, at in self._at.items() if at is None):
            waiting.register(told, select.POLLIN)
        ready = {number for number, _ in waiting.poll()} if None in self._at.values() else set()
        for told in [told for told in self._at if told.fileno() in ready]:
            header = _read(told, _HEADER.size)
            if header:
                self._at[told] = _HEADER.unpack(header)[1]
            else:
                del self._at[told]  # there was no task left, or it was killed
        if not ready:
            raise _ended(", ".join(map(str, self._pids.values())))

    def end(self) -> None:
        """Ends all, whatever they are at."""
        for told, pid in self._pids.items():
            told.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(self._ready)
        if self._give >= 0:
            os.close(self._give)


def _do(number: int, results: Iterator[object], out: BinaryIO) -> None:
    """Tells of a task: that it was begun, its results, and how it ended."""
    try:
        out.write(_HEADER.pack(_BEGUN, number))
        out.flush()
        for result in results:
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


def _taken(pid: int, told: FileIO) -> Iterator[Any]:
    """The results of one task."""
    while True:
        header = _read(told, _HEADER.size)
        kind, size = _HEADER.unpack(header) if len(header) == _HEADER.size else (_OVER, -1)
        content = _read(told, size) if size > 0 else b""
        if len(content) != size:
            raise _ended(str(pid))
        what = pickle.loads(content)  # noqa: S301 - a fork of this process wrote it
        if kind == _OVER:
            return
        if kind == _FAILED:
            raise what
        yield what


def _read(told: FileIO, size: int) -> bytes:
    """As many bytes; less at the end."""
    content = told.read(size)
    while 0 < len(content) < size and (more := told.read(size - len(content))):
        content += more
    return content


def _ended(processes: str) -> InputError:
    return InputError(
        "a process that shared the work ended before it was done",
        where=f"process {processes}",
        why="it was killed, or there was no memory left",
        todo="Run it again; `dmesg` tells of processes that the kernel ended for want of memory.",
    )


def batched(items: Iterable[_Task]) -> Iterator[tuple[_Task, ...]]:
    """Items a few hundred at a time, so that results are told while there is more; an empty batch ends them."""
    rest = iter(items)
    batch: tuple[_Task, ...] | None = None
    while batch is None or batch:
        batch = tuple(islice(rest, _BATCH))
        yield batch
