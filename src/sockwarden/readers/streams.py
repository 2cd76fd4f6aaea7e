"""Inputs as streams of bytes: files, folders, rotated logs as one, gzip, zstd, a pipe.

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
_ZSTD = b"\x28\xb5\x2f\xfd"
_ROTATED = re.compile(r"(?P<stem>.+?)(?:\.(?P<number>\d{1,4})|-(?P<date>\d{8}(?:[-T]?\d{1,6})?))?(?:\.(?:gz|zst))?")
_FOREIGN = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}


class Part:
    """One file of a stream, opened once."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        magic = file.read(len(_ZSTD))
        self._form = "gzip" if magic.startswith(_GZIP) else "zstd" if magic == _ZSTD else ""
        self.size = os.fstat(file.fileno()).st_size
        """Bytes on disk when it was opened; a file that grows is read up to here."""
        self.is_plain = not self._form
        """Whether its bytes are its content."""
        self.ends_in_line = self.size > 0 and os.pread(file.fileno(), 1, self.size - 1) != b"\n"
        """Whether its last line has no newline, while it is plain."""

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Fills the buffer from a place of a plain file; less where the file ends. Raises InputError."""
        filled = 0
        try:
            while filled < len(buffer):
                got = os.preadv(self._file.fileno(), [buffer[filled:]], at + filled)
                if not got:
                    break
                filled += got
        except OSError as error:
            raise self._unreadable(error) from error
        return filled

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def piece(self, at: int, size: int) -> bytes:
        """So many bytes of a plain file; less where it ends, or cannot be read."""
        try:
            return os.pread(self._file.fileno(), size, at)
        except OSError:
            return b""

    def shorter(self) -> InputError:
        """What to say where the file ends before the size that it had."""
        return InputError(
            "the file became shorter while it was read",
            where=self.path,
            why="what is left of it was read",
            todo="A rotation that truncates the log does so; hunt through the rotated copy as well.",
        )

    def _unreadable(self, error: OSError) -> InputError:
        return InputError("the file cannot be read to its end", where=self.path, why=str(error.strerror))

    def chunks(self, begin: int = 0) -> Iterator[bytes]:
        """Its content in pieces, from a place where it is plain. A damaged file raises InputError after all that could
        be read was given.
        """
        self._file.seek(begin)
        try:
            if self._form:
                yield from (_gunzip if self._form == "gzip" else _unzstd)(self._file)
                return
            left, most = self.size - begin, 2 * _HEAD_BYTES
            while left:
                chunk = self._file.read(min(most, left))
                if not chunk:
                    raise self.shorter()
                left -= len(chunk)
                most = CHUNK_BYTES  # the first is small: many want no more than that
                yield chunk
        except (EOFError, zlib.error) as error:
            raise InputError(
                f"the {self._form} file is cut short or damaged",
                where=self.path,
                why=f"{error}; what came before that was read",
                todo="Fetch the file again; an archive that was still being written looks like this too.",
            ) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def position(self) -> int:
        """Bytes on disk that were read."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
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


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    """What a zstd file holds, of any number of frames (RFC 8878), in bounded pieces. Raises EOFError after all that
    lies before its end or a damage.
    """
    # Loaded by those who meet such a file; a watch on a small host needs none of it.
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415

    frame = zstd.ZstdDecompressor()
    try:
        while packed := file.read(1 << 16):
            while packed or not (frame.eof or frame.needs_input):
                if frame.eof:
                    frame = zstd.ZstdDecompressor()
                if chunk := frame.decompress(packed, CHUNK_BYTES):
                    yield chunk
                packed = frame.unused_data if frame.eof else b""
    except zstd.ZstdError as error:
        raise EOFError(str(error)) from error
    if not frame.eof:
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
        self._buffer = bytearray()
        self._plain_size: int | None = None
        self._is_open = False

    def __enter__(self) -> Self:
        return self.open()

    def open(self) -> Self:
        """Opens what is not open; what cannot be is noted in `failures`."""
        if self._is_open:
            return self
        self._is_open, self.parts = True, []
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
        if self.parts and all(part.is_plain for part in self.parts):
            self._plain_size = sum(part.size + part.ends_in_line for part in self.parts) - self.parts[-1].ends_in_line
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        for part in self.parts:
            part.close()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(part.size for part in self.parts)

    @property
    def plain_size(self) -> int | None:
        """Bytes of the content, where every part is plain: with a newline where one part ends without, and another
        follows. None where a part is packed, which nobody can read from the middle.
        """
        return self._plain_size

    def read(self, begin: int, end: int) -> bytearray:
        """A stretch of a content that has a `plain_size`. The buffer is used again by the next call. What cannot be
        read is noted in `failures`, and empty lines stand in its place.
        """
        end = min(end, self._plain_size or 0)
        missing = end - begin - len(self._buffer)
        if missing > len(self._buffer):
            # What the next calls cut from its front is room that it would have to be copied for.
            self._buffer = bytearray((end - begin) * 9 // 8)
        elif missing > 0:
            self._buffer += bytes(missing)
        del self._buffer[end - begin :]
        start = 0
        with memoryview(self._buffer) as buffer:
            for part in self.parts:
                behind = start + part.size
                if start < end and behind > begin:
                    inside = buffer[max(start - begin, 0) : min(behind, end) - begin]
                    self._fill(part, inside, max(begin - start, 0))
                start = behind + part.ends_in_line
                if part.ends_in_line and begin < start <= end:
                    buffer[start - 1 - begin] = 0x0A
        return self._buffer

    def piece(self, begin: int, end: int) -> bytes:
        """The same of a few bytes, by themselves."""
        start, end = 0, min(end, self._plain_size or 0)
        for part in self.parts:
            if start <= begin and end <= start + part.size:
                found = part.piece(begin - start, end - begin)
                return found if len(found) == end - begin else bytes(self.read(begin, end))
            start += part.size + part.ends_in_line
        return bytes(self.read(begin, end))

    def file_at(self, place: int) -> tuple[int, int, int]:
        """The plain file that a place of a content with a `plain_size` is in: descriptor, where it starts, its size."""
        start = 0
        for part in self.parts:
            if place < start + part.size:
                return part.fileno(), start, part.size
            start += part.size + part.ends_in_line
        return -1, 0, 0

    def _fill(self, part: Part, buffer: memoryview, at: int) -> None:
        filled = 0
        try:
            filled = part.read_into(buffer, at)
            if filled < len(buffer):
                raise part.shorter()
        except InputError as error:
            # Its traceback would keep the buffer, which could then not change its size.
            self.failures[part.path] = error.with_traceback(None)
            buffer[filled:] = b"\n" * (len(buffer) - filled)

    def chunks(self, begin: int = 0) -> Iterator[bytes]:
        """The content from its start, or from a place where it has a `plain_size`; no line runs from one part to the
        next. What cannot be read is noted in `failures`, and the rest still comes.
        """
        before, start, last = 0, 0, b"\n"
        for part in self.parts:
            if begin < start and not last.endswith(b"\n"):
                last = b"\n"
                yield last
            if not begin or begin < start + part.size:
                try:
                    for last in part.chunks(max(begin - start, 0)):
                        self.on_read(before + part.position())
                        yield last
                except InputError as error:
                    self.failures[part.path] = error
            elif part.ends_in_line:
                last = b"?"
            before += part.size
            start += part.size + part.ends_in_line

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
        if b"\0" in chunk and not chunk.startswith((_GZIP, _ZSTD)):
            raise InputError(
                "the input is binary, no log", where="the pipe", todo="Logs are text, or gzip or zstd of text."
            )
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
