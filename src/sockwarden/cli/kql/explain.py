"""`sockwarden kql explain`."""

from __future__ import annotations

import click
import msgspec
from rich.text import Text

from sockwarden.cli.output import console, print_error, print_notes, write_line
from sockwarden.errors import InputError
from sockwarden.kql import parse
from sockwarden.kql.explain import Explanation, explain, explanation_lines, to_json
from sockwarden.readers import Tally, ecs, plan
from sockwarden.readers.blocks import blocks
from sockwarden.readers.ndjson import MOST_LINE_BYTES, decode
from sockwarden.sinks import escape, shorten
from sockwarden.sinks.terminal import put

_MOST_SHOWN = 200


@click.command("explain")
@click.argument("query")
@click.argument("path", metavar="FILE")
@click.option("--limit", type=click.IntRange(min=1), default=1, show_default=True, help="Documents that are explained.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a document.")
def explain_(query: str, path: str, limit: int, as_json: bool) -> int:
    """Show what of a query holds for a document, what was found there, and why it does not hold.

    FILE is ECS NDJSON, one document, Elasticsearch hit or search response a line; - is standard input.
    """
    tree = parse(query)
    explained = 0
    tally = Tally()
    failures: list[InputError] = []
    for stream in plan([path]):
        with stream:
            for block in blocks(stream.chunks(), tally, most=MOST_LINE_BYTES):
                for line in filter(bytes.strip, block.split(b"\n")):
                    if explained == limit:
                        break
                    try:
                        documents = list(ecs.to_documents(decode(line)))
                    except InputError as error:
                        tally.reject(error.what, line)
                        continue
                    for document in documents[: limit - explained]:
                        _print(explain(tree, document), as_json=as_json)
                        explained += 1
            failures += stream.failures.values()
    print_notes(f"{count} not read: {escape(reason)}" for reason, count in tally.rejected.items())
    for failure in failures:
        print_error(str(failure))
    if not explained and not failures:
        print_error(f"{path}: there is no document\nGive ECS NDJSON, one document a line.")
    return 0 if explained and not failures else InputError.exit_code


def _print(explained: Explanation, *, as_json: bool) -> None:
    if as_json:
        write_line(msgspec.json.encode(to_json(explained), enc_hook=str))
        return
    out = console()
    verdict = ("it matches", "green") if explained.matched else ("no match", "red")
    put(out, Text(*verdict))
    for depth, matched, asked, found in explanation_lines(explained):
        line = Text("  " * depth).append("✓ " if matched else "✗ ", "green" if matched else "red")
        line.append(shorten(escape(asked), _MOST_SHOWN))
        if found:
            line.append("  " + shorten(escape(found), _MOST_SHOWN), "dim")
        put(out, line)
