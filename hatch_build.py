"""Builds what is compiled (src/sockwarden/compiled) where there is a C compiler; without it hunts are slower."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = Path("src/sockwarden/compiled")
_FLAGS = [
    "-O3",
    "-D_GNU_SOURCE",
    "-D_FILE_OFFSET_BITS=64",
    "-shared",
    "-fPIC",
    "-fstack-protector-strong",
    "-Wl,-z,relro,-z,now",
]


class CompiledHook(BuildHookInterface[Any]):
    """One library beside its source, for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's method
        """Compiles, and says so in the wheel's tag: the library is of this machine, and of no version of Python."""
        sources = Path(self.root) / _SOURCES
        library = sources / "libsockwarden.so"
        library.unlink(missing_ok=True)
        compiler = shutil.which(os.environ.get("CC") or "cc")
        if not compiler:
            self.app.display_warning("no C compiler (cc) is here: logs are read by Python alone, slower")
            return
        command = [compiler, *_FLAGS, "-o", str(library), *map(str, sorted(sources.glob("*.c")))]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - the machine's compiler
            self.app.display_warning(f"{compiler} failed: logs are read by Python alone, slower")
            return
        build_data["artifacts"].append(str(library.relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"
