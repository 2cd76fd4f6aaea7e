"""`sockwarden kql match`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from sockwarden.cli.output import print_error, print_notes, write_line
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.kql import compile_query, parse
from sockwarden.readers import Stream, Tally, ecs, plan
from sockwarden.readers.blocks import blocks
from sockwarden.readers.ndjson import MOST_LINE_BYTES, decode
from sockwarden.sinks import escape


@click.command()
@click.argument("query")
@click.argument("paths", metavar="FILE…", nargs=-1, required=True)
def match(query: str, paths: tuple[str, ...]) -> int:
    """Print the lines of ECS NDJSON that match a query, as they are; - is standard input.

    A line is a document, an Elasticsearch hit, or a search response, of which any hit will do. How many match, and what
    could not be read, is told on standard error.
    """
    matches = compile_query(parse(query))
    tally = Tally()
    found = 0
    failures: list[InputError] = []
    for stream in plan(list(paths)):
        with stream:
            for line in _lines(stream, matches, tally):
                found += 1
                write_line(line)
            failures += stream.failures.values()
    print_notes([f"{found} of {tally.events} {'line matches' if found == 1 else 'lines match'}"])
    print_notes(f"{count} not read: {escape(reason)}" for reason, count in tally.rejected.items())
    for failure in failures:
        print_error(str(failure))
    return InputError.exit_code if failures else 0


def _lines(stream: Stream, matches: Callable[[Document], bool], tally: Tally) -> Iterator[bytes]:
    for block in blocks(stream.chunks(), tally, most=MOST_LINE_BYTES):
        for line in block.split(b"\n"):
            if not line.strip():
                continue
            try:
                documents = list(ecs.to_documents(decode(line)))
            except InputError as error:
                tally.reject(error.what, line)
                continue
            tally.events += 1
            if any(map(matches, documents)):
                yield line
