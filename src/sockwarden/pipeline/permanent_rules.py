"""Audit rules that stay: as text for those who load rules at boot, and put into the running kernel.

They have a key of their own, so that neither the live watch's rules nor anybody else's are ever taken for them.
"""

# ruff: noqa: PTH120 # Path.is_dir raises where we may not look, and what else is asked stays text

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from typing import Literal

import msgspec

from sockwarden.errors import InputError
from sockwarden.sensors.audit.protocol import Control
from sockwarden.sensors.audit.rule import IO_URING, Rule
from sockwarden.sensors.audit.targets import rules_for
from sockwarden.sockets.catalogue import packaged
from sockwarden.sockets.discovery import Discovery
from sockwarden.sockets.inventory import Inventory

KEY = b"sockwarden"

Reader = Literal["auditd", "auditbeat", "auditd-manager"]
"""Who loads the rules: auditd at its start, Auditbeat's auditd module, Elastic's Auditd Manager integration."""

_URING = """# What a worker of io_uring carries out has a list of its own, which auditctl knows from audit 3.1 on.
"""
_URING_ELASTIC = """# What a worker of io_uring carries out is not recorded: its list is unknown to these readers.
"""
_HEAD = "# Access to container runtimes' control sockets, by `sockwarden setup audit`; key sockwarden.\n"
_CONTINUE = """\
# A rule for a folder that is not there is refused, and below /run some are made by their daemon only, after rules are
# loaded at boot. Without -c auditctl would leave out every rule after a refused one, also those of other files.
# `sockwarden setup audit apply` loads what was refused; `sockwarden watch` needs no such file and follows its folders.
-c
"""


class Targets(msgspec.Struct, frozen=True):
    """What the rules are for: socket files, and folders whose every socket counts.

    left_out   paths that no line of a rules file can carry
    """

    paths: tuple[str, ...]
    folders: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def rules(self) -> list[Rule]:
        """The rules, those on the io_uring list included."""
        made = [rule for path in self.paths for rule in rules_for(path, key=KEY)]
        return made + [rule for path in self.folders for rule in rules_for(path, folder=True, key=KEY)]


def targets(paths: Iterable[str], folders: Iterable[str]) -> Targets:
    """What a rules file can carry of these paths and folders, and what it cannot."""
    below = tuple(sorted(folder for folder in set(folders) if _is_plain(folder)))
    # A socket in another mount namespace is reached through /proc/PID, which is gone with that process.
    lasting = {path for path in paths if not path.startswith("/proc/")}
    every = {path for path in lasting if os.path.dirname(path) not in below}
    plain = tuple(sorted(path for path in every if _is_plain(path)))
    left_out = tuple(sorted(path for path in {*every, *folders} if not _is_plain(path)))
    return Targets(plain, below, left_out)


def discovered() -> Targets:
    """What this host needs rules for, as far as this process may see: what is there, and what by the catalogue may come
    into a folder that is there, so that a daemon which starts later is covered as well.
    """
    catalogue = packaged()
    inventory = Inventory(catalogue)
    inventory.refresh(Discovery(catalogue).discover(), time.time())
    return targets(inventory.paths(), inventory.folders())


def _is_plain(path: str) -> bool:
    """Whether a rules file can carry the path: it has no quoting, so a name with a blank would be two words and one
    with a line break a rule of whoever made the name.
    """
    return path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" \"'`$\\#~")


def text(reader: Reader, wanted: Targets, *, uring: bool) -> str:
    """The rules as a person puts them where the reader has its configuration, with comments.

    uring: whether auditd's auditctl knows the io_uring list; if not, those rules are comments.
    """
    lines = rules_file(reader, wanted, uring=uring)
    if reader != "auditbeat":
        return lines
    return "auditbeat.modules:\n- module: auditd\n  audit_rules: |\n" + "".join(
        f"    {line}\n" for line in lines.splitlines()
    )


def rules_file(reader: Reader, wanted: Targets, *, uring: bool) -> str:
    """A file of rules for the reader."""
    rules = wanted.rules()
    lines = [str(rule) for rule in rules if rule.filter != IO_URING]
    if reader != "auditd":
        return "\n".join([_HEAD + _URING_ELASTIC.rstrip(), *lines]) + "\n"
    on_uring = [str(rule) if uring else f"# {rule}" for rule in rules if rule.filter == IO_URING]
    return "\n".join([_HEAD + _CONTINUE + "\n".join(lines), "", _URING + "\n".join(on_uring)]) + "\n"


class Difference(msgspec.Struct, frozen=True):
    """What it takes to have the wanted rules in the running kernel."""

    add: tuple[Rule, ...]
    delete: tuple[Rule, ...]
    kept: int


def loaded(control: Control) -> list[Rule]:
    """The permanent rules that are in the running kernel."""
    return [rule for rule in control.rules() if KEY in rule.keys]


def difference(present: list[Rule], wanted: list[Rule]) -> Difference:
    """Compares rules as the kernel has them with those wanted."""
    by_text, asked = {str(rule): rule for rule in present}, {str(rule): rule for rule in wanted}
    return Difference(
        tuple(rule for one, rule in asked.items() if one not in by_text),
        tuple(rule for one, rule in by_text.items() if one not in asked),
        len(by_text.keys() & asked.keys()),
    )


def change(control: Control, asked: Difference) -> list[str]:
    """Deletes and adds rules; gives what was refused, a sentence each. New ones come last, so that no rule of others
    loses its records to ours.
    """
    refused = []
    for rule in asked.delete:
        try:
            control.delete(rule)
        except OSError as error:
            if error.errno != errno.ENOENT:
                refused.append(f"not deleted ({error.strerror}): {rule}")
    for rule in asked.add:
        try:
            control.add(rule)
        except OSError as error:
            if error.errno != errno.EEXIST:
                refused.append(f"not loaded ({_reason(rule, error)}): {rule}")
    return refused


def refuse_locked(control: Control) -> None:
    """InputError where the kernel takes no change of its rules."""
    if control.status().enabled == 2:
        raise InputError(
            "audit is locked until the next boot",
            why="its status is enabled 2, so the kernel takes no change of its rules",
            todo="Change the file alone, with --folder /etc/audit/rules.d, then reboot.",
        )


def refuse_unsafe(control: Control) -> None:
    """InputError where audit is locked, or a full backlog would stop the machine."""
    refuse_locked(control)
    if control.status().failure == 2:
        raise InputError(
            "audit is set to stop the machine when a record is lost",
            why="its status is failure 2 (panic), and more rules mean more records",
            todo="Set `auditctl -f 1` first; or write the file alone, with --folder /etc/audit/rules.d, and reboot.",
        )


def _reason(rule: Rule, error: OSError) -> str:
    if error.errno == errno.EINVAL and rule.filter == IO_URING:
        return "this kernel has no audit list for io_uring"
    return "its folder is not there" if error.errno == errno.ENOENT else error.strerror or str(error)
