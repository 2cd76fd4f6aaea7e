"""Requests as bytes in files, for a client that only sends what it is given."""

from __future__ import annotations

import json
from pathlib import Path

from runtimes import IMAGE

CRLF = "\r\n"
LARGE = 200 << 10
"""Bytes of a body that is longer than what is kept of one."""
PRIVILEGED = {"Image": IMAGE, "Cmd": ["sleep"], "HostConfig": {"Privileged": True}}
HARMLESS = {"Image": IMAGE, "Cmd": ["sleep"], "HostConfig": {"NetworkMode": "none"}}


def request(first: str, body: bytes = b"", *headers: str, last: bool = False, size: bool = True) -> bytes:
    """An HTTP/1.1 request (RFC 9112). last: the daemon closes after it. size: with Content-Length."""
    lines = [f"{first} HTTP/1.1", "Host: d", "Content-Type: application/json", *headers]
    lines += [f"Content-Length: {len(body)}"] if size else []
    lines += ["Connection: close"] if last else []
    return CRLF.join([*lines, "", ""]).encode() + body


def create(container: object, *headers: str, last: bool = True) -> bytes:
    """A request that makes a container."""
    return request("POST /v1.41/containers/create", json.dumps(container).encode(), *headers, last=last)


def chunked(body: bytes, size: int, *, extended: bool = False) -> bytes:
    """A body in chunks; extended: with what a chunk may have besides, and a trailer."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    more, trailer = (b";why=because", b"X-After: all\r\n") if extended else (b"", b"")
    chunks = [b"%04X%b\r\n%b\r\n" % (len(piece), more, piece) for piece in pieces]
    return b"".join(chunks) + b"0\r\n%b\r\n" % trailer


def write_requests(folder: Path) -> None:
    """NAME.http in a folder, as request_ways.tsv names them."""
    body = json.dumps(PRIVILEGED).encode()
    ping, of_chunks = request("GET /_ping"), "Transfer-Encoding: chunked"
    url = "POST /v1.41/containers/create"
    upgrade = ("Connection: Upgrade", "Upgrade: tcp")
    padded = {"Labels": {"why": "x" * LARGE}}
    start = f'{{"Image": "{IMAGE}", "Cmd": ["sleep"], '
    spelled = {
        "case": start + '"hOSTcONFIG": {"pRIVILEGED": true}}',
        "escapes": start + r'"Host\u0043onfig": {"\u0050rivileged": true}}',
        # Letters that fold to s and k.
        "folded-letters": start + r'"Ho\u017ftConfig": {"Privileged": true}}',
        "twice": start + '"HostConfig": {"Privileged": false, "privileged": true}}',
        "twice-harmless": start + '"HostConfig": {"Privileged": true, "privileged": false}}',
        "merged": start + '"HostConfig": {"Privileged": true}, "hostconfig": {"Binds": ["/srv:/srv"]}}',
        "taken-back": start + '"HostConfig": {"Privileged": true}, "HostConfig": null}',
        "null-inside": start + '"HostConfig": {"Privileged": true, "Privileged": null}}',
        "outside": start + '"Privileged": true}',
        "outside-in-vain": start + '"Privileged": true, "HostConfig": {}}',
        "second-value": start + '"HostConfig": {}} {"HostConfig": {"Privileged": true}}',
        "broken-behind": start + '"HostConfig": {"Privileged": true}} and then something else',
    }
    files = {name: request(url, body.encode(), last=True) for name, body in spelled.items()} | {
        "privileged": create(PRIVILEGED),
        "pipelined": ping
        + create(HARMLESS, last=False)
        + create(PRIVILEGED, last=False)
        + request("GET /info", last=True),
        "chunked": request(url, chunked(body, 1), of_chunks, last=True, size=False),
        "chunked-extended": request(url, chunked(body, 9, extended=True), of_chunks, last=True, size=False),
        "chunked-large": request(
            url, chunked(json.dumps({**padded, **PRIVILEGED}).encode(), 1000), of_chunks, last=True, size=False
        ),
        "large": create({**PRIVILEGED, **padded}),
        "large-late": create({**padded, **PRIVILEGED}),
        "large-first": create({**HARMLESS, **padded}, last=False) + create(PRIVILEGED),
        # What follows the head belongs to the container's input, whatever it looks like.
        "hijacked": request("POST /v1.41/containers/idle/attach?stdin=1&stream=1", b"", *upgrade) + create(PRIVILEGED),
        # The daemon takes this connection over before it looks whether there is such a container, and closes it; as its
        # answer is one to a request that was refused, what follows is told as if it were asked.
        "hijacked-in-vain": request("POST /v1.41/containers/gone/attach?stream=1", b"", *upgrade) + create(PRIVILEGED),
        # Here it looks first, so that the next request is one.
        "not-hijacked": request("POST /v1.41/exec/gone/start", b"{}", *upgrade) + create(PRIVILEGED),
        "ping-upgraded": request("GET /_ping", b"", *upgrade) + create(PRIVILEGED),
        "get-with-body": request("GET /_ping", b"GET /info HTTP/1.1\r\n\r\n") + create(PRIVILEGED),
        "folded": create(PRIVILEGED).replace(b"Host: d", b"hOsT:    d   "),
        "bare-newlines": create(PRIVILEGED).replace(b"\r\n", b"\n"),
        "absolute": create(PRIVILEGED).replace(b"POST /", b"POST http://docker/"),
        "http10": create(PRIVILEGED).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "escaped": create(PRIVILEGED).replace(b"/containers/create", b"/%63ontainers/creat%65?name="),
        "version-odd": create(PRIVILEGED).replace(b"/v1.41/", b"/v1.024/"),
        "version-none": create(PRIVILEGED).replace(b"/v1.41/", b"/"),
        "cut": create(PRIVILEGED)[:-10],
    }
    for name, content in files.items():
        (folder / f"{name}.http").write_bytes(content)
