"""A text as the words that an index finds it by: Elasticsearch's `standard` analyzer.

Word boundaries by Unicode's Annex 29 in the version that Lucene 9 follows (12.1), lower case, no stop words, words
longer than 255 characters cut into several. Of the annex's finer rules, those of Thai and its kin are left out, and
emoji, which Lucene takes for words, are passed over.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MOST_CHARACTERS = 255

# Han and Hiragana: each character is a word.
_SINGLE = "\u3041-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# What may stand within a word: between two letters, between two digits, between either.
_LETTERS, _DIGITS, _BOTH = (
    ":\u00b7\u0387\u05f4\u2027\ufe13\ufe55\uff1a",
    ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\uff0c\uff1b",
    "'.\u2018\u2019\u2024\ufe52\uff07\uff0e",
)
_RUN = re.compile(rf"[{_SINGLE}]|(?:(?![{_SINGLE}])[\w\u0300-\u036f\u200d{re.escape(_LETTERS + _DIGITS + _BOTH)}])+")


@lru_cache(maxsize=4)  # a query asks many things of one value
def words_of(text: str) -> tuple[str, ...]:
    """The words in order."""
    words: list[str] = []
    for run in _RUN.findall(text):
        for word in _split(run) if not run.isalnum() else (run,):
            lower = word.lower()
            words += (lower[start : start + MOST_CHARACTERS] for start in range(0, len(lower), MOST_CHARACTERS))
    return tuple(words)


@lru_cache(maxsize=4)
def word_set(text: str) -> frozenset[str]:
    """The words, each once."""
    return frozenset(words_of(text))


def _split(run: str) -> list[str]:
    """A run of letters, digits, `_` and punctuation that may stand within words, cut where that does not."""
    words: list[str] = []
    start = 0
    for position, character in enumerate(run):
        if _within(character) and not _joins(character, run, position):
            words.append(run[start:position])
            start = position + 1
    words.append(run[start:])
    return [word for word in words if any(map(str.isalnum, word))]


def _within(character: str) -> bool:
    return character in _LETTERS or character in _DIGITS or character in _BOTH


def _joins(character: str, run: str, position: int) -> bool:
    before, after = run[position - 1 : position], run[position + 1 : position + 2]
    while before and unicodedata.combining(before):
        position -= 1
        before = run[position - 1 : position]
    if before.isdecimal() and after.isdecimal():
        return character not in _LETTERS
    if before.isalpha() and after.isalpha():
        return character not in _DIGITS
    return False
