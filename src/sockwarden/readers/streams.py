"""Inputs as streams of bytes: files, folders, rotated logs as one, gzip, a pipe.

A stream is read more than once (a log first teaches, then is judged), so its files stay open, a file that grows is
read up to the size it had, and a pipe is spooled to disk.
"""

from __future__ import annotations

import os
import re
import resource
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from sockwarden.errors import InputError

CHUNK_BYTES = 1 << 22
_HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_ROTATED = re.compile(r"(?P<stem>.+?)(?:\.(?P<number>\d{1,4})|-(?P<date>\d{8}(?:[-T]?\d{1,6})?))?(?:\.gz)?")
_FOREIGN = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


class Part:
    """One file of a stream, opened once."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._gzip = file.read(2) == _GZIP
        self.size = os.fstat(file.fileno()).st_size
        """Bytes on disk when it was opened; a file that grows is read up to here."""

    def chunks(self) -> Iterator[bytes]:
        """Its content in pieces. A damaged file raises InputError after all that could be read was given."""
        self._file.seek(0)
        try:
            if self._gzip:
                yield from _unpack(self._file)
                return
            left = self.size
            while left and (chunk := self._file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
        except (EOFError, zlib.error) as error:
            raise InputError(
                "the gzip file is cut short or damaged",
                where=self.path,
                why=f"{error}; what came before that was read",
                todo="Fetch the file again; an archive that was still being written looks like this too.",
            ) from error
        except OSError as error:
            raise InputError("the file cannot be read to its end", where=self.path, why=str(error.strerror)) from error

    def position(self) -> int:
        """Bytes on disk that were read."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _unpack(file: BinaryIO) -> Iterator[bytes]:
    """What a gzip file holds, of any number of members (RFC 1952), in bounded pieces. Unlike gzip.GzipFile it gives all
    that lies before a damage, and then raises EOFError or zlib.error.
    """
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    # Small pieces: what follows a member is copied, and a file may hold any number of members.
    while packed := file.read(1 << 16):
        while packed:
            if member.eof:
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            if chunk := member.decompress(packed, CHUNK_BYTES):
                yield chunk
            # Zeros may pad the end (RFC 1952 says nothing of it, tape archives do it).
            packed = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError("the file ends before the archive does")


class Stream:
    """Parts that are one log, oldest first. Use as a context manager: its files are open inside."""

    def __init__(self, name: str, paths: list[str], *, found_in_folder: bool = False) -> None:
        self.name = name
        self.paths = paths
        self.found_in_folder = found_in_folder
        self.parts: list[Part] = []
        self.failures: dict[str, InputError] = {}
        self.on_read: Callable[[int], None] = lambda _: None
        """Told how many bytes on disk were read, piece by piece."""

    def __enter__(self) -> Self:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and len(self.paths) > soft // 2:
            # A year of daily logs is more files than a shell allows; the process may ask for more.
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for path in self.paths:
            try:
                self.parts.append(Part(path, _open(path)))
            except InputError as error:
                self.failures[path] = error
            except OSError as error:
                self.failures[path] = _unreadable(path, error)
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.parts:
            part.close()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(part.size for part in self.parts)

    def chunks(self) -> Iterator[bytes]:
        """The content from its start; no line runs from one part to the next. What cannot be read is noted in
        `failures`, and the rest still comes.
        """
        before, last = 0, b"\n"
        for part in self.parts:
            if not last.endswith(b"\n"):
                yield b"\n"
            try:
                for last in part.chunks():
                    self.on_read(before + part.position())
                    yield last
            except InputError as error:
                self.failures[part.path] = error
            before += part.size

    def head(self, size: int = _HEAD_BYTES) -> bytes:
        """The first bytes that are not white space, for telling the format."""
        head = b""
        for chunk in self.chunks():
            head = (head + chunk[: size * 2]).lstrip()
            if len(head) >= size:
                break
        return head[:size]


def plan(paths: list[str]) -> list[Stream]:
    """The streams that these paths are: files of one rotation together, a folder's files by their rotations."""
    families: dict[tuple[str, str], list[str]] = {}
    from_folders: set[tuple[str, str]] = set()
    for path in paths:
        if path != "-" and os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where this says no
            for file in _files_below(path):
                families.setdefault(_family(file), []).append(file)
                from_folders.add(_family(file))
        else:
            families.setdefault(_family(path), []).append(path)
    return [
        Stream(min(members, key=len), sorted(set(members), key=_age), found_in_folder=family in from_folders)
        for family, members in families.items()
    ]


def _files_below(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise _unreadable(error.filename or folder, error)

    for root, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(root, name)  # noqa: PTH118 - pathlib drops the `./` that the user wrote
            if not os.path.islink(path) and os.path.isfile(path):  # noqa: PTH113, PTH114 - as above
                yield path


def _family(path: str) -> tuple[str, str]:
    folder, name = os.path.split(path)
    match = _ROTATED.fullmatch(name)
    return folder, match["stem"] if match else name


def _age(path: str) -> tuple[int, str, int, str]:
    """Sorts the oldest first: dated files, then audit.log.4 … audit.log.1, then audit.log."""
    match = _ROTATED.fullmatch(os.path.basename(path))  # noqa: PTH119 - as above
    if match and match["date"]:
        return 0, match["date"], 0, path
    if match and match["number"]:
        return 1, "", -int(match["number"]), path
    return 2, "", 0, path


def _open(path: str) -> BinaryIO:
    """The file, or a spooled copy of what can be read only once."""
    if path == "-":
        return _spool(sys.stdin.buffer)
    file = Path(path).open("rb")  # noqa: SIM115 - the part closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        with file:
            return _spool(file)
    magic = file.read(6)
    file.seek(0)
    for start, name in _FOREIGN.items():
        if magic.startswith(start):
            file.close()
            raise InputError(
                f"{name} is not read here", where=path, todo=f"Unpack it into a pipe: … | sockwarden hunt -  ({name})"
            )
    return file


def _spool(source: BinaryIO) -> BinaryIO:
    import tempfile  # noqa: PLC0415 - it brings shutil and random, for pipes alone

    spool = tempfile.TemporaryFile(prefix="sockwarden-")  # noqa: SIM115 - the part closes it
    try:
        chunk = source.read(_HEAD_BYTES)
        if b"\0" in chunk and not chunk.startswith(_GZIP):
            raise InputError("the input is binary, no log", where="the pipe", todo="Logs are text, or gzip of text.")
        while chunk:
            spool.write(chunk)
            chunk = source.read(CHUNK_BYTES)
        spool.flush()
    except OSError as error:
        spool.close()
        raise InputError(
            "the pipe cannot be kept for reading twice",
            where=tempfile.gettempdir(),
            why=error.strerror or "",
            todo="Set TMPDIR to a folder with room for the whole input, or hunt through a file.",
        ) from error
    spool.seek(0)
    return spool


def _unreadable(path: str, error: OSError) -> InputError:
    todo = {
        "No such file or directory": "Check the path; recorded logs are usually in /var/log/audit.",
        "Permission denied": "Audit logs are root's: run it with sudo, or copy the log and hunt through the copy.",
    }
    reason = error.strerror or str(error)
    return InputError("the input cannot be opened", where=path, why=reason, todo=todo.get(reason, ""))
