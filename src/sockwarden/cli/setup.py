"""`sockwarden setup audit`: audit rules that stay, for auditd and Elastic's agents; `setup index` is beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import get_args

import click
from rich.text import Text

from sockwarden.cli.output import console, print_notes
from sockwarden.cli.setup_index import index
from sockwarden.errors import InputError
from sockwarden.pipeline import permanent_rules, rules_file
from sockwarden.pipeline.doctor.host import watcher
from sockwarden.pipeline.permanent_rules import Difference, Reader, Targets
from sockwarden.sensors.audit import DEFAULT, remove_leftovers
from sockwarden.sensors.audit.protocol import Control
from sockwarden.sensors.audit.targets import ours
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_for = click.option(
    "--for",
    "reader",
    type=click.Choice(get_args(Reader)),
    required=True,
    help="Who loads the rules: auditd, Auditbeat's auditd module, or Elastic's Auditd Manager integration.",
)
_folder = click.option(
    "--folder", metavar="DIR", help="Another folder for the file; then the running kernel is left as it is."
)


@click.group()
def setup() -> None:
    """Put permanent parts into place, and take them away again."""


setup.add_command(index)


@setup.group()
def audit() -> None:
    """Audit rules for the runtime sockets of this host, under the key `sockwarden`.

    `sockwarden watch` needs none of them: it sets its own while it runs. They are for recording also while it does not
    run, by auditd for `sockwarden hunt`, or by Elastic's agents for their rules.
    """


@audit.command("print")
@_for
def print_(reader: Reader) -> None:
    """Print the rules.

    They are for the sockets that are here now, and for the usual places whose folder is there.
    """
    wanted = permanent_rules.discovered()
    click.echo(permanent_rules.text(reader, wanted, uring=_knows_uring()), nl=False)
    notes = _left_out(wanted)
    if os.geteuid():
        notes.append("Without root only sockets in the usual places were looked for.")
    print_notes(map(escape, notes))


@audit.command()
@_for
@_folder
def apply(reader: Reader, folder: str | None) -> int:
    """Write the file of rules, and for auditd load them.

    What is done is said first; a second run changes nothing. Rules of others are not touched, and all rules stay in
    force: nothing is loaded anew from the other files.
    """
    _refuse_without_file(reader, "apply")
    loads = reader == "auditd" and folder is None
    if loads:
        _require_root("apply")
    path = rules_file.path_in(reader, folder)
    wanted = permanent_rules.discovered()
    text = permanent_rules.rules_file(reader, wanted, uring=_knows_uring())
    before = rules_file.content(path)
    count = sum(line.startswith("-a ") for line in text.splitlines())
    _say(f"{path}: " + ("unchanged" if before == text else f"{'new' if before is None else 'changed'}, {count} rules"))
    refused: list[str] = []
    if loads:
        with Control() as control:
            permanent_rules.refuse_unsafe(control)
            asked = permanent_rules.difference(permanent_rules.loaded(control), wanted.rules())
            _say("running kernel: " + _told(asked))
            if before != text:
                rules_file.write(path, text)
            refused = permanent_rules.change(control, asked)
            disabled = control.status().enabled == 0
        if disabled:
            _say("audit is switched off (enabled 0): start auditd, or set `auditctl -e 1`")
    elif before != text:
        rules_file.write(path, text)
    if reader == "auditbeat":
        _say("Auditbeat loads it when it starts, if audit_rule_files of auditbeat.yml has audit.rules.d/*.conf")
    print_notes(map(escape, [*_left_out(wanted), *refused]))
    return InputError.exit_code if refused else 0


@audit.command()
@_for
@_folder
def remove(reader: Reader, folder: str | None) -> int:
    """Delete the file, and for auditd the loaded rules.

    For auditd also what a killed watch left in the kernel is taken away; a watch that runs keeps its rules.
    """
    _refuse_without_file(reader, "remove")
    refused: list[str] = []
    if reader == "auditd" and folder is None:
        _require_root("remove")
        path = rules_file.FILES[reader]
        with Control() as control:
            asked = permanent_rules.difference(permanent_rules.loaded(control), [])
            if asked.delete:
                permanent_rules.refuse_locked(control)
            _say(f"{path}: " + ("deleted" if rules_file.remove(path) else "not there"))
            _say("running kernel: " + _told(asked))
            refused = permanent_rules.change(control, asked)
            left = any(map(ours, control.rules())) or DEFAULT.exists()
        if left and not watcher(DEFAULT):
            done, failed = remove_leftovers()
            refused += failed
            for line in done:
                _say(f"left by a watch that was killed: {line}")
    else:
        path = rules_file.path_in(reader, folder)
        _say(f"{path}: " + ("deleted" if rules_file.remove(path) else "not there"))
    if reader == "auditbeat":
        _say("Auditbeat's rules stay loaded until it starts anew")
    print_notes(map(escape, refused))
    return InputError.exit_code if refused else 0


def _refuse_without_file(reader: Reader, command: str) -> None:
    if reader == "auditd-manager":
        raise InputError(
            f"there is no file to {command} for the Auditd Manager integration",
            why="its rules are kept in Kibana",
            todo="Paste what `sockwarden setup audit print --for auditd-manager` prints into the integration's field "
            '"Audit rules".'
            if command == "apply"
            else 'Take the rules with key sockwarden out of the integration\'s field "Audit rules".',
        )


def _require_root(command: str) -> None:
    if os.geteuid():
        raise InputError(
            "changing audit's rules needs root",
            todo=f"sudo sockwarden setup audit {command} --for auditd\n"
            "To see the rules without root: sockwarden setup audit print --for auditd",
        )


def _knows_uring() -> bool:
    """Whether the auditctl here knows the list io_uring: audit 3.1 and later."""
    program = shutil.which("auditctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not program:
        return False
    try:
        told = subprocess.run([program, "-v"], capture_output=True, timeout=5, check=False).stdout  # noqa: S603 - fixed
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(rb"(\d+)\.(\d+)", told)
    return version is not None and (int(version[1]), int(version[2])) >= (3, 1)


def _told(asked: Difference) -> str:
    parts = [(len(asked.add), "add"), (len(asked.delete), "delete")]
    changes = [f"{what} {count} rule{'s' if count > 1 else ''}" for count, what in parts if count]
    return ", ".join(changes or ["nothing to do"]) + (f"; {asked.kept} in place" if asked.kept else "")


def _left_out(wanted: Targets) -> list[str]:
    return [
        f"No rule for {path}: a rules file cannot carry that name. The live watch covers it."
        for path in wanted.left_out
    ]


def _say(line: str) -> None:
    put(console(), Text(escape(line)))
