"""JSON as Go reads it, by go_json.jsonl: a text in hex, and how Go 1.26's encoding/json decoded it into

  type shape struct {
    Task bool; Skip string; List []string; Mounts []struct{ A, B string }; Map map[string]string
    Maps map[string]struct{ A, B string }; Host *struct{ Task bool; Skip string }; Nest struct{ Task bool; Skip string }
  }

`how`: ok; mistyped, where it reports a type and has set the other fields; refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.requests.go_json import Object, Value, read, read_object

ROWS = [json.loads(line) for line in (Path(__file__).parent / "go_json.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ascii(bytes.fromhex(row["hex"])))
def test_as_go(row: dict[str, Any]) -> None:
    found, state = read_object(bytes.fromhex(row["hex"]))
    assert (state == "whole") == (row["how"] != "refused")
    if state != "whole":
        return
    wanted = row["go"]
    assert found.flag("Task") == wanted["Task"]
    assert found.text("Skip") == wanted["Skip"]
    lists = found.elements("List")
    assert lists is None or row["how"] == "mistyped" or [one or "" for one in lists] == wanted["List"]
    assert (lists is None) == (wanted["List"] is None)
    pairs = [{key: one.text(key) for key in "AB"} for one in found.structs("Mounts")]
    assert pairs == (wanted["Mounts"] or [])
    assert {key: value for key, value in found.text_map("Map").items() if value} == {
        key: value for key, value in (wanted["Map"] or {}).items() if value
    }
    maps = {key: value for key, value in found.map("Maps").items() if isinstance(value, Object)}
    assert {key: {k: one.text(k) for k in "AB"} for key, one in maps.items()} == (wanted["Maps"] or {})
    for name, pointer in (("Host", True), ("Nest", False)):
        inner = found.struct(name, pointer=pointer)
        got = {"Task": inner.flag("Task"), "Skip": inner.text("Skip")}
        assert got == (wanted[name] or {"Task": False, "Skip": ""})


def plain(value: Value) -> object:
    """A value as Python's json has it."""
    if isinstance(value, Object):
        return {key: plain(child) for key, child in value.pairs}
    return [plain(child) for child in value] if isinstance(value, list) else value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes_is_read(value: object, ascii_only: bool, indent: int | None) -> None:
    try:
        data = json.dumps({"v": value}, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    found, state = read(data + b" and more")
    assert state == "whole"
    assert json.dumps(plain(found)) == json.dumps(json.loads(data)) or "\\ud" in json.dumps(value)


@given(JSON, st.data())
def test_a_beginning_is_cut_and_keeps_what_is_whole(value: object, data: st.DataObject) -> None:
    text = json.dumps({"first": "a", "v": value}).encode()
    length = data.draw(st.integers(0, len(text) - 1))
    found, state = read_object(text[:length])
    assert state == "cut"
    assert found.text("first") == ("a" if length >= len(b'{"first": "a"') else "")


@given(st.binary(max_size=200) | st.text('{}[]:,"\\u0123efalsnrtk-+. \n', max_size=60).map(str.encode))
def test_nothing_raises(data: bytes) -> None:
    found, _ = read_object(data)
    for name in {key for key, _ in found.pairs}:
        found.text(name), found.flag(name), found.number(name), found.texts(name), found.text_map(name)


@pytest.mark.parametrize("data", [b"[" * 65_536, b'{"a":' * 13_000, b'["' + b"\\ud800" * 10_900 + b'"]', b"9" * 65_536])
def test_the_largest_bodies_come_to_an_end(data: bytes) -> None:
    _, state = read(data)
    assert state in ("cut", "broken", "whole")
