"""What `watch` and `run` share: they go on until a signal ends them, and follow the rules folder meanwhile."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sockwarden.cli.detections import Known, chosen, configured, known_of
from sockwarden.cli.output import print_notes
from sockwarden.detect import Detection
from sockwarden.errors import SockwardenError
from sockwarden.settings import Config
from sockwarden.sinks import TerminalGoneError, escape
from sockwarden.sinks.live import LiveSink

RULES_SECONDS = 3.0
"""How often the rules folder is looked at."""


class Lasting:
    """A command under its signals.

    ended     why it is to end; empty while it is not
    reload    the settings are to be read again
    woken     a descriptor that is readable once a signal came, until `hear`; from `signals` on
    terminal  where alerts and notes share a screen; None where they do not
    """

    def __init__(self, config_path: Path | None, selectors: Sequence[str], output: str) -> None:
        self.ended = ""
        self.reload = False
        self.woken = -1
        self.terminal: LiveSink | None = None
        self.config_path = config_path
        self.selectors = selectors
        self.output = output
        self.known: Known | None = None
        self._look_at = 0.0
        self._had_terminal = _has_terminal()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end it at the next opportunity; SIGHUP reads the settings again, and ends it when it says
        that the terminal is gone.
        """
        self.woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

        def end(number: int, _: object) -> None:
            self.ended = signal.Signals(number).name
            os.eventfd_write(self.woken, 1)

        def hang_up(*_: object) -> None:
            if self._had_terminal and not _has_terminal():
                self.ended = "its terminal closed"
            else:
                self.reload = True
            os.eventfd_write(self.woken, 1)

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self.woken)

    def rest(self, seconds: float) -> None:
        """Waits so long, or until a signal comes."""
        select.select([self.woken], [], [], seconds)
        self.hear()

    def hear(self) -> None:
        """Signals that came so far wake nobody any more."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.woken)

    def tell(self, text: str) -> None:
        """Lines for a person: among the alerts on a terminal, else on standard error."""
        with suppress(OSError, TerminalGoneError):
            if self.terminal:
                self.terminal.tell(text)
            else:
                print_notes(escape(line) for line in text.split("\n"))

    def rules(self, config: Config) -> Known:
        """The rules that there are by the settings, read anew."""
        folder = Path(config.rules.folder) if config.rules.folder else None
        if self.known is None or self.known.path != folder:
            self.known = known_of(config, self.tell)
        else:
            self.known.load()
        return self.known

    def detections(self, config: Config) -> list[Detection]:
        """The detections that were named, or else those that the settings ask for."""
        known = self.rules(config)
        return chosen(self.selectors, known) if self.selectors else configured(config, known)

    def follow(self, take_over: Callable[[], str]) -> None:
        """Every RULES_SECONDS: where the rules folder changed, takes that over and tells what there is now; also
        which exceptions ended meanwhile. A folder that cannot be used changes nothing.
        """
        now = time.monotonic()
        if now < self._look_at or self.known is None:
            return
        self._look_at = now + RULES_SECONDS
        self.known.tell_expired()
        if self.known.changed():
            try:
                told = take_over()
            except SockwardenError as error:
                self.tell(f"the rules were not taken over\n{error}")
                return
            self.tell(f"the rules folder changed: {told}")


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True
