"""`sockwarden kql`: the query language."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from sockwarden.cli.output import console, write_line
from sockwarden.errors import InputError
from sockwarden.kql import parse, to_json

_MOST_BYTES = 1 << 20


@click.group()
def kql() -> None:
    """The Kibana Query Language."""


@kql.command()
@click.argument("query", required=False)
@click.option("--file", "path", metavar="FILE", help="Read the query from a file, - for standard input.")
@click.option("--ast", is_flag=True, help="Print the syntax tree as JSON.")
def check(query: str | None, path: str | None, ast: bool) -> None:
    """Say whether a query is valid, where it is not, and what would be right."""
    if (query is None) == (path is None):
        raise click.UsageError("Give a query or --file, one of them.")
    tree = parse(query if query is not None else _read(str(path)))
    if ast:
        write_line(msgspec.json.encode(to_json(tree)))
    else:
        console().print("ok")


def _read(path: str) -> str:
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InputError("the query is larger than 1 MiB", where=path)
        return data.decode()
    except OSError as error:
        raise InputError("the query cannot be read", where=path, why=error.strerror or "") from error
    except UnicodeDecodeError as error:
        raise InputError("the query is not UTF-8", where=path, why=f"byte {error.start}") from error
