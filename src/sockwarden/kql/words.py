"""A text as the words that an index finds it by: Elasticsearch's `standard` analyzer.

Word boundaries by Unicode's Annex 29 in the version that Lucene 9 follows (12.1), lower case, no stop words, words
longer than 255 characters cut into several. A run of Thai and its kin is one word, as to Lucene. Emoji, which Lucene
takes for words, are passed over: Python's tables do not tell them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MOST_CHARACTERS = 255

# Letters, digits and `_` join; some punctuation joins two letters or two digits. No group is possessive: see `scanner`.
_ASCII = re.compile(r"\w++(?:(?:(?<=[A-Za-z])[:.'](?=[A-Za-z])|(?<=[0-9])[,;.'](?=[0-9]))\w++)*", re.ASCII)

# The annex's classes, one sign each: h Hebrew letter, l other letter, n digit, k Katakana, e what extends either (`_`),
# i ideograph and Hiragana, s scripts without spaces and m their marks, x mark on the character before, - anything
# else; within a word `:` joins letters, `,` digits, `.` and `'` both, `"` Hebrew letters.
_ALNUM = r"""[hln]++(?:(?:(?<=[hl])[:.'](?=[hl])|(?<=n)[,.'](?=n)|(?<=h)"(?=h))[hln]++)*(?:(?<=h)')?"""
_WORD = re.compile(rf"i|s++|(?<!e)e*+(?:{_ALNUM}|k++)(?:e++(?:{_ALNUM}|k++))*e*+")
_MARKS = re.compile(r"(?<=[ehklnx])m++")
_RANGES = {
    "i": "\u3006\u3007 \u3021\u3029 \u3038\u303b \u3041\u3096 \u309d\u309f \u3400\u4dbf \u4e00\u9fff \uf900\ufaff"
    " \U0001b001\U0001b11e \U00020000\U0003ffff",
    "k": "\u3031\u3035 \u309b\u309c \u30a0\u30fa \u30fc\u30ff \u31f0\u31ff \u32d0\u32fe \u3300\u3357 \uff66\uff9d",
    "s": "\u0e01\u0e3a \u0e40\u0e4e \u0e81\u0ece \u0edc\u0edf \u1000\u103f \u1050\u108f \u109a\u109f \u1780\u17d3"
    " \u17d7\u17d7 \u17dc\u17dd \u1950\u1974 \u1980\u19c9 \u19da\u19da \u19de\u19df \u1a20\u1a5e \u1a60\u1a7c"
    " \u1aa0\u1aad \ua9e0\ua9ef \ua9fa\ua9fe \uaa60\uaac2 \uaadb\uaadf",
    "h": "\u05d0\u05f2 \ufb1d\ufb1d \ufb1f\ufb28 \ufb2a\ufb4f",
    "l": "\u02c2\u02c5 \u02d2\u02d7 \u02de\u02df \u02e5\u02eb \u02ed\u02ff \u055b\u055c \u055e\u055e \u05f3\u05f3"
    " \u24b6\u24e9 \ua708\ua716 \ua720\ua721 \ua789\ua78a \uab5b\uab5b",
    ":": ":: \u00b7\u00b7 \u0387\u0387 \u05f4\u05f4 \u2027\u2027 \ufe13\ufe13 \ufe55\ufe55 \uff1a\uff1a",
    ",": ",, ;; \u037e\u037e \u0589\u0589 \u060c\u060d \u066c\u066c \u07f8\u07f8 \u2044\u2044 \ufe10\ufe10"
    " \ufe14\ufe14 \ufe50\ufe50 \ufe54\ufe54 \uff0c\uff0c \uff1b\uff1b",
    ".": ".. \u2018\u2019 \u2024\u2024 \ufe52\ufe52 \uff07\uff07 \uff0e\uff0e",
    "'": "''",
    '"': '""',
    "e": "\u202f\u202f",
    "n": "\u066b\u066b",
    "-": "\u200b\u200b",
}
_NAMED = [
    (ord(span[0]), ord(span[-1]), sign) for sign, ranges in _RANGES.items() for span in filter(None, ranges.split(" "))
]
_CATEGORIES = {
    **dict.fromkeys(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl"), "l"),
    **dict.fromkeys(("Mn", "Mc", "Me", "Cf"), "x"),
    "Nd": "n",
    "Pc": "e",
}


@lru_cache(maxsize=4)  # a query asks many things of one value
def words_of(text: str) -> tuple[str, ...]:
    """The words in order."""
    if text.isascii():
        words = [word.lower() for word in _ASCII.findall(text) if not word.startswith("_") or word.strip("_")]
    else:
        words = _words_beyond_ascii(text)
    if all(len(word) <= MOST_CHARACTERS for word in words):
        return tuple(words)
    return tuple(word[at : at + MOST_CHARACTERS] for word in words for at in range(0, len(word), MOST_CHARACTERS))


@lru_cache(maxsize=4)
def word_set(text: str) -> frozenset[str]:
    """The words, each once."""
    return frozenset(words_of(text))


def lowered(text: str) -> str:
    """In lower case character by character, as Lucene does: none becomes two, none depends on its neighbours."""
    return text.lower() if text.isascii() else "".join(character.lower()[0] for character in text)


def _words_beyond_ascii(text: str) -> list[str]:
    signs = _MARKS.sub(lambda marks: "x" * len(marks[0]), "".join(map(_sign, text))).replace("m", "s")
    # A mark belongs to the character before it and does not part what that joins.
    starts = [at for at, sign in enumerate(signs) if sign != "x"]
    bases = signs.replace("x", "")
    starts.append(len(text))
    return [lowered(text[starts[word.start()] : starts[word.end()]]) for word in _WORD.finditer(bases)]


@lru_cache(maxsize=8192)
def _sign(character: str) -> str:
    code = ord(character)
    for first, last, sign in _NAMED:
        if first <= code <= last:
            return "m" if sign == "s" and unicodedata.category(character).startswith("M") else sign
    return _CATEGORIES.get(unicodedata.category(character), "-")
