"""The scanner that places keys agrees with tomllib about every valid text, and is quick on every other."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sockwarden.toml_positions import MAX_DEPTH, MAX_VALUES, KeyPath, TooComplexError, positions

EVERY_FORM = """
# a comment = "x"
bare = 1
"quoted \\u0041" = "a # b = c"
'literal' = 'a " b'
dotted . key."part" = 1979-05-27 07:32:00Z
multi = \"\"\"
[not.a.table]
x = 1 \\\" \\\\\"\"\"\"\"
raw = '''
a = 'b'
'''''
array = [ 1, [2, "]"], # ]
  { a = [], b.c = 'x' },
]
empty = ""
[table] # comment
k = {}
[table.sub."x.y"]
k = true
[[list]]
[list.inner]
k = inf
[[list]]
[[list.deep]]
a.b.c = -0x1F
[[list.deep]]
"""


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, (*path, index))


LINEAR = 10.0  # seconds, for up to 1.5 MB under coverage; quadratic work would take many minutes

WORDS = ["a", "b", ".", "=", "[", "]", "[[", "]]", "{", "}", ",", "\n", " ", "#", '"', "'", '"""', "'''", "\\", "1"]


@settings(deadline=None)  # a loaded machine is no failure
@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=40).map("".join)))
@example(EVERY_FORM)
@example("a=1\n'''")
@example('"\\q" = 1')
def test_every_key_and_value_that_tomllib_reads_has_its_place(text: str) -> None:
    text = text.replace("\r\n", "\n")
    spans = positions(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(spans) == set(paths(document))


def test_a_place_is_the_start_of_the_key_and_of_its_value() -> None:
    text = "[rule]\nname = 'x'\n[[rule.threat]]\nids = [\n  'a',\n  'b']\n"
    spans = positions(text)
    assert text[spans["rule",].key :].startswith("[rule]")
    assert text[spans["rule", "name"].key :].startswith("name =")
    assert text[spans["rule", "name"].value :].startswith("'x'")
    assert text[spans["rule", "threat", 0].key :].startswith("[[rule.threat]]")
    assert text[spans["rule", "threat", 0, "ids", 1].key :].startswith("'b'")


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 500_000,
        "a=" + "{b=" * 300_000,
        ".".join(["a"] * 500_000) + "=1",
        "[" + ".".join(["a"] * 500_000) + "]",
        "a=[" + "[]," * 300_000 + "]",
        "\n".join(f"k{number}=1" for number in range(100_000)),
        "a=" + "9" * 1_000_000,
    ],
    ids=["arrays", "inline tables", "dotted key", "header", "elements", "keys", "digits"],
)
def test_what_is_too_complex_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(TooComplexError) as refused:
        positions(text)
    assert time.process_time() - began < LINEAR
    assert 0 <= refused.value.offset <= len(text)


@pytest.mark.parametrize("text", ['a="""' * 200_000, "a='''" * 200_000, 'a="' * 300_000, "[" * 2 + " " * 1_000_000])
def test_an_unfinished_text_is_scanned_at_once(text: str) -> None:
    began = time.process_time()
    positions(text)
    assert time.process_time() - began < LINEAR


def test_the_limits_leave_room() -> None:
    positions("a=" + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    positions("\n".join(f"k{number}=1" for number in range(MAX_VALUES)))
