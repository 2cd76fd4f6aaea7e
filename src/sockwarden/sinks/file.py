"""Alerts into a file, one JSON object a line; the file may be rotated, filled up or taken away at any time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sockwarden.document import Document, encode
from sockwarden.sinks.lines import FORMS
from sockwarden.sinks.sink import Outage

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""O_NONBLOCK: a FIFO in the file's place must not hold the run."""


class NdjsonFileSink:
    """Appends to the file at `path`, created 0600; a form of FORMS. Never raises: see `lost` and `notes`."""

    notifies: ClassVar[bool] = False

    def __init__(self, path: Path, form: str = "ndjson") -> None:
        self._path = path
        self._form = FORMS[form]
        self._file: int | None = None
        self._torn = False
        self._outage = Outage(str(path), "Free space, or make file and folder writable; tried again every 10 s.")
        self._write(b"", 0)

    @property
    def lost(self) -> int:
        """Alerts that could not be written."""
        return self._outage.lost

    def add(self, alerts: Sequence[Document]) -> None:
        """Writes the alerts of one access; those without such a form are left out."""
        shaped = [document for alert in alerts if (document := self._form(alert)) is not None]
        if shaped:
            self._write(b"".join(encode(document) + b"\n" for document in shaped), len(shaped))

    def tick(self, now: float) -> None:
        """Opens the file anew where it was moved or deleted, or could not be opened before."""
        self._outage.tick(now)
        if self._file is None or self._moved(self._file):
            self.reopen()

    def reopen(self) -> None:
        """Closes the file and opens what has its name now, made where there is none."""
        self._let_go()
        self._write(b"", 0)

    def notes(self) -> list[str]:
        """What changed since the last call."""
        return self._outage.notes()

    def close(self) -> None:
        """Closes the file."""
        self._let_go()

    def _write(self, data: bytes, count: int) -> None:
        if self._outage.lasts:
            self._outage.lost += count
            return
        try:
            if self._file is None:
                self._file = self._open()
            if data:
                # What a full disk cut off must not become a part of the next line.
                self._append(self._file, b"\n" + data if self._torn else data)
                self._torn = False
        except OSError as error:
            self._let_go()
            self._outage.begins(error, count)
        else:
            self._outage.ends()

    def _open(self) -> int:
        file = os.open(self._path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "it is no regular file")
        return file

    def _append(self, file: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(file, view)
            view = view[written:]
            self._torn = bool(view)

    def _moved(self, file: int) -> bool:
        try:
            return not os.path.samestat(self._path.lstat(), os.fstat(file))
        except OSError:
            return True

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
