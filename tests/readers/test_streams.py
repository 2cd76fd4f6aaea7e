"""Streams: rotations as one log, gzip, pipes, files that grow, are cut, or may not be read."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sockwarden.errors import InputError
from sockwarden.readers import format_of, plan, streams, stretches
from sockwarden.readers.streams import Stream

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINE = b"type=SYSCALL msg=audit(1795292700.000:1): arch=c000003e\n"


def put(folder: Path, *names: str) -> None:
    """Files that hold their own name, as a line."""
    for name in names:
        content = f"{name}\n".encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def content(stream: Stream) -> bytes:
    with stream:
        return b"".join(stream.chunks())


def failures_of(path: str) -> list[InputError]:
    (stream,) = plan([path])
    with stream:
        list(stream.chunks())
        return list(stream.failures.values())


@pytest.mark.parametrize(
    "names",
    [
        ["audit.log.10", "audit.log.9", "audit.log.2.gz", "audit.log.1", "audit.log"],
        ["audit.log-20261119.gz", "audit.log-20261120", "audit.log-20261121-1200", "audit.log"],
        ["kern.log-20251231", "kern.log.3.gz", "kern.log.2", "kern.log.1", "kern.log"],
        ["audit.log.9999", "audit.log.2"],
    ],
)
def test_rotation_is_one_stream_oldest_first(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, *names)
    by_folder = plan([str(tmp_path)])
    by_names = plan([str(tmp_path / name) for name in sorted(names)])
    for (stream,) in (by_folder, by_names):
        assert content(stream).decode().split() == names
        assert stream.name == str(tmp_path / min(names, key=len))
    assert (by_folder[0].found_in_folder, by_names[0].found_in_folder) == (True, False)


def test_other_files_are_streams_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    put(tmp_path, "audit.log", "audit.log.1", "tracee.json", "sub/audit.log", "audit.log.12345")
    assert [stream.paths for stream in plan([str(tmp_path)])] == [
        [str(tmp_path / "audit.log.1"), str(tmp_path / "audit.log")],
        [str(tmp_path / "audit.log.12345")],
        [str(tmp_path / "tracee.json")],
        [str(tmp_path / "sub" / "audit.log")],
    ]


def test_folder_gives_regular_files_only(tmp_path: Path) -> None:
    put(tmp_path, "audit.log")
    (tmp_path / "link").symlink_to(tmp_path / "audit.log")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert [stream.paths for stream in plan([str(tmp_path)])] == [[str(tmp_path / "audit.log")]]


def test_file_given_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "audit.log")
    path = str(tmp_path / "audit.log")
    (stream,) = plan([path, path, str(tmp_path)])
    assert content(stream) == b"audit.log\n"


def test_no_line_runs_from_one_part_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "audit.log.1").write_bytes(b"cut off")
    (tmp_path / "audit.log").write_bytes(b"next")
    (stream,) = plan([str(tmp_path)])
    assert content(stream) == b"cut off\nnext"


def test_stream_can_be_read_twice_and_tells_how_far_it_is(tmp_path: Path) -> None:
    put(tmp_path, "audit.log.1", "audit.log")
    (stream,) = plan([str(tmp_path)])
    told: list[int] = []
    stream.on_read = told.append
    with stream:
        first = b"".join(stream.chunks())
        assert b"".join(stream.chunks()) == first == b"audit.log.1\naudit.log\n"
        assert told == [12, 22, 12, 22]
        assert stream.size == 22


def test_file_that_grows_is_read_to_the_size_it_had(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(LINE)
    with plan([str(path)])[0] as stream:
        assert b"".join(stream.chunks()) == LINE
        with path.open("ab") as file:
            file.write(LINE)
        assert b"".join(stream.chunks()) == LINE


@pytest.mark.parametrize(
    "contents", [[b"one\ntwo\n", b"three"], [b"one", b"", b"two\n"], [b"", b"x"], [b"\n\na\n", b"b"]]
)
@pytest.mark.parametrize("size", range(1, 12))
def test_stretches_give_every_line_once(
    tmp_path: Path, contents: list[bytes], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", size)
    for number, one in enumerate(reversed(contents)):
        (tmp_path / f"audit.log.{number + 1}").write_bytes(one)
    with plan([str(tmp_path)])[0] as stream:
        lines = b"".join(stream.chunks()).splitlines()
        parts = stretches.stretches_of(stream)
        assert b"".join(b"".join(part.chunks()) for part in parts).splitlines() == lines
        views = [view for part in reversed(parts) for view in part.views()]
        assert sum(view.size for view in views) == stream.plain_size == len(b"".join(stream.chunks()))
        found = [bytes(view.text[view.begin : view.end]) for part in parts for view in part.views()]
        assert b"".join(found).splitlines() == lines


def test_file_that_shrinks_ends_where_it_ends_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(LINE * 10_000)
    with plan([str(path)])[0] as stream:
        os.truncate(path, len(LINE) * 5000)
        assert b"".join(stream.chunks()) == LINE * 5000
        path.unlink()
        assert b"".join(stream.chunks()) == LINE * 5000
        (error,) = stream.failures.values()
        assert "shorter" in error.what
        stream.failures.clear()
        assert stream.read(0, len(LINE) * 10_000).rstrip(b"\n") == (LINE * 5000).rstrip()
        assert next(iter(stream.failures.values())).what == error.what


def test_gzip_cut_short_gives_what_there_was_and_says_so(tmp_path: Path) -> None:
    packed = gzip.compress(LINE * 5000)
    (tmp_path / "audit.log.1.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "audit.log").write_bytes(b"behind\n")
    (stream,) = plan([str(tmp_path)])
    with stream:
        got = b"".join(stream.chunks())
        assert got.startswith(LINE) and got.endswith(b"\nbehind\n")
        (error,) = stream.failures.values()
    assert error.where == str(tmp_path / "audit.log.1.gz") and "gzip" in error.what


@pytest.mark.parametrize(
    "damaged",
    [b"\x1f\x8b", b"\x1f\x8b\x08\0garbage" * 9, gzip.compress(LINE)[:-8] + bytes(8), gzip.compress(LINE) + b"tail"],
    ids=["magic alone", "garbage", "wrong checksum", "garbage behind"],
)
def test_damaged_gzip_is_an_input_error(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "audit.log.gz"
    path.write_bytes(damaged)
    (error,) = failures_of(str(path))
    assert "gzip" in error.what and error.todo


@pytest.mark.parametrize(
    "damaged", [zstd.compress(LINE)[:-1], zstd.compress(LINE)[:4] + b"garbage", zstd.compress(LINE) + b"tail"]
)
def test_damaged_zstd_is_an_input_error(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "audit.log.zst"
    path.write_bytes(damaged)
    (error,) = failures_of(str(path))
    assert "zstd" in error.what and error.todo


def test_zstd_that_unpacks_to_much_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "audit.log.zst"
    path.write_bytes(zstd.compress(bytes(100 << 20)))
    with plan([str(path)])[0] as stream:
        assert sum(map(len, stream.chunks())) == 100 << 20
        assert max(map(len, stream.chunks())) <= streams.CHUNK_BYTES


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_packed_file_of_several_members_is_read_whole(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(compress(b"one\n") + compress(b"two\n"))
    assert content(plan([str(path)])[0]) == b"one\ntwo\n"


@pytest.mark.parametrize(("magic", "name"), [(b"\xfd7zXZ\0", "xz"), (b"BZh9", "bzip2"), (b"PK\3\4", "zip")])
def test_other_compression_is_refused_with_the_way_on(tmp_path: Path, magic: bytes, name: str) -> None:
    path = tmp_path / "audit.log.1"
    path.write_bytes(magic + bytes(100))
    (error,) = failures_of(str(path))
    assert error.what == f"{name} is not read here" and "hunt -" in error.todo


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\x7fELF\0\0" + bytes(9), "binary"),
        (b"hello\n", "no known"),
        (b'{"a":1}', "JSON"),
    ],
)
def test_format_that_is_not_known_says_what_the_input_is(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(data)
    with plan([str(path)])[0] as stream, pytest.raises(InputError) as error:
        format_of(stream)
    assert what in error.value.what and error.value.where == str(path) and error.value.todo


@pytest.mark.parametrize("name", ["missing", "a" * 300, "a/" * 3000, "audit.log/below", "\udcff"])
def test_path_that_cannot_be_opened_is_an_input_error(tmp_path: Path, name: str) -> None:
    put(tmp_path, "audit.log")
    (error,) = failures_of(str(tmp_path / name))
    assert error.what == "the input cannot be opened" and error.why


def test_folder_without_a_file_gives_no_stream(tmp_path: Path) -> None:
    assert plan([str(tmp_path)]) == []


AS_NOBODY = """
import os, sys
from sockwarden.errors import InputError
from sockwarden.readers import plan
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        for stream in plan([path]):
            with stream:
                print(*stream.failures.values(), sep="\\n")
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="changing to another user needs root")
def test_what_may_not_be_read_is_an_input_error(tmp_path: Path) -> None:
    """A file, a folder and a file in a folder, all root's alone; read as nobody."""
    closed = tmp_path / "closed"
    closed.mkdir()
    put(closed, "audit.log")
    put(tmp_path, "audit.log")
    (tmp_path / "audit.log").chmod(0o600)
    closed.chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o111)
    paths = [str(path) for path in (tmp_path / "audit.log", closed, closed / "audit.log")]
    run = subprocess.run([sys.executable, "-c", AS_NOBODY, *paths], capture_output=True, text=True, check=True)
    answers = run.stdout.split("the input cannot be opened\n")[1:]
    assert [path in run.stdout for path in paths] == [True] * 3, run
    assert [answer.startswith("Permission denied\nAudit logs are root's") for answer in answers] == [True] * 3, run


def test_fifo_is_spooled_and_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(LINE * 1000,))
    writer.start()
    with plan([str(path)])[0] as stream:
        assert b"".join(stream.chunks()) == b"".join(stream.chunks()) == LINE * 1000
        assert stream.size == len(LINE) * 1000
    writer.join()


@pytest.mark.parametrize("packed", [False, True])
def test_pipe_on_standard_input(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(LINE * 9) if packed else LINE * 9
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with plan(["-"])[0] as stream:
        assert b"".join(stream.chunks()) == b"".join(stream.chunks()) == LINE * 9
        assert stream.head() == LINE * 9


def test_spool_that_finds_no_room_says_where(tmp_path: Path) -> None:
    """A pipe of more than the file size limit allows, in a process of its own."""
    program = (
        "import resource, signal, sys\nfrom sockwarden.readers import plan\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "with plan(['-'])[0] as stream:\n    print(*stream.failures.values())\n"
    )
    run = subprocess.run([sys.executable, "-c", program], input=b"x" * (1 << 20), capture_output=True, check=True)
    assert b"cannot be kept for reading twice" in run.stdout and b"TMPDIR" in run.stdout
