"""The user's rules folder: rules, exception lists and value lists beside those that sockwarden brings.

*.toml             rules; one with the rule_id of a packaged rule replaces it
exceptions/*.toml  exception lists
lists/NAME         value lists
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from sockwarden.errors import RuleError, SockwardenError
from sockwarden.ownership import refuse_foreign
from sockwarden.rules.exceptions import BrokenList, ExceptionList, load_list
from sockwarden.rules.files import read_text
from sockwarden.rules.load import parse_rule
from sockwarden.rules.rule import Rule

MOST_FILES = 10_000

Fingerprint = tuple[tuple[str, int, int, int, int], ...]


class Content(msgspec.Struct, frozen=True, eq=False):
    """What a folder held. errors: one for each file that cannot be used."""

    rules: tuple[Rule, ...] = ()
    lists: tuple[ExceptionList | BrokenList, ...] = ()
    errors: tuple[SockwardenError, ...] = ()

    def with_exceptions(self, rules: Iterable[Rule]) -> tuple[list[Rule], list[SockwardenError]]:
        """The rules with the exceptions that they name or that are for them, and an error for each rule that is left
        out since a list of it is not there or cannot be used: without it, it would tell what nobody wants to be told.
        """
        named: dict[str, list[ExceptionList | BrokenList]] = {}
        applying: dict[str, list[ExceptionList | BrokenList]] = {}
        for one in self.lists:
            if one.list_id is not None:
                named.setdefault(one.list_id, []).append(one)
            for target in one.applies_to:
                applying.setdefault(target.casefold(), []).append(one)
        found: list[Rule] = []
        errors: list[SockwardenError] = []
        for rule in rules:
            lists = [one for name in rule.exception_lists for one in named.get(name, ())]
            lists += [one for word in (rule.rule_id, rule.name, rule.stem) for one in applying.get(word.casefold(), ())]
            sound = {id(one): one for one in lists if isinstance(one, ExceptionList)}
            broken = [one for one in lists if isinstance(one, BrokenList)]
            unknown = [name for name in rule.exception_lists if name not in named]
            if broken:
                what = f"the rule {rule.name!r} is not run: its exceptions cannot be used"
                errors.append(RuleError(what, why=f"see the error of {broken[0].error.where}"))
            elif unknown:
                errors.append(_unknown(rule, unknown[0]))
            else:
                items = tuple(item for one in sound.values() for item in one.items)
                found.append(replace(rule, exceptions=items, unresolved=()) if lists else rule)
        return found, errors

    def idle(self, rules: Iterable[Rule]) -> Iterator[str]:
        """What of the lists holds nothing back, in words: those for a rule that there is not."""
        known = {word.casefold() for rule in rules for word in (rule.rule_id, rule.name, rule.stem)}
        for one in self.lists:
            for target in one.applies_to:
                if target.casefold() not in known:
                    what = f"the exception list {one.list_id!r} is for {target!r}"
                    yield f"{what}, which is no rule's id, name or file stem"

    def over(self, packaged: Sequence[Rule]) -> tuple[list[Rule], list[str]]:
        """The packaged rules and the folder's, without those packaged ones that the folder replaces; and what was
        replaced, in words.
        """
        own = {rule.rule_id.casefold(): rule for rule in self.rules}
        kept, notes = [], []
        for rule in packaged:
            if mine := own.get(rule.rule_id.casefold()):
                notes.append(f"the packaged rule {rule.stem} is replaced by {mine.stem}.toml of the rules folder")
            else:
                kept.append(rule)
        return [*kept, *self.rules], notes


class Folder:
    """A rules folder that is read again when something in it changes. A file that was fine and is broken now goes on
    with what it held: who writes in it must not switch a rule, or its exceptions, off by a slip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: Fingerprint | None = None
        self._rules: dict[Path, Rule] = {}
        self._sound: dict[Path, ExceptionList] = {}

    def changed(self) -> bool:
        """Whether a file came, went or changed since the folder was last loaded."""
        return self._seen is not None and self._fingerprint() != self._seen

    def load(self) -> Content:
        """What the folder holds now; nothing where there is none. An error of one file keeps nothing from the others.
        Raises InputError for a folder that others than root may change, as root.
        """
        self._seen = self._fingerprint()
        errors: list[SockwardenError] = []
        try:
            for folder in (self.path, self.path / "exceptions", self.path / "lists"):
                if folder.exists():
                    guard(folder)
        except OSError as error:
            errors.append(RuleError("cannot read the rules folder", where=str(self.path), why=error.strerror or ""))
            return Content(errors=tuple(errors))
        rules: dict[str, Rule] = {}
        before, self._rules = self._rules, {}
        for file in self._files(self.path, errors):
            rule = self._rule(file, before.get(file), errors)
            if rule is None:
                continue
            self._rules[file] = rule
            other = rules.setdefault(rule.rule_id.casefold(), rule)
            if other is not rule:
                why = f"{other.stem}.toml, which is used, has it too"
                errors.append(RuleError(f"another rule has the rule_id {rule.rule_id}", where=str(file), why=why))
        lists = tuple(self._lists(errors))
        return Content(tuple(rules.values()), lists, tuple(errors))

    def _rule(self, file: Path, before: Rule | None, errors: list[SockwardenError]) -> Rule | None:
        try:
            return parse_rule(read_text(file, owned=True), str(file))
        except SockwardenError as error:
            errors.append(_kept(error) if before else error)
            return before

    def _lists(self, errors: list[SockwardenError]) -> Iterator[ExceptionList | BrokenList]:
        before, self._sound = self._sound, {}
        for file in self._files(self.path / "exceptions", errors):
            one = load_list(file, self.path / "lists", owned=True)
            if isinstance(one, BrokenList):
                errors.append(_kept(one.error) if file in before else one.error)
                one = before.get(file, one)
            if isinstance(one, ExceptionList):
                self._sound[file] = one
            yield one

    def _files(self, folder: Path, errors: list[SockwardenError]) -> list[Path]:
        try:
            return sorted(file for file in folder.iterdir() if file.suffix == ".toml" and not file.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            errors.append(RuleError("cannot read the rules folder", where=str(folder), why=error.strerror or ""))
            return []

    def _fingerprint(self) -> Fingerprint:
        seen = []
        for folder in (self.path, self.path / "exceptions", self.path / "lists"):
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        try:
                            status = entry.stat()
                        except OSError:
                            continue  # gone meanwhile, or a link to nothing: loading tells
                        if stat.S_ISREG(status.st_mode):
                            times = (
                                status.st_mtime_ns,
                                status.st_ctime_ns,
                            )  # the latter tells a new owner or mode, too
                            seen.append((entry.path, *times, status.st_size, status.st_ino))
                        if len(seen) > MOST_FILES:
                            break
            except OSError as error:
                seen.append((str(folder), error.errno or 0, 0, 0, 0))
        return tuple(sorted(seen))


def _kept(error: SockwardenError) -> SockwardenError:
    error.todo = "\n".join(line for line in (error.todo, "What the file held before stays in force.") if line)
    return error


def _unknown(rule: Rule, name: str) -> RuleError:
    return RuleError(
        f"the rule {rule.name!r} is not run: there is no exception list {name!r}",
        where=f"{rule.stem}.toml",
        why="`exceptions_list` in [rule] names it.",
        todo="Put the list into exceptions/ of the rules folder, or take it out of the rule.",
    )


def guard(folder: Path) -> None:
    """As root, refuses a folder that others than root may change: InputError."""
    refuse_foreign(folder, folder.stat(), what="the rules folder")
