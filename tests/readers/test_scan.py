"""The compiled walk over a log's lines: what it says of a line, and which it need not tell of again."""

from __future__ import annotations

import os
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden import compiled
from sockwarden.readers import scan
from sockwarden.readers.candidates import accesses
from sockwarden.readers.look import HEADER, Look
from sockwarden.readers.stretches import View
from sockwarden.sockets import packaged

pytestmark = pytest.mark.skipif(not compiled.library() and "CI" not in os.environ, reason="there was no C compiler")
MOST = 300
STAMP = b"msg=audit(1.000:1)"


def walk_of(most_line: int = MOST) -> scan.Walk:
    library = compiled.library()
    assert library
    return scan.Walk(library, most_line)


def told(text: bytes, most_line: int = MOST) -> list[tuple[int, bytes, bytes]]:
    """Of each line that is told of: its kind, its beginning, the text that decides."""
    held = bytearray(text)
    lines = walk_of(most_line).lines(held, 0, len(held))
    return [(kind, bytes(held[start : start + 9]), bytes(held[begin:end])) for kind, start, begin, end in lines]


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        (b"type=SOCKADDR %s: saddr=0100AB", scan.ADDRESS, b"0100AB"),
        (b"node=a.b type=SOCKADDR %s: saddr=0100AB saddr=02", scan.ADDRESS, b"0100AB saddr=02"),
        (b"type=PATH %s: item=0 mode=0140660", scan.SOCKET_FILE, b": item=0 mode=0140660"),
        (b"type=SYSTEM_BOOT %s: pid=1", scan.BOOT, b""),
        (b"type=KERNEL %s: x", scan.BOOT, b""),
        (b"type=PATH %s: item=0 mode=0100660", None, b""),
        (b"type=SOCKADDR %s: family=1", None, b""),
        (b"type=SYSCALL %s: saddr=0100AB mode=014", None, b""),
        (b"type=SOCKADD %s: saddr=0100AB", None, b""),
        (b"type=SOCKADDR2 %s: saddr=0100AB", None, b""),
    ],
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_kinds(line: bytes, kind: int | None, text: bytes, end: bytes) -> None:
    found = [one for one in told(line % STAMP + end) if one[0] != scan.OTHER]
    assert [one[0] for one in found] == ([] if kind is None else [kind])
    if text:
        assert found[0][2] == text


PIECES = [
    b"type=",
    b"node=",
    b"PATH",
    b"SOCKADDR",
    b" ",
    b"msg=audit(",
    b"1.000:1",
    b")",
    b":",
    b"\0",
    b"\xff",
    b"a" * 39,
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join), max_size=8))
def test_what_is_no_record_is_what_the_header_says(lines: list[bytes]) -> None:
    text = b"\n".join(lines)
    start, expected = 0, []
    for line in lines:
        if start < len(text) and (not HEADER.match(line) or len(line) > MOST):
            expected.append(line)
        start += len(line) + 1
    assert [text for kind, _, text in told(text) if kind == scan.OTHER] == expected


@pytest.mark.parametrize("longer", [0, 1])
def test_the_longest_line(longer: int) -> None:
    line = b"type=SOCKADDR %s: saddr=0100" % STAMP
    line += b"A" * (MOST - len(line) + longer)
    assert [kind for kind, *_ in told(line)] == [scan.OTHER if longer else scan.ADDRESS]


def test_what_is_passed_over_comes_no_more_and_the_rest_does() -> None:
    """Of thousands of addresses, one half is passed over as it comes; beyond what is kept, it may come again."""
    addresses = [b"0100%08X" % (number % 3000) for number in range(30_000)]
    text = bytearray(b"".join(b"type=SOCKADDR %s: saddr=%s\n" % (STAMP, address) for address in addresses))
    walk = walk_of()
    wanted = [address for address in addresses if address.endswith((b"0", b"2", b"4", b"6", b"8", b"A", b"C", b"E"))]
    found, passed = [], 0
    for kind, _, begin, end in walk.lines(text, 0, len(text)):
        address = bytes(text[begin:end])
        if address in set(wanted[:1500]):
            found.append(address)
        else:
            passed += 1
            walk.pass_over(kind, address)
    assert found == wanted
    assert 1500 <= passed < 6000
    assert walk.end() == array("I")


@pytest.mark.parametrize("address", [b"0200", b"02000", b"0100", b"10", b""])
def test_of_an_address_that_is_cut_nothing_behind_it_is_read(address: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    text = bytearray(b"type=SOCKADDR %s: saddr=%s\n" % (STAMP, address))
    passed: list[bytes] = []
    monkeypatch.setattr(scan.Walk, "pass_over", lambda _self, _kind, text: passed.append(text))
    Look([accesses(packaged().wanted)]).over(View(text, 0, len(text), len(text)), 0)
    assert passed in ([address], [])


@pytest.mark.parametrize("more", [b"", b"A", b"AB" * 40])
def test_a_text_is_known_by_all_of_it(more: bytes) -> None:
    """An address that is no longer than what tells a TCP port says nothing of those that begin with it."""
    text = bytearray(b"type=SOCKADDR %s: saddr=01002F61\n" % STAMP)
    text += b"".join(b"type=SOCKADDR %s: saddr=01002F61%s\n" % (STAMP, more) for _ in range(100))
    walk = walk_of()
    lines = walk.lines(text, 0, len(text))
    kind, _, begin, end = next(lines)
    walk.pass_over(kind, bytes(text[begin:end]))
    assert len(list(lines)) == (100 if more else 63), "64 are told of at once, before anything is known"


SOCKETS = [(b"type=PATH %s: item=0 inode=%d mode=0140666" % (STAMP, number % 3), number % 3) for number in range(3000)]


def test_where_a_text_is_that_has_a_number_is_noted() -> None:
    """Of each the first so many places, from a base on, in one text after another; and once that there are more."""
    walk, told_of = walk_of(), 0
    expected: dict[int, list[int]] = {1: [], 2: [], 3: []}
    for base, part in ((10, SOCKETS[:300]), (1_000_000, SOCKETS[300:])):
        text, at = bytearray(b"".join(line + b"\n" for line, _ in part)), base
        for line, inode in part:
            expected[inode + 1].append(at)
            at += len(line) + 1
        for kind, start, begin, end in walk.lines(text, 0, len(text), base):
            number = SOCKETS[told_of][1] + 1
            expected[number].remove(base + start)
            walk.note(kind, bytes(text[begin:end]), number)
            told_of += 1
    noted = walk.end()
    assert noted is not None and told_of == 64
    for number, places in expected.items():
        found = [place for one, place in zip(noted[::2], noted[1::2], strict=True) if one == number]
        assert found == [*places[:32], scan.MANY]


def test_beyond_what_can_be_noted_nothing_is() -> None:
    lines = [b"type=PATH %s: item=0 inode=%d mode=0140666\n" % (STAMP, number % 300) for number in range(60_000)]
    text, walk = bytearray(b"".join(lines)), walk_of()
    for kind, _, begin, end in walk.lines(text, 0, len(text)):
        walk.note(kind, bytes(text[begin:end]), 7)
    assert walk.end() is None
    assert walk_of().end() == array("I"), "the next one begins anew"
