"""Alerts while they happen, on a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import termios
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest
from rich.console import Console
from story_documents import document_of

from sockwarden.sinks import TerminalGoneError
from sockwarden.sinks.live import MOST_A_SECOND, LiveSink, Status
from sockwarden.sinks.outlet import MOST_PENDING
from sockwarden.stories import Stories

Make = Callable[..., dict[str, Any]]
WIDTH = 80
TIMES = "\N{MULTIPLICATION SIGN}"
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


class Terminal:
    """A pseudo-terminal with the little of an emulator that shows what a person would see."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        os.set_blocking(self.master, False)
        self.file: IO[str] = os.fdopen(slave, "w", encoding="utf-8")
        self.console = Console(file=self.file, width=WIDTH, highlight=False, markup=False, force_terminal=True)
        self.rows = [""]
        self.raw = ""

    def read(self) -> str:
        """Takes what was written, and gives the screen."""
        data = b""
        while True:
            try:
                data += os.read(self.master, 1 << 16)
            except BlockingIOError:
                break
        text = data.decode()
        self.raw += text
        at = 0
        while at < len(text):
            if sequence := _SEQUENCE.match(text, at):
                self._control(sequence[2])
                at = sequence.end()
                continue
            self._character(text[at])
            at += 1
        return "\n".join(self.rows)

    def _control(self, kind: str) -> None:
        if kind in "JK":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 if kind == "J" else len(self.rows) :]
        elif kind == "A":
            self.row = max(self.row - 1, 0)
        else:
            assert kind == "m", f"the emulator does not know CSI {kind}"

    row = column = 0

    def _character(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            self.rows += [""] * (self.row - len(self.rows) + 1)
        else:
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.file.close()
    os.close(terminal.master)


def test_shown_at_once_above_the_status_line(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console, stored=True)
    sink.show(Status("audit", sockets=3))
    sink.tick(time.monotonic())
    assert terminal.read() == "watching by audit · 3 sockets · 0 accesses · 0 alerts · 0 lost"
    sink.add([alert(7), alert(7, rule="Another")])
    screen = terminal.read()
    assert screen.count("A Rule") == screen.count("also high 73  Another") == 1
    assert "sockwarden alerts show" in screen
    assert screen.endswith("\n\nwatching by audit · 3 sockets · 0 accesses · 0 alerts · 0 lost")
    sink.close()
    assert "watching" not in terminal.read()


def test_repeats_are_folded_and_told_when_they_end(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    began = time.monotonic()
    sink.tick(began)
    for serial in range(1, 18):
        sink.add([alert(7, serial=serial)])
    sink.add([alert(8)])
    assert terminal.read().count("A Rule") == 2
    sink.tick(began + 59)
    assert TIMES not in terminal.read()
    sink.tick(began + 61)
    screen = terminal.read()
    assert f"{TIMES}17 in 16 s  /usr/bin/curl 7 → docker /run/docker.sock" in screen
    assert screen.count(TIMES) == 1, "what came once is not told again"
    sink.add([alert(7, serial=30)])
    assert terminal.read().count("A Rule") == 3
    sink.close()


def test_the_end_tells_what_was_folded(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    sink.add([alert(7)])
    sink.add([alert(7, serial=2)])
    sink.close()
    assert f"{TIMES}2" in terminal.read()


def test_what_a_sensor_counted_only_counts_for_many(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    folded = alert(7, serial=2)
    folded["sockwarden"]["loss"] = {"folded": 3500}
    sink.add([folded])
    assert f"{TIMES}3,500 within 1 s" in terminal.read().replace("\n", "")
    sink.add([alert(8)])
    sink.add([alert(8, serial=2) | {"sockwarden": folded["sockwarden"]}])
    sink.close()
    screen = terminal.read()
    assert f"{TIMES}3,501 in 1 s, 3,500 of them counted only" in screen
    assert screen.count(TIMES) == 2, "what the block told is not told again"


def test_many_different_processes_do_not_fill_memory(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    now = time.monotonic()
    for pid in range(1000):
        if pid % MOST_A_SECOND == 0:
            sink.tick(now := now + 1)
        sink.add([alert(pid)])
        terminal.read()
    assert terminal.raw.count("A Rule") == 1000
    assert len(sink._open) <= 256
    sink.close()


def test_a_flood_is_cut_and_hides_no_other_rule(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    began = time.monotonic()
    sink.tick(began)
    for pid in range(3 * MOST_A_SECOND):
        sink.add([alert(pid), alert(pid, rule="Another")])
        terminal.read()
    sink.add([alert(1, rule="Third")])
    sink.tick(began + 1.5)
    screen = terminal.read()
    assert screen.count("A Rule") == MOST_A_SECOND and "Third" in screen
    assert f"and {4 * MOST_A_SECOND} more alerts, too many to show" in screen
    sink.add([alert(9999)])
    assert terminal.read().count("A Rule") == MOST_A_SECOND + 1
    sink.close()


def test_loss_is_red_and_first(terminal: Terminal) -> None:
    sink = LiveSink(terminal.console)
    sink.show(Status("audit", 1, accesses=1, alerts=1, lost=5))
    sink.tick(time.monotonic())
    assert terminal.read() == "watching by audit · 5 lost · 1 socket · 1 access · 1 alert"
    assert "\x1b[1;31m5 lost" in terminal.raw
    sink.close()


def test_an_unchanged_status_is_not_drawn_again(terminal: Terminal) -> None:
    sink = LiveSink(terminal.console)
    for _ in range(3):
        sink.show(Status("audit", 1))
        sink.tick(time.monotonic())
    terminal.read()
    assert terminal.raw.count("watching") == 1
    sink.show(Status("audit", 2))
    sink.tick(time.monotonic())
    assert terminal.read().count("watching") == 1
    sink.close()


def test_a_narrower_terminal(terminal: Terminal) -> None:
    sink = LiveSink(terminal.console)
    sink.show(Status("audit", 1))
    sink.tick(time.monotonic())
    terminal.console.width = 20
    sink.show(Status("audit", 2))
    sink.tick(time.monotonic())
    assert terminal.read() == "watching by audit …"
    sink.close()


def test_health_and_notes(terminal: Terminal, health_alert: dict[str, Any]) -> None:
    sink = LiveSink(terminal.console)
    sink.show(Status("audit", 1))
    sink.tick(time.monotonic())
    sink.add([health_alert])
    sink.tell("the store is full\nfree \x1b[2J some")
    screen = terminal.read()
    assert "Audit was switched off; it is on again." in screen
    assert "enabled 0\\x1b[31m" in screen and "by pid 3" in screen
    assert "unknown program" not in screen
    assert "free \\x1b[2J some\nwatching" in screen
    sink.close()


def test_without_a_terminal_no_status(alert: Make) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as file, os.fdopen(reading, "rb") as result:
        sink = LiveSink(Console(file=file, width=WIDTH))
        sink.show(Status("audit", 1))
        sink.tick(time.monotonic())
        sink.add([alert(7)])
        assert b"A Rule" in result.read1(), "not at once"
        sink.close()
        file.close()
        assert b"watching" not in result.read()


def test_a_closed_terminal_is_told(alert: Make) -> None:
    terminal = Terminal()
    sink = LiveSink(terminal.console)
    os.close(terminal.master)
    with pytest.raises(TerminalGoneError):
        sink.add([alert(7)])
    sink.close()
    terminal.file.close()


def test_a_reader_that_ended_is_told(alert: Make) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        sink = LiveSink(Console(file=file, width=WIDTH))
        os.close(reading)
        with pytest.raises(TerminalGoneError):
            sink.add([alert(7)])
        sink.close()


def test_a_stopped_terminal_does_not_hold_the_run(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console)
    termios.tcflow(terminal.file.fileno(), termios.TCOOFF)
    pid = 0
    now = time.monotonic()
    while not sink.lost:
        pid += 1
        sink.tick(now + pid)
        sink.add([alert(pid, title="x" * 150)])
        assert pid * 150 < 4 * MOST_PENDING
    assert "A Rule" not in terminal.read()
    termios.tcflow(terminal.file.fileno(), termios.TCOON)
    while not sink._outlet.idle:
        sink.tick(time.monotonic())
        terminal.read()
    seen = terminal.raw.count("A Rule")
    assert seen + sink.lost == pid
    assert sink.notes() == [f"alerts not shown, since nobody read for a while: {sink.lost:,}"]
    assert sink.notes() == []
    sink.close()


def test_a_story_comes_under_the_alert_that_it_raises(terminal: Terminal, alert: Make) -> None:
    sink = LiveSink(terminal.console, stored=True)
    sink.show(Status("ebpf", 1))
    sink.add([alert(1)])
    raised = alert(1)
    raised["sockwarden"] = {"alert": {"raised_from": "medium"}}
    sink.add([raised])
    told = Stories(reads=True).take(document_of(asked={"risk": "critical", "summary": "create web"}), [], 0)
    assert told
    sink.story(told.story, raised=[raised])
    sink.tick(time.monotonic())
    screen = terminal.read()
    assert screen.count("A Rule") == 2 and "  raised from medium: A Rule" in screen
    assert screen.index("▲ critical  story") < screen.index("create web") < screen.rindex("watching by ebpf")
    sink.close()
