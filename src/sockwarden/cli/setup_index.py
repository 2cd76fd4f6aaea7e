"""`sockwarden setup index`: templates for what sockwarden writes into Elasticsearch or OpenSearch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.text import Text

from sockwarden.cli.cluster import client_of
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.cluster.client import Client
from sockwarden.errors import InputError
from sockwarden.pipeline import index_templates
from sockwarden.settings.load import load_config
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_config = click.option("--config", "file", metavar="FILE", help="Settings; else /etc/sockwarden/config.toml, if there.")
_WORDS = {"new": "make it", "changed": "replace it", "unchanged": "unchanged", "foreign": "not sockwarden's"}


@click.group()
def index() -> None:
    """Templates of the indices for alerts and accesses.

    Texts are keywords, dates are not guessed. How long documents are kept is left to you: attach a lifecycle policy of
    the cluster to the data stream and the index.
    """


@index.command("print")
def print_() -> None:
    """Print each template as JSON: where it goes, and its body."""
    for path, body in index_templates.templates().items():
        write_line(msgspec.json.encode({"path": path, "body": body}))


@index.command()
@_config
def apply(file: str | None) -> None:
    """Put the templates into the cluster. What is done is said first; a second run changes nothing."""
    with _client(file) as client:
        found = index_templates.states(client)
        for path, state in found.items():
            _say(f"{client.url}{path}: {_WORDS[state]}")
        index_templates.apply(client, found)
    if "changed" in found.values():
        print_notes(["What exists keeps its mapping; a data stream takes the new one when it rolls over."])


@index.command()
@_config
def remove(file: str | None) -> int:
    """Delete the templates. Alerts and accesses stay where they are.

    A template whose data stream is there cannot be deleted before that is: then it is told, and stays; exit code 3.
    """
    with _client(file) as client:
        found = index_templates.states(client)
        for path, state in found.items():
            ours = state in ("changed", "unchanged")
            _say(f"{client.url}{path}: {'delete it' if ours else 'not there' if state == 'new' else _WORDS[state]}")
        kept = index_templates.remove(client, found)
    print_notes(escape(f"kept: {path}: {why}") for path, why in kept.items())
    return InputError.exit_code if kept else 0


@contextmanager
def _client(file: str | None) -> Iterator[Client]:
    client = client_of(load_config(Path(file) if file else None).cluster)
    try:
        client.info()
        yield client
    finally:
        client.close()


def _say(line: str) -> None:
    put(console(), Text(escape(line)))
