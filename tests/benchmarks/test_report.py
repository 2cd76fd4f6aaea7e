"""Figures on the pages are what the benchmarks found, and nobody's hand."""

from pathlib import Path

import pytest
from plots import is_of, mark
from report import PAGES, RESULTS, PlaceError, drawings, filled, report, unmarked
from results import Axis, Plot, Results, Series, Table, read_all, write

_PLOT = Plot("size", "Size", Axis("MB", log=True), Axis("s"), [Series("ours", [(1.0, 2.0, 1.5, 2.5)])])
_FOUND = {
    "hunt": Results(
        *("hunt", "abc", "2 cores", "2026-11-02", "python benchmarks/hunt.py"),
        [Table("tools", "Tools", ["tool | t", "seconds"], [["ours", 2.3], ["theirs", None]], "A note.")],
        [_PLOT],
        {"seconds": "2.30"},
        "What it is.",
    ),
    "sweep": Results("sweep", "0ld", "1 core", "2026-10-01", "python benchmarks/sweep.py", [], [], {}),
}
_TABLE = "| tool \\| t | seconds |\n|---|---:|\n| ours | 2.30 |\n| theirs | - |"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_results_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text, page, read_all(RESULTS)) == text, "python benchmarks/report.py writes the figures"


def test_where_the_readme_has_marked_figures_all_are() -> None:
    assert list(unmarked(PAGES[0].read_text(encoding="utf-8"))) == []


def test_drawings_are_those_of_the_results() -> None:
    wanted = drawings(read_all(RESULTS))
    assert {file.name for file, plot in wanted.items() if not is_of(file, plot)} == set()
    assert set((PAGES[0].parent / "docs" / "plots").glob("*.svg")) == wanted.keys()


def test_figures_tables_and_plots_take_the_place_of_what_stood_there(tmp_path: Path) -> None:
    text = (
        "<!-- figure hunt.seconds -->9<!-- /figure --> s, <!-- figure hunt.seconds --><!-- /figure -->.\n"
        "<!-- table hunt.tools -->\n\nold\n\n<!-- /table -->\n<!-- plot hunt.size --><!-- /plot --> as before"
    )
    plots = tmp_path / "docs" / "plots"
    new = filled(text, tmp_path / "README.md", _FOUND, plots)
    assert new == (
        "<!-- figure hunt.seconds -->2.30<!-- /figure --> s, <!-- figure hunt.seconds -->2.30<!-- /figure -->.\n"
        f"<!-- table hunt.tools -->\n\n{_TABLE}\n\n<!-- /table -->\n"
        "<!-- plot hunt.size -->\n\n![Size](docs/plots/hunt.size.svg)\n\n<!-- /plot --> as before"
    )
    assert filled(new, tmp_path / "README.md", _FOUND, plots) == new


def test_a_section_says_what_by_what_command_when_and_on_what(tmp_path: Path) -> None:
    text = "# P\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\n"
    assert filled(text, tmp_path / "performance.md", _FOUND, tmp_path / "plots") == (
        "# P\n<!-- benchmarks -->\n## hunt\n\nWhat it is.\n\n"
        "`python benchmarks/hunt.py`, 2026-11-02, commit abc; 2 cores.\n\n"
        f"**Tools**\n\n{_TABLE}\n\nA note.\n\n![Size](plots/hunt.size.svg)\n\n"
        "## sweep\n\n`python benchmarks/sweep.py`, 2026-10-01, commit 0ld; 1 core."
        " Not measured again since: the newest result here is of 2026-11-02.\n<!-- /benchmarks -->\n"
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("<!-- figure hunt.gone -->1<!-- /figure -->", "hunt.json has no figure gone; it has seconds"),
        ("<!-- table hunt.gone --><!-- /table -->", "hunt.json has no table gone; it has tools"),
        ("<!-- plot hunt.tools --><!-- /plot -->", "hunt.json has no plot tools; it has size"),
        ("<!-- figure day.seconds -->1<!-- /figure -->", "benchmarks/results has no day.json"),
        ("<!-- figure sweep.x -->1<!-- /figure -->", "sweep.json has no figure x; it has none"),
        ("<!-- figure hunt.seconds -->1", "has no other end"),
        ("1<!-- /figure -->", "has no other end"),
        ("<!-- figure hunt.seconds -->1<!-- /table -->", "has no other end"),
        ("<!-- figure hunt.seconds --><!-- figure hunt.seconds -->1<!-- /figure -->", "has another mark inside"),
    ],
)
def test_a_place_that_cannot_be_filled_is_named(place: str, said: str) -> None:
    with pytest.raises(PlaceError) as raised:
        filled(f"# P\n\nIt takes {place} s", Path("/x/README.md"), _FOUND)
    assert str(raised.value).startswith("README.md:3: ")
    assert said in str(raised.value)


def test_a_page_is_written_only_when_all_can_be(tmp_path: Path) -> None:
    one, other = tmp_path / "one.md", tmp_path / "other.md"
    one.write_text("<!-- figure hunt.seconds --><!-- /figure -->", encoding="utf-8")
    other.write_text("<!-- figure hunt.gone --><!-- /figure -->", encoding="utf-8")
    write(tmp_path / "results" / "hunt.json", _FOUND["hunt"])
    with pytest.raises(PlaceError):
        report([one, other], tmp_path / "results", tmp_path / "plots")
    assert "2.30" not in one.read_text(encoding="utf-8")


def test_figures_by_hand_are_found_beside_marked_ones() -> None:
    text = (
        "# Live\nlooks every 5 s\n\n# Speed\n"
        "<!-- figure a.b -->3<!-- /figure --> s; 0.4 ms of it,\nPython 3.11, 60,000 connects a second,\n"
        "<!-- table a.c -->\n| 5 ms |\n<!-- /table --> 170 MB/s and TRC-1019 shows 2 sockets\n"
    )
    assert list(unmarked(text)) == [(5, "0.4 ms"), (6, "60,000 connects a second"), (9, "170 MB/s")]


def test_a_drawing_is_told_from_one_of_other_data(tmp_path: Path) -> None:
    file = tmp_path / "hunt.size.svg"
    assert not is_of(file, _PLOT)
    file.write_text(f"<svg>{mark(_PLOT)}</svg>", encoding="utf-8")
    assert is_of(file, _PLOT)
    other = Plot("size", "Size", _PLOT.x, _PLOT.y, [Series("ours", [(1.0, 2.1, 1.5, 2.5)])])
    assert not is_of(file, other)


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only `make bench` installs it")
    from plots import draw  # noqa: PLC0415

    draw(_PLOT, tmp_path / "one.svg")
    draw(_PLOT, tmp_path / "other.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
    assert is_of(tmp_path / "one.svg", _PLOT)
