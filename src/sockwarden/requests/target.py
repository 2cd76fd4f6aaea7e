"""A request target as the daemons see it: Go's net/url, and gorilla/mux behind it."""

from __future__ import annotations

import posixpath
import re

import msgspec

_ORIGIN = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._-]*(?::[0-9]*)?)?((?:/[^?]*)?)(?:\?(.*))?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VERSION = re.compile(r"/v([0-9][0-9A-Za-z.-]*|[0-9.]+)(?=/)")


class Target(msgspec.Struct, frozen=True):
    """What a request target names.

    path      percent escapes decoded once, then cleaned of `//` and dot segments, without the version; as given where
              it is not valid. Bytes that are not UTF-8 are written \\xNN.
    version   of the API, "1.41", as the path begins with it; empty without one
    query     decoded pairs in their order, without those that Go leaves out
    valid     Go's server takes the target; it answers any other with 400 and hangs up. An authority with user
              information, brackets or escapes counts as not valid, though Go takes some of those.
    query_valid  Go's url.ParseQuery has no error to tell: no bad escape, no `;`
    """

    path: str
    version: str = ""
    query: tuple[tuple[str, str], ...] = ()
    valid: bool = True
    query_valid: bool = True

    def first(self, name: str) -> str:
        """A parameter's first value, the one that Form.Get returns; empty without one."""
        return next((value for key, value in self.query if key == name), "")


def path_of(target: str) -> Target:
    """A target as it came, in Latin-1. gorilla/mux redirects (301) to a path that is not clean: the clean one is then
    what would have been asked.
    """
    if target == "*":
        return Target("*")
    match = _ORIGIN.fullmatch(target)
    if not target or _CONTROL.search(target) or match is None or _BAD_ESCAPE.search(match[1]):
        return Target(target, valid=False)
    path = _clean(_unescaped(match[1]))
    query, query_valid = _query(match[2] or "")
    version = _VERSION.match(path)
    if version is None:
        return Target(path, "", query, True, query_valid)
    return Target(path[version.end() :], version[1], query, True, query_valid)


def _clean(path: str) -> str:
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def _unescaped(text: str) -> str:
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return raw.encode("latin-1").decode("utf-8", "backslashreplace")


def _query(text: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    pairs, valid = [], True
    for pair in text.split("&"):
        if ";" in pair or _BAD_ESCAPE.search(pair):
            valid = False
        elif pair:
            name, _, value = pair.replace("+", " ").partition("=")
            pairs.append((_unescaped(name), _unescaped(value)))
    return tuple(pairs), valid
