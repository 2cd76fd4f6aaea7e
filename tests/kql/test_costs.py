"""What a document may cost, whoever wrote it."""

from __future__ import annotations

import tracemalloc

from sockwarden.kql import compile_query, parse
from sockwarden.kql.words import words_of


def test_long_names_do_not_fill_the_memory() -> None:
    matches = compile_query(parse("*: nothing"))
    document = {"a" * 50_000: {f"k{number}": 1 for number in range(2000)}}
    tracemalloc.start()
    try:
        assert not matches(document)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_text_is_cut_into_words_once_for_many_leaves() -> None:
    asked = " or ".join(f'"word{number}"' for number in range(200))
    matches = compile_query(parse(f"message: ({asked})"))
    words_of.cache_clear()
    assert not matches({"message": "some other words"})
    assert words_of.cache_info().misses == 1
