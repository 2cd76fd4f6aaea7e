"""Which rules and signatures a command means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sockwarden.cli.output import print_notes
from sockwarden.content import RULES_FOLDER
from sockwarden.detect import Detection, RuleDetection, SignatureDetection
from sockwarden.errors import UsageError
from sockwarden.rules import Content, Folder, Rule, load_packaged, load_rule, select
from sockwarden.signatures import SIGNATURES, Signature
from sockwarden.sinks import escape

if TYPE_CHECKING:
    from sockwarden.settings import Config


def _note(text: str) -> None:
    print_notes(map(escape, text.split("\n")))


class Known:
    """The rules that there are: the packaged ones and those of a folder, None for no folder.

    tell: takes what is wrong with the folder; the same thing is told once, until it was well between
    """

    def __init__(self, folder: Path | None = RULES_FOLDER, tell: Callable[[str], None] = _note) -> None:
        self.path = folder
        self._folder = Folder(folder) if folder else None
        self._tell = tell
        self._told: set[str] = set()
        self._now: set[str] = set()
        self._failed: list[str] = []
        self._running: list[Rule] = []
        self._content = Content()
        self.rules: list[Rule] = []
        self.load()

    def changed(self) -> bool:
        """Whether the folder holds something else than when it was loaded."""
        return self._folder is not None and self._folder.changed()

    def load(self) -> None:
        """Reads the folder. Raises a SockwardenError where it is not to be trusted, and stays as it was."""
        content = self._folder.load() if self._folder else Content()
        self._content = content
        self._told, self._now = self._now, set()
        self._failed, self._running = [], []
        for error in content.errors:
            self.tell(str(error))
        self.rules, notes = content.over(load_packaged())
        for note in (*notes, *content.idle(self.rules)):
            self.tell(note)

    @property
    def errors(self) -> list[str]:
        """What is wrong with the folder, and which rules do not run for it, as of the last `load` and `ready`."""
        return [*map(str, self._content.errors), *self._failed]

    def tell_expired(self) -> None:
        """Tells which exceptions of the rules that run have ended meanwhile."""
        now = time.time_ns() // 1_000_000
        for rule in self._running:
            for item in rule.exceptions:
                if item.expired(now):
                    ended = item.table["expire_time"]
                    self.tell(f"the exception {item.name!r} of {item.list_id} ended at {ended} and applies no more")

    def tell(self, text: str) -> None:
        """Tells a person, once."""
        if text not in self._told and text not in self._now:
            self._tell(text)
        self._now.add(text)

    def resolved(self, rule: Rule) -> Rule:
        """The rule with its exceptions; where they cannot be had, marked so, which keeps it from judging."""
        rules, _ = self._content.with_exceptions([rule])
        return rules[0] if rules else replace(rule, unresolved=rule.exception_lists or ("one that is for it",))

    def ready(self, found: Iterable[Rule | Signature], *, named: bool) -> list[Detection]:
        """What can run of these: no disabled rule, and none whose exceptions cannot be had; it tells which. named: by a
        person, who then gets an error.
        """
        detections: dict[str, Detection] = {}
        for one in found:
            if isinstance(one, Signature):
                detection: Detection = SignatureDetection(one)
                detections.setdefault(detection.detector.rule_id, detection)
            elif not one.enabled:
                self.tell(f"the rule {one.name!r} is not run: `enabled` is false in {one.stem}.toml")
            else:
                rules, errors = self._content.with_exceptions([one])
                for error in errors:
                    if named:
                        raise error
                    self._failed.append(str(error))
                    self.tell(str(error))
                self._running += rules
                for rule in rules:
                    detections.setdefault(rule.rule_id, RuleDetection(rule))
        self.tell_expired()
        return list(detections.values())


def chosen(selectors: Sequence[str], known: Known | None = None) -> list[Detection]:
    """The detections that `--rule` names: a rule's file stem, rule_id or name, a signature's id, event name or name,
    or a rule file. All that there are where nothing is named.
    """
    known = known or Known()
    if not selectors:
        return known.ready([*known.rules, *(signature() for signature in SIGNATURES)], named=False)
    found = known.ready((one for selector in selectors for one in find(selector, known)), named=True)
    if not found:
        raise UsageError("there is nothing to run", why="Every rule that was named is disabled in its file.")
    return found


def known_of(config: Config, tell: Callable[[str], None] = _note) -> Known:
    """The rules that there are by the settings."""
    return Known(Path(config.rules.folder) if config.rules.folder else None, tell)


def configured(config: Config, known: Known | None = None) -> list[Detection]:
    """The detections that a configuration file asks for: what it enables, or all, without what it disables, and its own
    files.
    """
    known = known or known_of(config)
    disabled = {_id_of(one) for selector in config.rules.disable for one in find(selector, known)}
    asked: list[Rule | Signature] = [one for selector in config.rules.enable for one in find(selector, known)]
    if not config.rules.enable:
        asked = [*known.rules, *(signature() for signature in SIGNATURES)]
    asked = [one for one in asked if _id_of(one) not in disabled]
    return known.ready([*asked, *(load_rule(Path(file)) for file in config.rules.files)], named=False)


def find(selector: str, known: Known | None = None) -> Sequence[Rule | Signature]:
    """The rules and signatures of that name."""
    if selector.endswith(".toml"):
        return [(known or Known()).resolved(load_rule(Path(selector)))]
    if signatures := [signature for signature in (kind() for kind in SIGNATURES) if _is(signature, selector)]:
        return signatures
    try:
        known = known or Known()
        return [known.resolved(rule) for rule in select(known.rules, selector)]
    except UsageError as error:
        error.todo = "See `sockwarden rules list`; a rule file of yours is named by its path, ending in .toml."
        raise


def _id_of(one: Rule | Signature) -> str:
    return one.rule_id if isinstance(one, Rule) else one.get_metadata().id


def _is(signature: Signature, selector: str) -> bool:
    metadata = signature.get_metadata()
    return selector.casefold() in (metadata.id.casefold(), metadata.event_name.casefold(), metadata.name.casefold())
