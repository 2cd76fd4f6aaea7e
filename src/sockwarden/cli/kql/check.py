"""`sockwarden kql check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from sockwarden.cli.output import console, write_line
from sockwarden.errors import InputError
from sockwarden.kql import parse, to_json
from sockwarden.kql.printer import print_query

_MOST_BYTES = 1 << 20


@click.command()
@click.argument("query", required=False)
@click.option("--file", "path", metavar="FILE", help="Read the query from a file, - for standard input.")
@click.option("--ast", is_flag=True, help="Print the syntax tree as JSON.")
@click.option("--normal", is_flag=True, help="Print the query's normal form, wrapped as in rule files.")
def check(query: str | None, path: str | None, ast: bool, normal: bool) -> None:
    """Say whether a query is valid, where it is not, and what would be right."""
    if (query is None) == (path is None):
        raise click.UsageError("Give a query or --file, one of them.")
    if ast and normal:
        raise click.UsageError("Give --ast or --normal, one of them.")
    tree = parse(query if query is not None else _read(str(path)))
    if ast:
        write_line(json.dumps(to_json(tree), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    elif normal:
        write_line(print_query(tree, wrap=True).encode())
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
