"""Blocks of whole lines from chunks of bytes."""

from __future__ import annotations

from collections.abc import Iterator

from sockwarden.readers.tally import Tally

MOST_LINE_BYTES = 1 << 20
"""An audit record is never longer; a longer line is skipped and counted."""


def blocks(chunks: Iterator[bytes], tally: Tally, *, most: int = MOST_LINE_BYTES) -> Iterator[bytes]:
    """Blocks that end where a line ends; the last line need not have its newline. A line of more than `most` bytes that
    does not end within one chunk is skipped and counted.
    """
    carry = b""
    skipping = False
    for chunk in chunks:
        tally.read += len(chunk)
        if skipping:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                continue
            skipping = False
        block = carry + chunk
        cut = block.rfind(b"\n") + 1
        if cut:
            yield block[:cut]
        carry = block[cut:]
        if len(carry) > most:
            tally.reject(too_long(most), carry)
            carry, skipping = b"", True
    if carry:
        yield carry + b"\n"


def too_long(most: int) -> str:
    """The reason for which a line of more bytes is rejected."""
    return f"a line longer than {most >> 20} MiB"
