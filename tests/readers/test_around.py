"""Events around places: what is compiled tells of them, and of their likeness, what Python does."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest

from sockwarden import compiled
from sockwarden.auditrecords import Likeness, likeness_of, likeness_told
from sockwarden.readers import plan, stretches_of
from sockwarden.readers.around import Around, Nearby
from sockwarden.readers.stretches import Stretch

pytestmark = pytest.mark.skipif(not compiled.library() and "CI" not in os.environ, reason="there was no C compiler")
CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.audit.log"))
EVENT = (
    b"type=SYSCALL msg=audit(1795000000.123:45): arch=c000003e syscall=42 success=yes exit=0 a0=3 a1=7ffd a2=6e a3=0 "
    b"items=1 ppid=1 pid=70 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=2 "
    b'comm="curl" exe="/usr/bin/curl" subj=unconfined key="sock"\x1dARCH=x86_64 SYSCALL=connect AUID="al" UID="root"\n'
    b"type=SOCKADDR msg=audit(1795000000.123:45): saddr=01002F72756E2F646F636B65722E736F636B00FE\x1dSADDR={ x }\n"
    b'type=CWD msg=audit(1795000000.123:45): cwd="/root"\n'
    b'type=PATH msg=audit(1795000000.123:45): item=0 name="/run/docker.sock" inode=7 dev=00:18 mode=0140660 ouid=0 '
    b'ogid=0 rdev=00:00 nametype=NORMAL cap_fp=0\x1dOUID="root"\n'
    b"type=PROCTITLE msg=audit(1795000000.123:45): proctitle=6375726C002D73\n"
)
OTHER = b"type=USER_END msg=audit(1795000000.120:44): pid=1 uid=0 msg='op=PAM'\n"
AROUND = OTHER.replace(b"PAM", b"PAM" * 900) * 8
"""More than is read around a place: near a file's edge what is compiled tells nothing."""


Opened = Callable[..., Stretch]


@pytest.fixture
def stretch_of(tmp_path: Path) -> Iterator[Opened]:
    """Gives the first stretch of a log that was rotated so often."""
    with ExitStack() as opened:

        def stretch_of(*parts: bytes) -> Stretch:
            folder = Path(mkdtemp(dir=tmp_path))
            for number, text in enumerate(reversed(parts)):
                (folder / f"audit.log{f'.{number}' if number else ''}").write_bytes(text)
            (stream,) = plan([str(folder)])
            return stretches_of(opened.enter_context(stream.open()))[0]

        yield stretch_of


def events(stretch: Stretch, places: Sequence[int]) -> list[Nearby | None]:
    around = Around(stretch, places, with_likeness=True)
    return [around.event(place) for place in places]


def of_both(stretch: Stretch, places: Sequence[int]) -> tuple[list[Nearby | None], list[Nearby | None]]:
    """What is told with what is compiled, and without."""
    found = events(stretch, places)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "library", lambda: None)
        return found, events(stretch, places)


def without_told(found: list[Nearby | None]) -> list[tuple[bytes, bytes, bool] | None]:
    return [(one.text, one.name, one.is_whole) if one else None for one in found]


def starts(text: bytes) -> list[int]:
    return [0, *(match.end() for match in re.finditer(b"\n", text))][:-1]


def told(found: list[Nearby | None]) -> list[tuple[bytes, Likeness | None]]:
    """The texts of events whose likeness what is compiled tells, each with that."""
    return [(one.text, likeness_told(one.told)) for one in found if one and one.told]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: str(capture.name))
def test_every_line_of_a_capture_leads_to_the_same_event(capture: Path, stretch_of: Opened) -> None:
    """A rotation of it, torn at any place, and its lines in disorder."""
    text, chance = capture.read_bytes(), random.Random(capture.name)  # noqa: S311
    lines = text.splitlines(keepends=True)
    for number in range(0, len(lines), 3):
        place = min(number + chance.randrange(4), len(lines) - 1)
        lines[number], lines[place] = lines[place], lines[number]
    disorder, cut = b"".join(lines), chance.randrange(1, len(text))
    seen = 0
    for parts in ([AROUND + text + AROUND], [AROUND + text[:cut], text[cut:] + AROUND], [AROUND + disorder + AROUND]):
        stretch = stretch_of(*parts)
        content = b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)
        found, expected = of_both(stretch, starts(content))
        assert without_told(found) == without_told(expected)
        for own, likeness in told(found):
            assert likeness in (None, likeness_of(own))
            seen += 1
    if b"syscall=42 " in text:
        assert seen, "nothing is told of this capture's connects"


CHANGES = [
    (b" a1=7ffd", b" a1=7FFD"),
    (b"success=yes exit=0", b"success=no exit=-13"),
    (b"exit=0", b"exit=--1"),
    (b"arch=c000003e syscall=42", b"arch=40000003 syscall=102"),
    (b"arch=c000003e syscall=42", b"arch=40000003 syscall=362"),
    (b"syscall=42", b"syscall=49"),
    (b"syscall=42", b"syscall=257"),
    (b" pid=70", b" pid=070"),
    (b" pid=70", b" pid=0"),
    (b" uid=0", b" uid=4294967295"),
    (b"ses=2", b"ses=4294967295"),
    (b"tty=pts0", b"tty=(none)"),
    (b"tty=pts0", b"tty=pt's"),
    (b"tty=pts0", b"tty=" + b"p" * 65),
    (b'comm="curl"', b"comm=6375 "),
    (b'comm="curl"', b"comm=63757G"),
    (b'comm="curl"', b'comm="cu rl"'),
    (b'comm="curl"', b'comm="cu\x7frl"'),
    (b'comm="curl"', b"comm=(null)"),
    (b'exe="/usr/bin/curl"', b"exe=(null)"),
    (b'exe="/usr/bin/curl"', b'exe="/usr/bin/curl"x'),
    (b' subj=unconfined key="sock"', b""),
    (b"subj=unconfined", b"subj=un\0confined"),
    (b'key="sock"', b'key="sock"\0 \r'),
    (b"AUID=", b"\0AUID="),
    (b"AUID=", b"AUID=\x1d"),
    (b"2E736F636B00FE", b"2E736F636B"),
    (b"2E736F636B00FE", b"2E736F636B00F"),
    (b"2E736F636B00FE", b"2E736F636B0FE0"),
    (b"01002F72756E", b"0001002F7275"),
    (b"01002F72756E2F646F636B65722E736F636B00FE", b"0100"),
    (b"01002F72756E2F646F636B65722E736F636B00FE", b"010000"),
    (b"01002F72756E2F646F636B65722E736F636B00FE", b"0100002F61"),
    (b"01002F72756E2F646F636B65722E736F636B00FE", b"020001BB01020304"),
    (b"01002F72756E2F", b"010072756E2F2F"),
    (b"01002F72756E2F", b"01002F70726F632F"),
    (b"saddr=", b"saddr=x"),
    (b"\x1dSADDR", b" SADDR"),
    (b'cwd="/root"', b"cwd=2F722000"),
    (b'cwd="/root"', b'cwd=""'),
    (b'cwd="/root"', b'cwd="/root" x'),
    (b'cwd="/root"', b"cwd=(null)"),
    (b"item=0", b"item=00001"),
    (b'name="/run/docker.sock"', b'name="/run/docker\\sock"'),
    (b'name="/run/docker.sock"', b'name="/run/other.sock"'),
    (b'name="/run/docker.sock"', b"name=2F72756E2F646F636B65722E736F636B"),
    (b"inode=7", b"inode=07"),
    (b"inode=7", b"inode=" + b"7" * 20),
    (b"dev=00:18", b"dev=0:18"),
    (b"dev=00:18", b"dev=00:123456789"),
    (b"mode=0140660", b"mode=0140666"),
    (b"cap_fp=0", b"cap_fp=0 audit(1795000000.123:45):"),
    (b"cap_fp=0", b"cap_fp=0 audit(1795000000.123:45)"),
    (b"6375726C002D73", b'"curl"'),
    (b"6375726C002D73", b'""'),
    (b"6375726C002D73", b"00"),
    (b"6375726C002D73", b"0"),
    (b"6375726C002D73", b"6375726C002D7x"),
    (b"6375726C002D73", b"6375726C002D73 "),
    (b"1795000000.123:45", b"1795000000.12:45"),
    (b"1795000000.123:45", b"179500000012.123:45"),
    (b"1795000000.123:45", b"1795000000.123:45678901234"),
    (b"type=SYSCALL", b"node=a type=SYSCALL"),
    (b"items=1", b"items=2"),
    (b"items=1", b"items=00001"),
    (b"items=1", b"items=0"),
]


@pytest.mark.parametrize(("old", "new"), [(b"", b""), *CHANGES])
def test_an_event_that_is_a_little_different(old: bytes, new: bytes, stretch_of: Opened) -> None:
    event = EVENT.replace(old, new)
    assert (event != EVENT) == bool(old)
    text = AROUND + event + AROUND
    found, expected = of_both(stretch_of(text), starts(text))
    assert without_told(found) == without_told(expected)
    for own, likeness in told(found):
        assert likeness in (None, likeness_of(own))


def test_the_common_form_is_told(stretch_of: Opened) -> None:
    text = AROUND + EVENT + AROUND
    found = events(stretch_of(text), starts(text))
    ((_, likeness), *rest) = told(found)
    assert likeness is not None and likeness == likeness_of(EVENT[:-1])
    assert (likeness.time, likeness.serial, likeness.program) == (1795000000123, 45, (b'"curl"', b'"/usr/bin/curl"'))
    assert likeness.reach is not None and likeness.reach.address == b"/run/docker.sock"
    assert len(rest) == 4, "each of its lines leads to it"


def shuffled(chance: random.Random, number: int) -> bytes:
    """An event with a piece of one changed, or removed, at any place."""
    event = bytearray(EVENT.replace(b":45)", b":%d)" % number))
    for _ in range(chance.randrange(3)):
        at, size = chance.randrange(len(event) - 1), chance.choice([0, 0, 1, 1, 2, 9])
        event[at : at + size] = chance.choice([b"", b"0", b"00", b'"', b" ", b"\0", b"\x1d", b"F", b"2F", b"audit("])
    return bytes(event)


@pytest.mark.parametrize("seed", range(20))
def test_events_with_any_byte_changed(seed: int, stretch_of: Opened) -> None:
    """Among more than is told at once."""
    chance = random.Random(seed)  # noqa: S311
    text = AROUND + b"".join(shuffled(chance, number) for number in range(300)) + AROUND
    found, expected = of_both(stretch_of(text), starts(text))
    assert without_told(found) == without_told(expected)
    likenesses = told(found)
    assert len(likenesses) > 300
    for own, likeness in likenesses:
        assert likeness in (None, likeness_of(own))


def test_an_event_that_has_no_room(stretch_of: Opened) -> None:
    """Of many long ones only some are told at once, of one that is too long nothing."""
    title = b"proctitle=" + b"61" * 2800
    long = b"".join(
        EVENT.replace(b"6375726C002D73", title[10:]).replace(b":45)", b":%d)" % (45 + n)) for n in range(99)
    )
    text = AROUND + long + EVENT.replace(b":45)", b":999)").replace(b"cap_fp=0", b"x" * 15000) + AROUND
    found, expected = of_both(stretch_of(text), starts(text))
    assert without_told(found) == without_told(expected)
    assert len(told(found)) == 99 * 5


def test_a_file_that_became_shorter(stretch_of: Opened) -> None:
    text = OTHER + EVENT * 40 + OTHER
    stretch = stretch_of(text)
    os.truncate(stretch.stream.parts[0].path, len(EVENT) * 2)
    found, expected = of_both(stretch, starts(text))
    assert without_told(found) == without_told(expected)
    assert stretch.stream.failures


REQUEST = (
    b"type=URINGOP msg=audit(1795000000.123:45): uring_op=%d success=yes exit=0 items=1 ppid=1 pid=70 uid=0 gid=0 "
    b"euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 subj=unconfined key=(null)\n"
)


@pytest.mark.parametrize("name", [b"io_uring_enter", b"io_uring_register", b"execve"])
def test_a_call_is_not_over_where_its_request_may_lie_before(name: bytes, stretch_of: Opened) -> None:
    """The kernel records a request once it is done, and the call around it when that ends: any time later."""
    number = {b"io_uring_enter": b"426", b"io_uring_register": b"427", b"execve": b"59"}[name]
    event = EVENT.replace(b"syscall=42", b"syscall=" + number)
    for requests, is_whole in (([], False), ([28], False), ([28, 16], True), ([56], True)):
        text = AROUND + b"".join(REQUEST % request for request in requests) + event + AROUND
        found, expected = of_both(stretch_of(text), starts(text))
        assert without_told(found) == without_told(expected)
        (place,) = re.finditer(rb"^type=SOCKADDR", text, re.MULTILINE)
        one = found[starts(text).index(place.start())]
        assert one is not None and one.is_whole == is_whole
