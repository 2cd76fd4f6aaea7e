"""BPF objects for tests, built by clang."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "programs"


@cache
def built(name: str, *flags: str) -> bytes:
    """The object of a source in programs/, as `make bpf` would make it."""
    return compiled(PROGRAMS / name, *flags)


def compiled(source: Path, *flags: str) -> bytes:
    """The object of a source."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "object"
        subprocess.run(["sh", "make/bpf.sh", str(source), str(output), *flags], check=True, cwd=ROOT)
        return output.read_bytes()
