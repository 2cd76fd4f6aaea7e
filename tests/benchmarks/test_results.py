"""Results keep what was measured, and the statistics that every benchmark shares."""

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import (
    UNABLE,
    Axis,
    Plot,
    Results,
    Series,
    Table,
    arguments,
    cell,
    commit,
    finish,
    interleave,
    machine,
    number,
    ratio,
    read,
    read_all,
    spread,
    unable,
    write,
)

_TIMES = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=40)


def found(name: str = "hunt") -> Results:
    table = Table("tools", "Tools", ["tool", "seconds"], [["ours", 2.3], ["theirs", None]])
    plot = Plot("size", "Size", Axis("MB", log=True), Axis("s"), [Series("ours", [(1.0, 2.0, 1.5, 2.5)])])
    return Results(name, "abc", "2 cores", "2026-11-01", "python x.py", [table], [plot], {"seconds": "2.30"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "hunt.json", found())
    assert read(tmp_path / "hunt.json") == found()
    assert read_all(tmp_path) == {"hunt": found()}


def test_results_are_read_as_the_contract_has_them_without_what_may_lack(tmp_path: Path) -> None:
    file = tmp_path / "day.json"
    file.write_text(
        '{"name": "day", "commit": "c", "machine": "m", "date": "2026-11-01", "command": "x", '
        '"tables": [], "plots": [], "figures": {}}',
        encoding="utf-8",
    )
    assert read(file) == Results("day", "c", "m", "2026-11-01", "x", [], [], {})


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("name",), "sweep", "holds the results of sweep"),
        (("date",), None, "Expected `str`"),
        (("more",), 1, "unknown field `more`"),
        (("plots",), "none", "Expected `array`"),
        (("tables", 0, "rows", 0), ["ours"], "table tools has 2 columns"),
        (("tables", 0, "name"), "size", "have one name"),
        (("plots", 0, "series", 0, "points", 0), [1, 2, 3, 4], "median of 2"),
        (("figures", "a b"), "1", "a name is of"),
        (("figures", "seconds"), "1\n2", "not a line of text"),
        (("figures", "seconds"), " ", "not a line of text"),
    ],
)
def test_what_is_not_as_the_contract_says_is_named_with_its_file(
    tmp_path: Path, path: tuple[str | int, ...], value: object, said: str
) -> None:
    whole = at = msgspec.to_builtins(found())
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    file = tmp_path / "hunt.json"
    file.write_bytes(msgspec.json.encode(whole))
    with pytest.raises(ValueError, match=f"hunt.json.*{said}"):
        read(file)


def test_what_is_no_json_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "hunt.json"
    file.write_bytes(b"{")
    with pytest.raises(ValueError, match=r"hunt.json.*truncated"):
        read(file)


def test_results_of_a_benchmark_that_there_is_not_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "gone.json", found("gone"))
    with pytest.raises(ValueError, match="results of no benchmark: gone"):
        read_all(tmp_path)


def contender(order: list[str], name: str) -> Callable[[], int]:
    """Counts all runs."""

    def run() -> int:
        order.append(name)
        return len(order)

    return run


def test_each_round_has_every_contender_once_and_begins_with_the_next() -> None:
    order: list[str] = []
    counts = interleave({name: contender(order, name) for name in "abc"}, 4)
    assert "".join(order) == "abcbcacababc"
    assert counts == {"a": [1, 6, 8, 10], "b": [2, 4, 9, 11], "c": [3, 5, 7, 12]}


def test_a_warm_up_is_run_and_thrown_away() -> None:
    assert interleave({"a": contender([], "a")}, 2, warm_up=True) == {"a": [2, 3]}


@given(_TIMES)
def test_a_ratio_to_itself_is_1_without_doubt(values: list[float]) -> None:
    assert ratio(values, values) == (1, 1, 1)


@given(_TIMES, st.floats(0.01, 100))
def test_a_ratio_scales_with_what_is_measured_and_its_bounds_turn_with_it(values: list[float], factor: float) -> None:
    base = [1 + place % 3 for place in range(len(values))]
    one, scaled, turned = ratio(values, base), ratio([factor * value for value in values], base), ratio(base, values)
    assert one.low is not None and one.high is not None and turned.low is not None and turned.high is not None
    assert one.low <= one.ratio <= one.high or math.isclose(one.low, one.high)
    assert scaled.ratio == pytest.approx(factor * one.ratio)
    assert (turned.ratio, turned.low, turned.high) == pytest.approx((1 / one.ratio, 1 / one.high, 1 / one.low))


def test_an_interval_is_the_one_of_the_text_books() -> None:
    # Logarithms 0 to 4: mean 2, deviation sqrt(2.5), 4 degrees of freedom: 2 +- 2.776 * sqrt(2.5 / 5).
    found_ratio = ratio([math.exp(each) for each in range(5)], [1.0] * 5)
    wide = 2.776 * math.sqrt(0.5)
    assert found_ratio == pytest.approx((math.exp(2), math.exp(2 - wide), math.exp(2 + wide)))


def test_one_round_tells_no_interval() -> None:
    assert ratio([3.0], [2.0])[1:] == (None, None)
    assert str(ratio([3.0], [2.0])) == "1.50"


def test_rounds_that_are_not_as_many_are_an_error() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratio([1.0, 2.0], [1.0, 2.0, 3.0])


@given(_TIMES)
def test_a_spread_is_the_median_between_the_least_and_the_most(values: list[float]) -> None:
    assert spread(values) == (statistics.median(values), min(values), max(values))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.09213, "0.0921"),
        (2.3, "2.30"),
        (86.44, "86.4"),
        (101787.4, "101,787"),
        (0, "0"),
        (-2.345, "-2.35"),
        (9.999, "10.00"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_cells_are_as_people_read_them() -> None:
    assert [cell(value) for value in (None, 235634, 2.3, "as it is")] == ["-", "235,634", "2.30", "as it is"]
    assert str(spread([2.0, 1.0, 4.0])) == "2.00 (1.00 to 4.00)"


def test_a_benchmark_that_cannot_run_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        unable("it needs root")
    assert ended.value.code == UNABLE
    assert "cannot run here: it needs root" in capsys.readouterr().err


def test_a_script_writes_how_it_was_called_where_and_on_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hunt.json"
    words = ["--quick", "--json", str(file)]
    monkeypatch.setattr("sys.argv", ["benchmarks/hunt.py", *words])
    about = "How fast.\n\n    python benchmarks/hunt.py\n\nEach round runs\nevery tool."
    finish(arguments(about).parse_args(words), found().tables, figures={"seconds": "2.30"}, note="A note.")
    wrote = read(file)
    assert (wrote.name, wrote.command) == ("hunt", "python benchmarks/hunt.py --quick")
    assert (wrote.machine, wrote.commit) == (machine(), commit())
    assert wrote.about == "How fast.\n\nEach round runs\nevery tool."
    assert (wrote.tables, wrote.figures, wrote.note) == (found().tables, {"seconds": "2.30"}, "A note.")
    assert "ours       2.30" in capsys.readouterr().out
