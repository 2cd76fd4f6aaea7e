"""Keeps our rules in the kernel: adds what is wanted, takes away what is not, and notices what others did to them."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from itertools import islice
from pathlib import PurePath
from typing import NamedTuple

from sockwarden.sensors.audit.protocol import Control
from sockwarden.sensors.audit.rule import IO_URING, Rule
from sockwarden.sensors.audit.targets import ours, rules_for
from sockwarden.sensors.limits import Unwatched

_MOST_REMOVED = 64
"""Rules no longer wanted that one look takes away, about a second of waiting (see Control.delete); the next looks
take the rest. Such a rule costs a few records, and waiting costs accesses.
"""


class Fit(NamedTuple):
    """Which rules of ours were gone and have been put back, and all rules as they are now.

    by_others    somebody deleted them
    with_folder  the kernel had dropped them, or they watched a folder of the past: it was replaced or moved
    """

    by_others: list[Rule]
    with_folder: list[Rule]
    listed: list[Rule]


class _Target(NamedTuple):
    path: str
    folder: bool


_Anchor = tuple[int, int]
"""Device and inode of the folder that the kernel hangs a rule on."""


class Placement:
    """The rules wanted and how they were placed.

    io_uring   False once the kernel has refused a rule on that list: it is older than 5.16
    """

    def __init__(self) -> None:
        self.io_uring = True
        self._wanted: dict[_Target, list[Rule]] = {}
        self._placed: dict[Rule, _Anchor | None] = {}
        self._unwatched: dict[_Target, str] = {}
        self._impossible: dict[_Target, str] = {}
        self._refused: dict[_Target, tuple[_Anchor, str]] = {}

    def want(self, paths: Collection[str], folders: Collection[str]) -> None:
        """Which sockets and folders to watch from now on, once `fit` is called."""
        targets = [
            *(_Target(path, False) for path in sorted(paths)),
            *(_Target(path, True) for path in sorted(folders)),
        ]
        wanted, self._impossible, self._refused = {}, {}, {}
        for target in targets:
            try:
                wanted[target] = self._wanted.get(target) or rules_for(target.path, folder=target.folder)
            except ValueError as error:
                self._impossible[target] = str(error)
        self._wanted = wanted

    def unwatched(self) -> list[Unwatched]:
        """What is wanted and has no rule as of the last `fit`."""
        return [Unwatched(target.path, why) for target, why in (self._impossible | self._unwatched).items()]

    def fit(self, control: Control) -> Fit:
        """Makes the kernel's rules fit. OSError only where no request is possible at all."""
        listed = control.rules()
        present = {rule for rule in listed if ours(rule)}
        keep = {rule for rules in self._wanted.values() for rule in rules}
        unwanted = list(islice(present - keep, _MOST_REMOVED))
        for rule in unwanted:
            _delete(control, rule)
        changed = bool(unwanted)
        self._placed = {rule: anchor for rule, anchor in self._placed.items() if rule in keep}
        self._unwatched = {}
        fit = Fit([], [], listed)
        for target, rules in self._wanted.items():
            anchor = _anchor(target)
            if anchor is None:
                self._unwatched[target] = "the folder does not exist" if target.folder else "its folder does not exist"
                self._placed |= {rule: None for rule in rules if rule in self._placed}
                continue
            # A refusal makes a record too, on which others look again: it is not repeated until `want`.
            if target in self._refused and self._refused[target][0] == anchor:
                self._unwatched[target] = self._refused[target][1]
                continue
            for rule in rules:
                if rule in present and self._placed.get(rule) == anchor:
                    continue
                if rule in self._placed:
                    (fit.by_others if self._placed[rule] == anchor else fit.with_folder).append(rule)
                if rule in present:
                    _delete(control, rule)
                    changed = True
                changed |= self._add(control, target, rule, anchor)
        return fit._replace(listed=control.rules()) if changed else fit

    def _add(self, control: Control, target: _Target, rule: Rule, anchor: _Anchor) -> bool:
        """Adds a rule if there is sense in trying: whether it is there then."""
        self._placed.pop(rule, None)
        if rule.filter == IO_URING and (not self.io_uring or target in self._unwatched):
            return False
        try:
            control.add(rule)
        except OSError as error:
            if rule.filter == IO_URING and error.errno == errno.EINVAL:
                self.io_uring = False
            else:
                why = self._unwatched[target] = f"the kernel refused the rule: {error.strerror or error}"
                self._refused[target] = anchor, why
            return False
        self._placed[rule] = anchor
        return True


def _delete(control: Control, rule: Rule) -> None:
    """Takes a rule away; one that is gone or locked is found by the next look at what the kernel lists."""
    try:
        control.delete(rule)
    except TimeoutError:
        raise
    except OSError:
        return


def _anchor(target: _Target) -> _Anchor | None:
    path = target.path if target.folder else str(PurePath(target.path).parent)
    try:
        found = os.stat(path)  # noqa: PTH116 - a path of bytes that are no UTF-8 is fine here
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
