"""`sockwarden rules`: what detects."""

from __future__ import annotations

import click

from sockwarden.cli.rules.exporting import export_
from sockwarden.cli.rules.importing import import_
from sockwarden.cli.rules.lint import lint
from sockwarden.cli.rules.list import list_
from sockwarden.cli.rules.preview import preview_
from sockwarden.cli.rules.runs import runs
from sockwarden.cli.rules.show import show
from sockwarden.cli.rules.test import test


@click.group()
def rules() -> None:
    """Rules and signatures."""


for command in (lint, list_, show, preview_, runs, test, export_, import_):
    rules.add_command(command)
