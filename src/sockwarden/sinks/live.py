"""Alerts on standard output while they happen; on a terminal, above a line that says how the run is."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import msgspec
from rich.console import Console
from rich.text import Text

from sockwarden.alerts import is_raised
from sockwarden.document import Document, get
from sockwarden.sinks.escape import escape
from sockwarden.sinks.fold import MOST_OPEN, SECONDS, Group, begun, is_building_block, key_of, time_of
from sockwarden.sinks.outlet import Outlet
from sockwarden.sinks.story import Screen
from sockwarden.sinks.terminal import Printer, put, repeats, width_of
from sockwarden.stories import Story

MOST_A_SECOND = 50
"""Accesses of one rule that are shown within a second: no person reads more, and printing takes the run's time."""

_ERASE_BELOW = "\r\x1b[J"
_ERASE_REST = "\x1b[K"
_UP = "\x1b[A"


class Status(msgspec.Struct, frozen=True):
    """How the run is.

    sensor    its name
    sockets   runtime sockets under watch
    accesses, requests, alerts  since the start
    lost      events that the sensor could not deliver, or that could not be kept
    folded    accesses of floods, counted and not told one by one
    """

    sensor: str
    sockets: int
    accesses: int = 0
    requests: int = 0
    alerts: int = 0
    lost: int = 0
    folded: int = 0

    def line(self) -> Text:
        """In one line; loss in red, and first, where a narrow terminal does not cut it off."""
        line = Text().append(f"watching by {escape(self.sensor)}", style="dim")
        counts = (
            (self.sockets, "socket", "sockets"),
            (self.accesses, "access", "accesses"),
            *([(self.requests, "request", "requests")] if self.requests else ()),
            (self.alerts, "alert", "alerts"),
        )
        if self.lost:
            line.append(" · ", style="dim").append(f"{self.lost:,} lost", style="bold red")
        if self.folded:
            line.append(" · ", style="dim").append(f"{self.folded:,} counted only", style="bold red")
        for count, one, more in counts:
            line.append(f" · {count:,} {one if count == 1 else more}", style="dim")
        return line if self.lost else line.append(" · 0 lost", style="dim")


class _Open(msgspec.Struct):
    """A group that takes in repeats, when it began on the run's clock, and how many accesses were shown then."""

    group: Group
    began: float
    shown: int


class LiveSink:
    """Prints the alerts of an access at once. What the same process does again to the same socket within 60 s is
    counted, and told in one line when these are over. Of a flood by ever new processes the first MOST_A_SECOND are
    shown, the rest is counted. Never waits; raises TerminalGoneError when nobody can read.
    """

    notifies: ClassVar[bool] = False

    def __init__(self, console: Console, *, stored: bool = False) -> None:
        self._console = console
        self._outlet = Outlet(console.file)
        self._printer = Printer(console, stored=stored)
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._now = self._second = time.monotonic()
        self._shown: Counter[str] = Counter()
        self._withheld = 0
        self._stories = Screen()
        self._status: Status | None = None
        self._drawn: Text | None = None

    @property
    def lost(self) -> int:
        """Alerts that were not shown, since the terminal was stopped for too long."""
        return self._outlet.lost

    def add(self, alerts: Sequence[Document]) -> None:
        """Shows the alerts of one access, or counts them as a repeat; building blocks are not for people."""
        # That an alert was raised its story tells.
        alerts = [alert for alert in alerts if not is_building_block(alert) and not is_raised(alert)]
        if not alerts:
            return
        moment = time_of(alerts[0])
        key = key_of(alerts)
        if repeated := self._open.get(key):
            repeated.group.take(alerts, moment)
            return
        rule = str(get(alerts[0], "kibana.alert.rule.rule_id"))
        self._shown[rule] += 1
        if self._shown[rule] > MOST_A_SECOND:
            self._withheld += len(alerts)
            return
        if len(self._open) >= MOST_OPEN:
            self._end_oldest()
        group = begun(alerts, moment)
        self._open[key] = _Open(group, self._now, group.count)
        self._print(lambda: self._printer.show(group), alerts=len(alerts))

    def story(self, story: Story, *, raised: Sequence[Document] = ()) -> None:
        """Shows a story that rose, at once; of one that goes on, now and then what is new."""
        self._lines(self._stories.take(story, self._width, raised))

    def show(self, status: Status) -> None:
        """Sets what the status line says; drawn by the next `tick`."""
        self._status = status

    def tell(self, note: str) -> None:
        """Prints a note, escaped, in lines of its own."""
        self._print(lambda: self._put(Text(escape(line), style="dim") for line in note.split("\n")))

    def tick(self, now: float) -> None:
        """Ends groups that are over and draws the status line."""
        self._now = now
        while self._open and now - next(iter(self._open.values())).began > SECONDS:
            self._end_oldest()
        if now - self._second >= 1:
            self._second = now
            self._shown.clear()
            self._tell_withheld()
        self._lines(self._stories.tick(now, self._width))
        self._outlet.flush()
        self._draw()

    def reopen(self) -> None:
        """A terminal is not rotated."""

    def notes(self) -> list[str]:
        """What changed since the last call."""
        return self._outlet.notes()

    def close(self) -> None:
        """Tells the repeats of what is open and takes the status line away."""
        self._status = None
        self._tell_withheld()
        while self._open:
            self._end_oldest()
        self._lines(self._stories.close(self._width))
        self._outlet.write(self._erased())
        self._outlet.close()

    def _tell_withheld(self) -> None:
        if self._withheld:
            count, self._withheld = self._withheld, 0
            self.tell(f"  and {count:,} more alerts, too many to show; `sockwarden alerts list` has them")

    def _end_oldest(self) -> None:
        one = self._open.popitem(last=False)[1]
        if one.group.count > one.shown:
            self._print(lambda: self._printer.line(repeats(one.group)))

    def _print(self, lines: Callable[[], object], *, alerts: int = 0) -> None:
        """Puts what a call prints above the status line, in one write."""
        with self._console.capture() as captured:
            lines()
        self._outlet.write(self._erased() + captured.get(), alerts=alerts)
        self._draw()

    @property
    def _width(self) -> int:
        return width_of(self._console)

    def _lines(self, lines: Iterable[Text]) -> None:
        if found := list(lines):
            self._print(lambda: self._put(found))

    def _put(self, lines: Iterable[Text]) -> None:
        for line in lines:
            put(self._console, line)

    def _draw(self) -> None:
        if not self._status or not self._console.is_terminal or not self._outlet.idle:
            return
        line = self._status.line()
        line.truncate(max(self._console.width - 1, 1), overflow="ellipsis")
        if self._drawn == line and self._drawn.spans == line.spans:
            return
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        over = "\r" if self._drawn is None or not self._wrapped() else self._erased()
        self._outlet.write(over + captured.get() + _ERASE_REST)
        self._drawn = line

    def _erased(self) -> str:
        """What takes the status line away."""
        if self._drawn is None:
            return ""
        up = _UP if self._wrapped() else ""
        self._drawn = None
        return up + _ERASE_BELOW

    def _wrapped(self) -> bool:
        """Whether the terminal became narrower than the line. Most have wrapped it then; where one has not, the line
        above is the blank one that ends a block.
        """
        return self._drawn is not None and self._drawn.cell_len > self._console.width
