"""Draws a plot of results as SVG: the same bytes for the same results."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from results import Plot

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's, which the colour-blind tell apart too."""
_MARKERS = "os^Dv<>P"
_STYLE = {
    "svg.hashsalt": "sockwarden",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "figure.facecolor": "white",
}


def mark(plot: Plot) -> str:
    """What names the data that a drawing was made from: it stands in the drawing, so that an old one is told."""
    return f"sha256:{hashlib.sha256(msgspec.json.encode(plot)).hexdigest()}"


def is_of(file: Path, plot: Plot) -> bool:
    """Whether a drawing was made from that plot."""
    return file.exists() and mark(plot) in file.read_text(encoding="utf-8")


def draw(plot: Plot, file: Path) -> None:
    """Writes the drawing. ImportError without matplotlib, which `make bench` installs."""
    import matplotlib  # noqa: PLC0415 - whoever only compares the pages with the results needs it not
    from matplotlib.figure import Figure  # noqa: PLC0415

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for place, series in enumerate(plot.series):
            x, median, low, high = zip(*series.points, strict=True)
            bars = [
                [m - b for m, b in zip(median, low, strict=True)],
                [t - m for m, t in zip(median, high, strict=True)],
            ]
            axes.errorbar(
                x,
                median,
                yerr=bars,
                label=series.name,
                color=_COLOURS[place % len(_COLOURS)],
                marker=_MARKERS[place % len(_MARKERS)],
                markersize=5,
                capsize=3,
            )
        axes.set(title=plot.title, xlabel=plot.x.label, ylabel=plot.y.label)
        if plot.x.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        if plot.y.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            axes.set_ylim(bottom=0)
        if len(plot.series) > 1:
            axes.legend(frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {"Date": None, "Creator": None, "Title": plot.title, "Identifier": mark(plot)}
        figure.savefig(file, format="svg", metadata=told)
