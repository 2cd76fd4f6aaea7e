"""The thread that takes what a spool holds to a receiver, so that a slow one holds nothing but itself."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from sockwarden.sinks.escape import escape
from sockwarden.sinks.spool import Entry, Spool

FIRST_DELAY = 1.0
MOST_DELAY = 300.0
"""Seconds between two tries, doubled from one to the other, with up to half of them taken off at random."""
MOST_ASKED = 3600.0
"""The longest pause that a receiver may ask for."""
CLOSE_SECONDS = 2.0
_POLL = 1.0
"""Seconds after which the spool is looked at unasked: another process may have added."""


class Refusal(msgspec.Struct, frozen=True):
    """An entry that the receiver will never take, and why."""

    entry: Entry
    why: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of the entries of one try.

    done         delivered
    refused      not taken, and never will be
    again        why the rest is to be tried again; empty where there is none
    retry_after  seconds that the receiver asked to wait
    """

    done: Sequence[Entry] = ()
    refused: Sequence[Refusal] = ()
    again: str = ""
    retry_after: float | None = None


class Carrier(Protocol):
    """How entries get to one receiver. All of it is called in the worker's thread, but `interrupt`.

    most_items, most_bytes: of one try; asked before each.
    """

    @property
    def most_items(self) -> int: ...

    @property
    def most_bytes(self) -> int: ...

    def pause(self, now: float) -> float:
        """Seconds until the next try is allowed; `now` is time.monotonic."""

    def send(self, entries: Sequence[Entry]) -> Outcome:
        """One try. What goes wrong is in the outcome; it never raises, and ends within its own time limit."""

    def interrupt(self) -> None:
        """Ends a `send` that waits, as far as that is possible."""

    def close(self) -> None:
        """Lets go of the connection."""


class Refused(Protocol):
    """Takes what a receiver refused."""

    def put(self, refusals: Sequence[Refusal]) -> None: ...


class Worker:
    """Takes entries from the spool to the carrier. `start` begins, `close` ends within CLOSE_SECONDS.

    name: as notes call the receiver. Both ends of an outage are told once, with what waits and what was lost.
    """

    def __init__(self, name: str, spool: Spool, carrier: Carrier, refused: Refused) -> None:
        self.refused = 0
        self._name = escape(name)
        self._spool = spool
        self._carrier = carrier
        self._quarantine = refused
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._notes: list[str] = []
        self._notes_guard = threading.Lock()
        self._failures = 0
        self._began = 0.0
        self._dropped_before = 0
        self._refused_told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    def start(self) -> None:
        """Begins with what waits from before."""
        self._thread.start()

    def wake(self) -> None:
        """Says that there is something new."""
        self._wake.set()

    def notes(self) -> list[str]:
        """What changed since the last call, for a person."""
        with self._notes_guard:
            notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Delivers what waits as far as the time allows; the rest stays in the spool."""
        until = time.monotonic() + CLOSE_SECONDS
        self._ending.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS * 0.75)
        if self._thread.is_alive():
            self._carrier.interrupt()
            self._thread.join(max(until - time.monotonic(), 0))

    def _run(self) -> None:
        until = float("inf")
        try:
            while time.monotonic() < until:
                if self._ending.is_set():
                    until = min(until, time.monotonic() + CLOSE_SECONDS * 0.7)
                self._wake.clear()
                pause = self._carrier.pause(time.monotonic())
                if pause > 0:
                    if self._ending.is_set():
                        return
                    # A flood wakes it with every alert, and changes nothing about the pause.
                    self._ending.wait(min(pause, _POLL))
                    continue
                entries = self._spool.take(self._carrier.most_items, self._carrier.most_bytes)
                if entries:
                    self._try(entries)
                    if self._failures and self._ending.is_set():
                        return
                elif self._ending.is_set():
                    return
                else:
                    self._wake.wait(_POLL)
        finally:
            self._carrier.close()

    def _try(self, entries: Sequence[Entry]) -> None:
        try:
            outcome = self._carrier.send(entries)
        except Exception as error:  # noqa: BLE001 - a thread that ends without a word would deliver nothing any more
            outcome = Outcome(again=f"an error in sockwarden: {error!r}")
        if outcome.refused:
            self._refuse(outcome.refused)
        if outcome.done or outcome.refused:
            self._spool.done([*outcome.done, *(refusal.entry for refusal in outcome.refused)])
        if outcome.again:
            self._failed(outcome)
        elif self._failures:
            self._recovered()

    def _refuse(self, refusals: Sequence[Refusal]) -> None:
        self._quarantine.put(refusals)
        self.refused += len(refusals)
        for why in dict.fromkeys(refusal.why for refusal in refusals):
            # The receiver chooses the words: it must not fill the terminal, nor the memory.
            if why not in self._refused_told and len(self._refused_told) < 10:
                self._refused_told.add(why)
                self._tell(f"an alert was refused\n{escape(why)}\nWhat is refused is kept beside the spool.")

    def _failed(self, outcome: Outcome) -> None:
        if not self._failures:
            self._began, self._dropped_before = time.monotonic(), self._spool.dropped
            self._tell(
                f"alerts cannot be delivered\n{escape(outcome.again)}\nThey wait in the spool and are tried again."
            )
        delay = min(FIRST_DELAY * 2.0 ** min(self._failures, 30), MOST_DELAY)
        delay *= random.uniform(0.5, 1)  # noqa: S311 - so that many hosts do not come back in step
        self._failures += 1
        self._ending.wait(max(delay, min(outcome.retry_after or 0.0, MOST_ASKED)))

    def _recovered(self) -> None:
        lost = self._spool.dropped - self._dropped_before
        self._failures = 0
        seconds = time.monotonic() - self._began
        self._tell(
            f"alerts are delivered again after {seconds:,.0f} s; waiting: {self._spool.waiting:,}, "
            f"without room in the spool meanwhile, and lost: {lost:,}"
        )

    def _tell(self, what: str) -> None:
        with self._notes_guard:
            self._notes.append(f"{self._name}: {what}")
