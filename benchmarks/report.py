"""Renders what benchmarks/results holds into the pages: docs/performance.md, its plots, and marked places in README.md.

    python benchmarks/report.py

A place is `<!-- figure BENCHMARK.NAME -->…<!-- /figure -->`, likewise `table` and `plot`, and `<!-- benchmarks -->…
<!-- /benchmarks -->` for a section on each. What stands between is replaced; a place that no result fills is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from plots import draw, is_of
from results import ROOT, Plot, Results, Table, cell, read_all

RESULTS = ROOT / "benchmarks" / "results"
PLOTS = ROOT / "docs" / "plots"
PAGES = [ROOT / "README.md", ROOT / "docs" / "performance.md"]
_PLACE = re.compile(r"<!-- (figure|table|plot|benchmarks)\b ?(\S*) -->(.*?)<!-- /\1 -->", re.DOTALL)
_MARK = re.compile(r"<!-- /?(?:figure|table|plot|benchmarks)\b.*?-->")
_MEASURED = re.compile(
    r"(?<![\w.-])\d[\d.,]*\s?(?:(?:[nµm]?s|seconds?|[KMG]i?B(?:/s)?|events/s|times)(?![\w/-])|(?:[a-z]+ )?a second\b)"
)
"""A number with the unit of something measured."""


class PlaceError(Exception):
    """Places that cannot be filled, each with its file and line."""


def filled(text: str, page: Path, found: Mapping[str, Results], plots: Path = PLOTS) -> str:
    """A page's text with what the results say at each place. PlaceError names all that cannot be filled."""
    wrong: list[str] = []

    def fill(place: re.Match[str]) -> str:
        kind, name, inside = place.groups()
        if _MARK.search(inside):
            wrong.append(f"{_at(text, place.start(), page)}: {kind} {name} has another mark inside")
            return place[0]
        try:
            new = _content(kind, name, found, os.path.relpath(plots, page.parent))
        except KeyError as error:
            wrong.append(f"{_at(text, place.start(), page)}: {kind} {name}: {error.args[0]}")
            return place[0]
        return f"<!-- {kind}{' ' * bool(name)}{name} -->{new}<!-- /{kind} -->"

    changed = _PLACE.sub(fill, text)
    rest = _PLACE.sub(lambda place: re.sub(r"[^\n]", " ", place[0]), text)
    wrong += [f"{_at(text, mark.start(), page)}: {mark[0]} has no other end" for mark in _MARK.finditer(rest)]
    if wrong:
        raise PlaceError("\n".join(wrong))
    return changed


def _at(text: str, offset: int, page: Path) -> str:
    return f"{page.name}:{text.count(chr(10), 0, offset) + 1}"


def _content(kind: str, name: str, found: Mapping[str, Results], plots: str) -> str:
    if kind == "benchmarks":
        return "\n" + "\n".join(_section(one, found, plots) for one in found.values())
    benchmark, _, part = name.partition(".")
    if benchmark not in found:
        raise KeyError(f"benchmarks/results has no {benchmark}.json")
    of = found[benchmark]
    if kind == "figure":
        if part not in of.figures:
            raise KeyError(f"{benchmark}.json has no figure {part}; it has {', '.join(of.figures) or 'none'}")
        return of.figures[part]
    ones: list[Table] | list[Plot] = of.tables if kind == "table" else of.plots
    for one in ones:
        if one.name == part:
            return f"\n\n{_table(one) if isinstance(one, Table) else _image(one, benchmark, plots)}\n\n"
    raise KeyError(f"{benchmark}.json has no {kind} {part}; it has {', '.join(one.name for one in ones) or 'none'}")


def _section(of: Results, found: Mapping[str, Results], plots: str) -> str:
    newest = max(found.values(), key=lambda one: one.date)
    measured = f"`{of.command}`, {of.date}, commit {of.commit}; {of.machine}."
    if of.date < newest.date and of.commit != newest.commit:
        measured += f" Not measured again since: the newest result here is of {newest.date}."
    parts = [f"## {of.name}", of.about, measured]
    for table in of.tables:
        parts += [f"**{table.title}**", _table(table), table.note]
    parts += [_image(plot, of.name, plots) for plot in of.plots]
    return "\n\n".join(part for part in [*parts, of.note] if part) + "\n"


def _table(table: Table) -> str:
    columns = [[cell(row[place]) for row in table.rows] for place in range(len(table.columns))]
    numeric = [all(text[:1].isdigit() or text == cell(None) for text in column) for column in columns]
    rule = "|".join("---:" if right else "---" for right in numeric)
    rows = [f"| {' | '.join(_cell(cell(value)) for value in row)} |" for row in table.rows]
    return "\n".join([f"| {' | '.join(map(_cell, table.columns))} |", f"|{rule}|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _image(plot: Plot, benchmark: str, plots: str) -> str:
    return f"![{plot.title}]({plots}/{benchmark}.{plot.name}.svg)"


def unmarked(text: str) -> Iterator[tuple[int, str]]:
    """Figures that a hand could have written: line and text, in sections where others are marked."""
    blank = _PLACE.sub(lambda place: re.sub(r"[^\n]", " ", place[0]), text)
    begin = 0
    for section in re.split(r"(?m)^(?=#)", text):
        if _PLACE.search(section):
            for number in _MEASURED.finditer(blank, begin, begin + len(section)):
                yield text.count("\n", 0, number.start()) + 1, number[0]
        begin += len(section)


def drawings(found: Mapping[str, Results], plots: Path = PLOTS) -> dict[Path, Plot]:
    """Every drawing there must be, with the plot that it shows."""
    return {plots / f"{name}.{plot.name}.svg": plot for name, one in found.items() for plot in one.plots}


def report(pages: Sequence[Path] = PAGES, results: Path = RESULTS, plots: Path = PLOTS) -> None:
    """Writes pages and drawings anew, and removes drawings of results that are no more."""
    found = read_all(results)
    texts = {page: filled(page.read_text(encoding="utf-8"), page, found, plots) for page in pages}
    wanted = drawings(found, plots)
    for file, plot in wanted.items():
        if not is_of(file, plot):
            draw(plot, file)
    for file in set(plots.glob("*.svg")) - wanted.keys():
        file.unlink()
    for page, text in texts.items():
        page.write_text(text, encoding="utf-8")


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        report()
    except (PlaceError, ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
