"""One target under atheris: `python -m fuzz.engine TARGET`, then libFuzzer's arguments; run.py is what calls it.

FUZZ_CPU_SECONDS ends the session (0: no limit): libFuzzer's own limit is wall time, which says little on a busy
machine. FUZZ_COMMAND is an executable that starts this again: a merge does so, by the program's name.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time

import atheris


def main() -> None:
    with atheris.instrument_imports(include=["sockwarden", "hpack", "hyperframe"]):
        target = importlib.import_module(f"fuzz.{sys.argv[1]}")
    end = float(os.environ["FUZZ_CPU_SECONDS"]) or float("inf")

    def one(data: bytes) -> None:
        if time.process_time() > end:
            os.kill(os.getpid(), signal.SIGUSR1)  # libFuzzer prints its figures and exits with 0
        target.check(data)

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        varied: bytes | None = target.vary(data, seed) if seed % 2 else None
        if varied is None or len(varied) > size:
            varied = bytes(atheris.Mutate(data, size))
        return varied

    own = {"custom_mutator": mutate} if hasattr(target, "vary") else {}
    atheris.Setup([os.environ["FUZZ_COMMAND"], *sys.argv[2:]], one, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
