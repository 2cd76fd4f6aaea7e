"""`sockwarden kql dsl`."""

from __future__ import annotations

import click

from sockwarden.cli.output import write_line
from sockwarden.document import encode
from sockwarden.kql import ECS, parse
from sockwarden.kql.dsl import to_dsl


@click.command()
@click.argument("query")
@click.option("--types", type=click.Choice(["ecs"]), help="Ask each field as its type in ECS 9 can be asked.")
def dsl(query: str, types: str | None) -> None:
    """Print a query as Elasticsearch's query DSL, one JSON object.

    Without --types it is what Kibana sends when it does not know the index's mapping.
    """
    write_line(encode(to_dsl(parse(query), ECS if types else None)))
