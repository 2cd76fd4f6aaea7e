"""The spool: what was added is delivered at least once, whatever happens to process, disk and file."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.sinks import spool as spool_module
from sockwarden.sinks.spool import Spool, totals_of

MIB = 1 << 20
NOISE = os.urandom(1 << 16)
"""What zlib cannot make smaller."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool-x.db"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is tried again at once."""
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)


def payloads(spool: Spool, most: int = 1_000_000) -> list[bytes]:
    return [entry.payload for entry in spool.take(most, 1 << 30)]


def test_oldest_first_and_private(path: Path) -> None:
    spool = Spool(path, MIB)
    assert spool.add_all([("a", b"1"), ("b", b"2")]) == [True, True]
    assert spool.add("c", b"3")
    first = spool.take(2, MIB)
    assert [entry.payload for entry in first] == [b"1", b"2"]
    assert spool.take(2, MIB) == first, "an entry stays until it is done"
    spool.done(first)
    assert (payloads(spool), spool.waiting, spool.dropped) == ([b"3"], 1, 0)
    spool.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = Spool(path, MIB)
    assert payloads(again) == [b"3"]
    again.close()
    totals = totals_of(path)
    assert totals and (totals.waiting, totals.delivered, totals.dropped) == (1, 2, 0)


def test_as_many_bytes_as_asked_for_but_at_least_one(path: Path) -> None:
    spool = Spool(path, MIB)
    spool.add_all([(str(n), bytes(1000)) for n in range(5)])
    assert [len(spool.take(9, most)) for most in (1, 1000, 2999, 3000, 9999)] == [1, 1, 2, 3, 5]
    spool.close()


def test_a_known_key_is_not_taken_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(path, MIB)
    assert [spool.add("a", b"1"), spool.add("a", b"1")] == [True, False]
    spool.done(spool.take(1, MIB))
    assert not spool.add("a", b"1"), "delivered before"
    spool.close()
    monkeypatch.setattr("sockwarden.sinks.spoolfile.MOST_KEYS", 2)
    again = Spool(path, MIB)
    assert not again.add("a", b"1"), "delivered by an earlier run"
    again.add_all([("b", b""), ("c", b"")])
    again.done(again.take(2, MIB))
    assert again.add("a", b"1"), "forgotten after the last two"
    assert (again.duplicates, again.waiting) == (1, 1)
    again.close()


def test_when_it_is_full_the_first_and_the_last_stay(path: Path) -> None:
    """Of 40 entries in room for 10 the five oldest and the five newest."""
    spool = Spool(path, 10 * 1100)
    for n in range(40):
        assert spool.add(str(n), n.to_bytes(4, "big") + NOISE[:1000])
    kept = [int.from_bytes(payload[:4], "big") for payload in payloads(spool)]
    assert kept[:5] == [0, 1, 2, 3, 4] and kept[-4:] == [36, 37, 38, 39]
    assert spool.dropped == 40 - len(kept) == 40 - spool.waiting
    totals = totals_of(path)
    assert totals and totals.bytes <= 11_000 and totals.dropped == spool.dropped
    spool.close()


def test_what_is_being_delivered_is_not_dropped(path: Path) -> None:
    spool = Spool(path, 10 * 1100)
    spool.add_all([(str(n), NOISE[n : n + 1000]) for n in range(9)])
    taken = spool.take(8, MIB)
    for n in range(9, 30):
        spool.add(str(n), NOISE[n : n + 1000])
    assert spool.take(8, MIB) == taken
    spool.close()


def test_what_never_fits_is_dropped_alone(path: Path) -> None:
    spool = Spool(path, 4000)
    spool.add("a", b"1")
    assert spool.add("large", NOISE)
    assert (payloads(spool), spool.dropped) == ([b"1"], 1)
    spool.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("atd"), st.integers(0, 30), st.integers(1, 900)), max_size=60))
def test_counts_are_what_is_there(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool-x.db"
    spool = Spool(path, 5000)
    added = delivered = 0
    for what, key, size in steps:
        if what == "a":
            added += spool.add(str(key), NOISE[:size])
        elif what == "d":
            entries = spool.take(3, 1500)
            spool.done(entries)
            delivered += len(entries)
    rows = sqlite3.connect(path)
    found = rows.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM entries").fetchone()
    rows.close()
    totals = totals_of(path)
    assert totals and found == (totals.waiting, totals.bytes) and totals.bytes <= 5000
    assert added == totals.waiting + totals.dropped + delivered
    spool.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from sockwarden.sinks.spool import Spool
spool = Spool(Path(sys.argv[1]), 1 << 24)
for n in range(10_000):
    spool.add(str(n), b"%d" % n)
    print(n, flush=True)
"""


def test_killed_at_any_moment(path: Path) -> None:
    """What was said to be taken is there after a kill, each once, and goes on where it was."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if line == "100\n":
            process.send_signal(signal.SIGKILL)
            break
    said = [100, *(int(line) for line in process.stdout if line.endswith("\n"))]
    process.wait(30)
    process.stdout.close()
    spool = Spool(path, MIB)
    found = [int(payload) for payload in payloads(spool)]
    assert found == list(range(len(found))) and len(found) > said[-1]
    assert spool.notes() == []
    spool.close()


def test_of_two_processes_one_delivers(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sockwarden.sinks.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), 1 << 20); spool.add('theirs', b'2'); print(len(spool.take(9, 999)))"
    )
    ours = Spool(path, MIB)
    ours.add("ours", b"1")
    assert payloads(ours) == [b"1"]
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"
    assert payloads(ours) == [b"1", b"2"]
    ours.close()
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "2\n"


def test_file_deleted_meanwhile(path: Path) -> None:
    spool = Spool(path, MIB)
    spool.add("a", b"1")
    for file in path.parent.iterdir():
        file.unlink()
    assert spool.add("b", b"2")
    assert payloads(spool) == [b"1", b"2"]
    assert len(notes := spool.notes()) == 1 and "moved or deleted" in notes[0]
    spool.close()
    again = Spool(path, MIB)
    assert payloads(again) == [b"1", b"2"]
    again.close()


@pytest.mark.parametrize("kind", ["damaged", "link", "folder", "later"])
def test_goes_on_in_memory(path: Path, impatient: None, kind: str) -> None:
    path.parent.mkdir()
    if kind == "damaged":
        path.write_bytes(b"no database" * 1000)
    elif kind == "link":
        path.symlink_to(path.parent / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        later = sqlite3.connect(path)
        later.execute("PRAGMA user_version = 7")
        later.close()
    spool = Spool(path, MIB)
    for n in range(50):
        assert spool.add(str(n), b"%d" % n)
        assert not spool.add(str(n), b"%d" % n)
    spool.done(spool.take(10, MIB))
    assert payloads(spool)[0] == b"10"
    assert spool.waiting == 40
    (note,) = spool.notes()
    assert "cannot be used" in note and str(path) in note
    # Mended: what was held goes to the disk, what was delivered meanwhile stays delivered.
    path.rmdir() if kind == "folder" else path.unlink()
    assert not spool.add("3", b"3")
    assert [int(payload) for payload in payloads(spool)] == list(range(10, 50))
    (note,) = spool.notes()
    assert "written again" in note
    assert spool.close() == 0
    assert not (path.parent / "elsewhere").exists()
    totals = totals_of(path)
    assert totals and totals.waiting == 40


def test_memory_is_bounded_and_its_loss_is_told(path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MOST_MEMORY", 10_000)
    path.mkdir(parents=True)
    spool = Spool(path, MIB)
    for n in range(30):
        spool.add(str(n), NOISE[:1000])
    assert spool.dropped == 21 and spool.waiting == 9
    path.rmdir()
    assert spool.waiting == 9
    assert "21 entries, which are lost" in spool.notes()[-1]
    spool.close()
    totals = totals_of(path)
    assert totals and (totals.waiting, totals.dropped) == (9, 21)


def test_lost_with_the_process_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    spool = Spool(path, MIB)
    spool.add("a", b"1")
    assert spool.close() == 1 and spool.dropped == 1


def test_full_disk(path: Path, impatient: None) -> None:
    """SQLite's own limit of pages gives the same error as a disk without space."""
    spool = Spool(path, 64 * MIB)
    spool.add("a", b"1")
    database = spool._database
    assert database
    database.execute("PRAGMA max_page_count = 12")
    for n in range(100):
        assert spool.add(str(n), NOISE[:1000])
    assert spool.dropped == 0 and spool.waiting == 101
    assert "full" in spool.notes()[0]
    assert len(payloads(spool)) == 101
    spool.close()


def test_a_damaged_entry_does_not_hold_the_others(path: Path) -> None:
    spool = Spool(path, MIB)
    spool.add_all([("a", b"1"), ("b", b"2"), ("c", b"3")])
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE entries SET payload = x'00' WHERE number = 2")
    other.close()
    assert payloads(spool) == [b"1", b"3"]
    assert spool.dropped == 1 and "damaged" in spool.notes()[0]
    spool.close()


def test_two_threads(path: Path) -> None:
    spool, found = Spool(path, MIB), list[bytes]()

    def work() -> None:
        while len(found) < 500:
            entries = spool.take(7, MIB)
            found.extend(entry.payload for entry in entries)
            spool.done(entries)

    thread = threading.Thread(target=work)
    thread.start()
    for n in range(500):
        spool.add(str(n), b"%d" % n)
    thread.join(30)
    assert [int(payload) for payload in found] == list(range(500))
    assert spool.waiting == 0 and spool.notes() == []
    spool.close()
