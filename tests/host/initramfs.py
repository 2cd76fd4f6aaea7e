"""A root file system that the kernel boots with: a cpio archive in the newc form, written straight from files here.

The kernel unpacks one archive after another (Documentation/driver-api/early-userspace/buffer-format.rst), so what stays
the same is written once and what a test adds is put behind it.
"""

from __future__ import annotations

import compileall
import importlib.util
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_SEEN_NOWHERE = ("test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "site-packages", "dist-packages")
_LIBRARIES = (
    *("sockwarden", "click", "msgspec", "rich", "markdown_it", "mdurl", "pygments"),
    *("h11", "hpack", "hyperframe"),
)
_BLOCK = 512


class Archive:
    """Names are the paths in the guest; the folders above a name come with it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._names = stream, {"", "/"}

    def file(self, name: str | Path, source: Path) -> None:
        """A file or a folder with all below it, with its mode and its time, which Python's caches are judged by.
        A symbolic link is followed: what it leads to is what is wanted, at this name.
        """
        found = source.stat()
        if stat.S_ISDIR(found.st_mode):
            for inner in sorted(source.iterdir()):
                self.file(f"{name}/{inner.name}", inner)
        elif stat.S_ISREG(found.st_mode) and self._entry(str(name), found.st_mode, found.st_size, int(found.st_mtime)):
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, self._stream, 1 << 20)
            self._pad(found.st_size, 4)

    def data(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """A file with this content."""
        if self._entry(name, stat.S_IFREG | mode, len(content)):
            self._stream.write(content)
            self._pad(len(content), 4)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        if self._entry(name, stat.S_IFLNK | 0o777, len(target)):
            self._stream.write(target.encode())
            self._pad(len(target), 4)

    def folder(self, name: str | PurePosixPath) -> None:
        """An empty folder."""
        self._entry(str(name), stat.S_IFDIR | 0o755, 0)

    def close(self) -> None:
        """The end of this archive, up to where the next one may begin."""
        self._header("TRAILER!!!", 0, 0, 0)
        self._pad(self._stream.tell(), _BLOCK)

    def _entry(self, name: str, mode: int, size: int, mtime: int = 0) -> bool:
        """Writes a header, if the name is new here."""
        if name in self._names:
            return False
        self.folder(PurePosixPath(name).parent)
        self._names.add(name)
        self._header(name.lstrip("/"), mode, size, mtime)
        return True

    def _header(self, name: str, mode: int, size: int, mtime: int) -> None:
        # One link each, so that the kernel takes no two names for one file.
        fields = (0, mode, 0, 0, 1, mtime, size, 0, 0, 0, 0, len(name.encode()) + 1, 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self._stream.write(header)
        self._pad(len(header), 4)

    def _pad(self, written: int, to: int) -> None:
        self._stream.write(bytes(-written % to))


def add_python(archive: Archive) -> None:
    """This interpreter and its standard library at their paths here; this project and what it needs below /app; the
    command beside the interpreter, where a virtual environment has it.
    """
    python, standard = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    folders = [_package(name) for name in _LIBRARIES]
    objects = [file for folder in (standard / "lib-dynload", *folders) for file in folder.rglob("*.so")]
    for file in (python, *sorted(shared([python, *objects]))):
        archive.file(file, file)
    for source in sorted(standard.iterdir()):
        if source.name not in _SEEN_NOWHERE and not source.name.startswith("config-"):
            _add_modules(archive, source, str(source))
    for folder in folders:
        compileall.compile_dir(folder, quiet=2)
        _add_modules(archive, folder, f"/app/{folder.name}")
    # For an interpreter too that heeds no PYTHONPATH, as the decoder's does not.
    archive.data(f"{sysconfig.get_path('purelib', vars={'base': sys.base_prefix})}/app.pth", b"/app\n")
    command = f"#!{python}\nfrom sockwarden.cli.main import main\nmain()\n"
    archive.data(str(python.with_name("sockwarden")), command.encode(), 0o755)
    archive.link("/bin/python3", str(python))
    archive.link("/bin/sockwarden", str(python.with_name("sockwarden")))


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found and found.origin, f"{name} is no package here"
    return Path(found.origin).parent


def add_programs(archive: Archive, programs: Iterable[Path]) -> None:
    """Programs at their paths here, with the shared libraries that they load."""
    programs = list(programs)
    for file in (*programs, *sorted(shared(programs))):
        archive.file(file, file)


def shared(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs load, as ldd finds them here."""
    printed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = [word for line in printed.splitlines() if not line.endswith(":") for word in line.split()]
    return {Path(word) for word in words if word.startswith("/") and Path(word).is_file()}


def _add_modules(archive: Archive, source: Path, name: str) -> None:
    """Modules with what Python has compiled of them; its optimised forms and tests are read by nobody there."""
    if source.is_dir():
        for inner in sorted(source.iterdir()):
            if inner.name not in _SEEN_NOWHERE:
                _add_modules(archive, inner, f"{name}/{inner.name}")
    elif ".opt-" not in source.name and (source.suffix != ".pyc" or sys.implementation.cache_tag in source.name):
        archive.file(name, source)
