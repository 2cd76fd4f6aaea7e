"""SQLite's write-ahead log, for each file that several processes share."""

from __future__ import annotations

import sqlite3
import time


def log_ahead(database: sqlite3.Connection, patience: float) -> None:
    """Turns the write-ahead log on. SQLite does not wait where two do that to a new file at once: it fails, so this
    tries again, for so many seconds.
    """
    until = time.monotonic() + patience
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
