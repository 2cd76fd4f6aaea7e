"""HPACK: a decoder that knows the whole connection, and one that comes late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hyperframe.frame import HeadersFrame

from sockwarden.requests.http2_headers import MOST_LIST, Block, HeaderBlocks
from sockwarden.requests.stretch import LostError

LONGEST = 1024

_RECORDINGS = Path(__file__).parents[1] / "tests" / "requests" / "recordings"
_HEAD = 9


def seeds() -> Iterator[bytes]:
    """The first header blocks of the recorded connections."""
    for path in sorted(_RECORDINGS.glob("*.http2.tsv")):
        for side in ("received", "sent"):
            lines = (line.split("\t") for line in path.read_text("ascii").splitlines())
            blocks = list(_blocks(b"".join(bytes.fromhex(text) for name, _, text in lines if name == side)))[:6]
            yield b"\1" + b"".join(len(block).to_bytes(2) + block for block in blocks)


def check(data: bytes) -> None:
    """What a late decoder says of a header is what one that saw all says, or that it does not know."""
    blocks = []
    rest = data[1:]
    while len(rest) > 2:
        size = int.from_bytes(rest[:2])
        blocks.append(rest[2 : 2 + size])
        rest = rest[2 + size :]
    skipped = data[0] % 8 if data else 0
    known, late = HeaderBlocks(late=False), HeaderBlocks(late=True)
    for index, block in enumerate(blocks):
        all_of_it = _decoded(known, block)
        if all_of_it is None:
            return
        assert not all_of_it.unknown
        assert sum(len(name) + len(value) for name, value in all_of_it.headers) <= MOST_LIST
        if index < skipped:
            continue
        some_of_it = _decoded(late, block)
        assert some_of_it is not None
        headers = iter(all_of_it.headers)
        assert all(header in headers for header in some_of_it.headers)
        assert some_of_it.unknown or some_of_it.headers == all_of_it.headers


def _decoded(blocks: HeaderBlocks, data: bytes) -> Block | None:
    frame = HeadersFrame(1, data)
    frame.flags.add("END_HEADERS")
    try:
        return blocks.take(frame)
    except LostError:
        return None


def _blocks(data: bytes) -> Iterator[bytes]:
    at = data.find(b"SM\r\n\r\n") + 6 if data.startswith(b"PRI") else 0
    while at + _HEAD <= len(data):
        size = int.from_bytes(data[at : at + 3])
        if data[at + 3] == 1:
            yield data[at + _HEAD : at + _HEAD + size]
        at += _HEAD + size
