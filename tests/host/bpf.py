"""BPF objects for tests, built by clang."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = Path(__file__).parent / "programs"
_INCLUDE = f"/usr/include/{platform.machine()}-linux-gnu"


@cache
def built(name: str, *flags: str) -> bytes:
    """The object of a source in programs/."""
    command = ["clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", f"-I{_INCLUDE}", *flags]
    with TemporaryDirectory() as folder:
        output = Path(folder) / "object"
        subprocess.run([*command, "-c", str(PROGRAMS / name), "-o", str(output)], check=True)
        return output.read_bytes()
