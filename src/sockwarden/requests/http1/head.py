"""The head of a request: what it asks for and how long its body is, where Go's server is sure to agree."""

from __future__ import annotations

import re
from enum import Enum

import h11
import msgspec

from sockwarden.requests.message import NEVER
from sockwarden.requests.target import path_of

END_OF_HEAD = re.compile(rb"\n\r?\n")
MOST_HEAD = 256 << 10
"""Bytes of a head that are read. Go's server reads up to 1 MiB: a longer one is not followed."""
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""Of what a method is made (RFC 9110, 5.6.2)."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})[ \t]+([^ \t\r\n]+)")
_FOLD = re.compile(rb"\n[ \t]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_LIST_OF_LENGTHS = re.compile(rb"\ncontent-length:[^\n]*,", re.IGNORECASE)
_HOST = re.compile(r"[0-9A-Za-z!$%&()*+,.:;=\[\]'_~-]*")


class Takes(Enum):
    """What a connection becomes if the daemon accepts a request (Docker's and Podman's API)."""

    NOTHING = "the next request follows"
    STREAM = "the streams of a process"
    SESSION = "HTTP/2 with the daemon as the client"
    GRPC = "HTTP/2"


_ENDPOINTS = (
    (re.compile(r"POST (/libpod)?/(containers/.+/attach|exec/.+/start)", re.DOTALL), Takes.STREAM),
    (re.compile(r"GET /containers/.+/attach/ws", re.DOTALL), Takes.STREAM),
    (re.compile(r"POST /session"), Takes.SESSION),
    (re.compile(r"POST /grpc"), Takes.GRPC),
)


class Head(msgspec.Struct, frozen=True):
    """A head that was read.

    length  of the body in bytes; None for chunks
    last    the daemon takes no further request of the connection after this one
    takes   what becomes of the connection
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    length: int | None
    last: bool
    takes: Takes


class Refused(Exception):  # noqa: N818 - an answer of the parser's, not an error
    """Not to be followed; its text is the reason, as a sentence's end."""


def begun(raw: bytes) -> tuple[str, str] | None:
    """Method and target of a head that may be incomplete or not in order."""
    match = _REQUEST_LINE.match(raw)
    return (match[1].decode("latin-1"), match[2].decode("latin-1")) if match else None


def read_head(raw: bytes) -> Head:
    """Reads a head with the blank line that ends it. Raises Refused for what Go's server refuses, and for what it takes
    otherwise than h11 or than another version of it.
    """
    if _FOLD.search(raw):
        raise Refused("a header goes on in the next line")
    if _CONTROL.search(raw.replace(b"\r\n", b"\n")):
        raise Refused("a head has control characters")
    if _LIST_OF_LENGTHS.search(raw):
        raise Refused("a Content-Length is a list")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
    try:
        connection.receive_data(raw)
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        reason = str(error).partition(": b")[0]  # without the line, which may hold a secret
        raise Refused(f"a head is not in order: {reason}") from None
    if not isinstance(request, h11.Request):
        raise Refused("a head is not in order")
    return _judged(request)


def _judged(request: h11.Request) -> Head:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    if request.http_version not in (b"1.0", b"1.1"):
        raise Refused("a request is of another version of HTTP")
    where = path_of(target)
    if not where.valid or method == "CONNECT":
        raise Refused("a request's target is not one of a server")
    if not all(_HOST.fullmatch(host) for host in values.get("host", [])):
        raise Refused("a Host is not in order")
    if any(expected.lower() != "100-continue" for expected in values.get("expect", [])):
        raise Refused("a request expects what no daemon offers")
    length = _length(values, request.http_version)
    takes = next((takes for form, takes in _ENDPOINTS if form.fullmatch(f"{method} {where.path}")), Takes.NOTHING)
    return Head(method, target, headers, length, _is_last(values, request.http_version), takes)


def _length(values: dict[str, list[str]], version: bytes) -> int | None:
    length = int(values["content-length"][0]) if "content-length" in values else 0
    if length >= NEVER:
        raise Refused("a Content-Length is too great")
    if "transfer-encoding" not in values:
        return length
    if version == b"1.0":
        raise Refused("chunks are of HTTP/1.1")
    if "trailer" in values:
        raise Refused("the chunks have a trailer")
    return None


def _is_last(values: dict[str, list[str]], version: bytes) -> bool:
    tokens = re.split("[ \t,]+", ",".join(values.get("connection", [])).lower())
    return "close" in tokens or (version == b"1.0" and "keep-alive" not in tokens)
