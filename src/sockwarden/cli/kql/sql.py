"""`sockwarden kql sql`."""

from __future__ import annotations

import click

from sockwarden.cli.output import write_line
from sockwarden.kql import ECS, parse
from sockwarden.kql.sql import to_sql


@click.command()
@click.argument("query")
@click.option("--document", default="document", show_default=True, help="The column that holds the document as JSON.")
def sql(query: str, document: str) -> None:
    """Print a query as a condition in duckdb's SQL, by ECS 9's types. `now` becomes the time of this moment.

    It is for documents as one JSON column (SELECT json AS document FROM read_ndjson_objects('FILE')).
    """
    column = '"' + document.replace('"', '""') + '"'
    write_line(to_sql(parse(query), ECS, column).encode())
