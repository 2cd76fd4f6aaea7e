"""What a running watch says of itself, for the doctor: RUNTIME/sensor.json, from its start to its end.

A killed watch leaves it behind; it then names a pid that does not hold the lock.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

_FILE = "sensor.json"


class Running(msgspec.Struct, frozen=True):
    """A watch by its pid. sensor: as `--sensor` has it. hook: its rung; empty where the sensor has one way to see."""

    pid: int
    sensor: str
    hook: str = ""


def announce(runtime: Path, running: Running) -> None:
    """Writes it down. Where that is not possible only the doctor knows less."""
    draft = runtime / f"{_FILE}.new"
    with suppress(OSError):
        draft.unlink(missing_ok=True)
        with draft.open("xb") as opened:
            opened.write(msgspec.json.encode(running))
        draft.replace(runtime / _FILE)


def withdraw(runtime: Path) -> None:
    """Takes it away."""
    with suppress(OSError):
        (runtime / _FILE).unlink(missing_ok=True)


def running(runtime: Path) -> Running | None:
    """What was last written; None where nothing readable is there."""
    try:
        return msgspec.json.decode((runtime / _FILE).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
