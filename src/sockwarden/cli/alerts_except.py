"""`sockwarden alerts except`: one alert's like is not told again."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import click
import msgspec
from rich.text import Text

from sockwarden.cli.output import console, print_notes
from sockwarden.content import RULES_FOLDER
from sockwarden.document import Document, get
from sockwarden.errors import UsageError
from sockwarden.rules.exceptions import ExceptionItem, parse_list
from sockwarden.rules.exceptions.entries import entry_of, told
from sockwarden.rules.exceptions.suggestion import suggest
from sockwarden.rules.files import read_text
from sockwarden.rules.folder import guard
from sockwarden.rules.moments import span_ms
from sockwarden.rules.placing import file_stem, place
from sockwarden.rules.schema import shorten
from sockwarden.rules.tomltext import to_toml
from sockwarden.settings import state_folder
from sockwarden.signatures import SIGNATURES
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put
from sockwarden.store import Store

_MOST_DAYS = 36_500
_DAY_MS = 86_400_000
_MOST_NAMED = 5


@click.command("except")
@click.argument("identity", metavar="ID")
@click.option("--folder", metavar="DIR", default=str(RULES_FOLDER), show_default=True, help="The rules folder.")
@click.option("--expire", metavar="SPAN", help="The exception ends after this time: 12h, 30d, 8w.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")
def except_(identity: str, folder: str, expire: str | None, yes: bool, state: str | None) -> None:
    """Make an exception from one alert; the first digits of its id suffice.

    It holds back what is the same in program, user, parent, socket, container image and host, for this alert's rule
    alone. Shows first which other kept alerts it would have held back, and which kept accesses it applies to.
    """
    ends = _end(expire)
    with Store(state_folder(state), create=False) as store:
        alert = store.find(identity)
        rule_id, rule = str(get(alert, "kibana.alert.rule.rule_id")), str(get(alert, "kibana.alert.rule.name"))
        _need_rule(rule_id, rule)
        item = suggest(alert, ends)
        target = Path(folder)
        path = target / "exceptions" / f"alerts-except-{file_stem(rule_id)}.toml"
        text = _with(item, path, rule_id, rule)
        made = parse_list(text, str(path), target / "lists")
        uuid = str(get(alert, "kibana.alert.uuid"))
        others = (one for one in store.newest(store.count(), rule=rule_id) if get(one, "kibana.alert.uuid") != uuid)
        alerts = _Silenced.of(others, made.items[-1])
        sources = {str(one.get("id")) for one in get(alert, "kibana.alert.ancestors") or ()}
        seen = (one for one in store.newest_accesses(store.count_accesses()) if str(one.get("_id")) not in sources)
        accesses = _Silenced.of(seen, made.items[-1])
    for line in _shown(item, rule, path, alerts, accesses):
        put(console(), Text(escape(line)))
    if not yes:
        click.confirm("Make this exception?", abort=True, err=True)
    place(path, text)
    print_notes([escape(f"written to {path}"), "`watch` and `run` take it over within seconds."])


class _Silenced(msgspec.Struct):
    """What else of the kept alerts, or accesses, an exception applies to; how often each value comes."""

    count: int = 0
    programs: Counter[str] = msgspec.field(default_factory=Counter)
    sockets: Counter[str] = msgspec.field(default_factory=Counter)
    users: Counter[str] = msgspec.field(default_factory=Counter)

    @classmethod
    def of(cls, documents: Iterable[Document], item: ExceptionItem) -> Self:
        """Of documents without the one that the exception is made from."""
        found = cls()
        for document in filter(item.matches, documents):
            found.count += 1
            socket = get(document, "sockwarden.socket.canonical") or get(document, "destination.address")
            found.programs[str(get(document, "process.executable"))] += 1
            found.sockets[str(socket)] += 1
            found.users[str(get(document, "user.id"))] += 1
        return found

    def lines(self) -> Iterator[str]:
        """The most frequent of each kind."""
        for word, counts in (("program", self.programs), ("socket", self.sockets), ("user", self.users)):
            if counts:
                named = ", ".join(f"{shorten(one)} ({count:,})" for one, count in counts.most_common(_MOST_NAMED))
                more = f" and {len(counts) - _MOST_NAMED:,} further" if len(counts) > _MOST_NAMED else ""
                yield f"    {len(counts):,} {word}{'' if len(counts) == 1 else 's'}: {named}{more}"


def _need_rule(rule_id: str, name: str) -> None:
    if rule_id in {kind().get_metadata().id for kind in SIGNATURES}:
        raise UsageError(
            f"{name} is a signature, and exceptions are for rules",
            todo="`disable` in [rules] of the settings turns a signature off.",
        )


def _end(expire: str | None) -> str | None:
    if expire is None:
        return None
    try:
        length = span_ms(expire)
    except ValueError:
        length = 0
    if not 0 < length <= _MOST_DAYS * _DAY_MS:
        raise UsageError(f"--expire: {expire!r} is no time span", todo="Name one as 12h, 30d or 8w.")
    return f"{datetime.fromtimestamp(time.time() + length / 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def _with(item: dict[str, Any], path: Path, rule_id: str, rule: str) -> str:
    """The file of the rule's list with the item at its end; what a person wrote into it stays."""
    for place_ in (path.parent.parent, path.parent):
        if place_.exists():
            guard(place_)
    if path.is_symlink():
        raise UsageError("the file of the exceptions is a link, which is not followed", where=str(path))
    if not path.exists():
        head = {"list_id": path.stem, "name": f"Made from alerts of {' '.join(rule.split())}", "type": "detection"}
        return to_toml({**head, "applies_to": [rule_id], "item": [item]})
    before = read_text(path, what="exception list", owned=True)
    try:
        items = tomllib.loads(before).get("item", [])
    except tomllib.TOMLDecodeError:
        items = []  # told with its line when the whole is parsed
    if isinstance(items, list) and any(
        isinstance(one, dict) and one.get("item_id") == item["item_id"] for one in items
    ):
        raise UsageError("this exception is there already", where=str(path))
    return before.rstrip("\n") + "\n\n" + to_toml({"item": [item]})


def _shown(item: dict[str, Any], rule: str, path: Path, alerts: _Silenced, accesses: _Silenced) -> Iterator[str]:
    yield f"exception of the rule {rule}, in {path}"
    for entry in item["entries"]:
        yield f"  {told(entry_of(entry))}"
    yield f"  until {item['expire_time']}" if "expire_time" in item else "  without an end"
    for counted, kept in ((alerts, "further alert"), (accesses, "further access")):
        many = {"further alert": "further alerts", "further access": "further accesses"}[kept]
        number = f"{counted.count:,} {kept if counted.count == 1 else many}"
        what = "it would have held back" if counted is alerts else "it applies to"
        yield f"of what is kept, {what} {number}"
        yield from counted.lines()
