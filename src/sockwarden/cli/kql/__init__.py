"""`sockwarden kql`: the query language."""

from __future__ import annotations

import click

from sockwarden.cli.kql.check import check
from sockwarden.cli.kql.dsl import dsl
from sockwarden.cli.kql.explain import explain_
from sockwarden.cli.kql.match import match
from sockwarden.cli.kql.sql import sql


@click.group()
def kql() -> None:
    """The Kibana Query Language."""


for command in (check, explain_, match, dsl, sql):
    kql.add_command(command)
