"""The client against servers that are away, busy, hostile, not trusted, or something else: one clear error each."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from answering import Serve, answer

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.cluster.failures import AnswerTooLargeError, ClusterError
from sockwarden.errors import InputError

KEY = "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw"
INFO = {"version": {"distribution": "opensearch", "number": "2.19.1"}, "cluster_name": "c"}


def client(port: int, *, scheme: str = "http", host: str = "127.0.0.1", **further: Any) -> Client:
    waits: list[float] = further.pop("waits", [])
    return Client(Connection(f"{scheme}://{host}:{port}", **further), attempts=3, pause=waits.append)


def failure(asked: Client, path: str = "/", **further: Any) -> ClusterError:
    try:
        with pytest.raises(ClusterError) as caught:
            asked.json("GET", path, **further)
    finally:
        asked.close()
    assert asked.url in caught.value.where
    return caught.value


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_listens_and_it_is_tried_again_with_growing_pauses() -> None:
    waits: list[float] = []
    error = failure(client(closed_port(), waits=waits))
    assert error.what == "cannot reach the cluster" and "refused" in error.why and "`url`" in error.todo
    assert len(waits) == 2 and 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1


def test_a_host_that_no_name_server_knows() -> None:
    error = failure(client(9200, host="no-such-host.invalid"))
    assert error.what == "cannot reach the cluster" and "host name is not found" in error.why


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_cluster_is_asked_again(serve: Serve, status: int) -> None:
    asked: list[str] = []

    def busy_once(request: BaseHTTPRequestHandler, _: bytes) -> None:
        asked.append(request.path)
        answer(request, status if len(asked) == 1 else 200, json.dumps(INFO).encode(), Retry_After="3")

    waits: list[float] = []
    once = client(serve(busy_once), waits=waits)
    assert once.info().version == "2.19.1" and len(asked) == 2 and waits == [3.0]
    once.close()


def test_a_cluster_that_stays_busy_says_so(serve: Serve) -> None:
    error = failure(client(serve(lambda request, _: answer(request, 503, b"<html>busy</html>", Retry_After="9999"))))
    assert (error.status, error.transient, error.retry_after) == (503, True, 9999.0)
    assert "<html>busy" in error.why


@pytest.mark.parametrize(
    ("status", "what", "todo"),
    [
        (400, "refused the request", ""),
        (401, "does not know who asks", "api_key_file"),
        (403, "does not permit", "view_index_metadata"),
        (404, "no such thing", ""),
        (500, "failed", "log"),
    ],
)
def test_the_servers_reason_is_told(serve: Serve, status: int, what: str, todo: str) -> None:
    inner = {"type": "query_shard_exception", "reason": "failed to create query: no field [x]"}
    failed = [{"index": "t", "reason": inner}]
    body = {
        "error": {"type": "search_phase_execution_exception", "reason": "all shards failed", "failed_shards": failed}
    }
    asked: list[int] = []

    def refuse(request: BaseHTTPRequestHandler, _: bytes) -> None:
        asked.append(1)
        answer(request, status, json.dumps(body).encode())

    error = failure(client(serve(refuse)))
    assert what in error.what and todo in error.todo and len(asked) == 1, "the same again would not help"
    assert error.why == f"GET /: HTTP {status}: all shards failed: failed to create query: no field [x]"


def test_redirects_are_not_followed(serve: Serve) -> None:
    got: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler, _: bytes) -> None:
        got.append(request.path)
        answer(request, 302, b"", Location="/stolen")

    error = failure(client(serve(elsewhere), api_key=KEY))
    assert error.what == "redirected" and got == ["/"]


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[1]", b"", b"\xff", b'{"a":' * 50_000, b'{"a": NaN}'])
def test_what_is_no_json_of_a_cluster(serve: Serve, body: bytes) -> None:
    error = failure(client(serve(lambda request, _: answer(request, 200, body))))
    assert "no JSON" in error.what and "proxy" in error.todo


@pytest.mark.parametrize("info", [{}, {"version": 3}, {"version": {"number": "x"}}, {"version": {"number": "8"}}])
def test_what_tells_no_version_is_no_cluster(serve: Serve, info: dict[str, Any]) -> None:
    asked = client(serve(lambda request, _: answer(request, 200, json.dumps(info).encode())))
    with pytest.raises(ClusterError, match="tells no version"):
        asked.info()
    asked.close()


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ({"number": "7.11.2"}, False),
        ({"number": "7.12.0"}, True),
        ({"number": "9.1.0-SNAPSHOT"}, True),
        ({"number": "2.3.0", "distribution": "opensearch"}, False),
        ({"number": "2.4.0", "distribution": "opensearch"}, True),
        ({"number": "7.10.2", "distribution": "opensearch"}, True),
    ],
)
def test_versions(serve: Serve, version: dict[str, str], fine: bool) -> None:
    asked = client(serve(lambda request, _: answer(request, 200, json.dumps({"version": version}).encode())))
    if fine:
        assert asked.info().distribution == version.get("distribution", "elasticsearch")
    else:
        with pytest.raises(ClusterError, match="too old"):
            asked.info()
    asked.close()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_cut(serve: Serve, packed: bool) -> None:
    sent: list[int] = []

    def flood(request: BaseHTTPRequestHandler, _: bytes) -> None:
        piece = gzip.compress(bytes(1 << 24)) if packed else bytes(1 << 20)
        request.send_response(200)
        if packed:
            request.send_header("content-encoding", "gzip")
        request.end_headers()
        while True:
            sent.append(request.wfile.write(piece))

    error = failure(client(serve(flood)), most_bytes=1 << 20)
    assert isinstance(error, AnswerTooLargeError) and not error.transient
    assert len(sent) < 500


def test_an_answer_that_drips_ends_with_the_timeout(serve: Serve) -> None:
    def drip(request: BaseHTTPRequestHandler, _: bytes) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.05)

    began = time.monotonic()
    error = failure(client(serve(drip), timeout=0.5), attempts=1)
    assert error.what == "the cluster did not answer in time" and time.monotonic() - began < 3


def test_a_server_that_says_nothing(serve: Serve) -> None:
    error = failure(client(serve(lambda *_: time.sleep(2)), timeout=0.3), attempts=1)
    assert error.what == "the cluster did not answer in time" and "`timeout`" in error.todo


@pytest.mark.parametrize(
    ("identity", "header"),
    [
        ({"api_key": KEY}, "ApiKey " + base64.b64encode(KEY.encode()).decode()),
        ({"api_key": "VnVhQ2Y="}, "ApiKey VnVhQ2Y="),
        ({"username": "sock", "password": "pä:ss"}, "Basic " + base64.b64encode("sock:pä:ss".encode()).decode()),
        ({}, None),
    ],
)
def test_who_asks(serve: Serve, identity: dict[str, str], header: str | None) -> None:
    """A proxy before the node checks it in life; here a server that says what it was sent."""
    got: list[str | None] = []

    def echo(request: BaseHTTPRequestHandler, _: bytes) -> None:
        got.append(request.headers.get("authorization"))
        answer(request, 401, json.dumps({"error": f"bad header {got[0]}"}).encode())

    further: dict[str, Any] = dict(identity)
    asked = client(serve(echo), **further)
    error = failure(asked)
    assert got == [header]
    hidden = {value for key, value in identity.items() if key != "username"} | {(header or "").partition(" ")[2]} - {""}
    for secret in hidden:
        shown = f"{error} {asked!r} {Connection('http://h:1', **further)!r}"
        assert secret not in shown, "a server that sends it back betrays nothing"


@pytest.mark.parametrize(
    ("further", "what"),
    [
        ({"url": "https://elastic:changeme@h:9200"}, "carries credentials"),
        ({"url": "ftp://h"}, "must be https"),
        ({"url": "https://h:0"}, "must be https"),
        ({"url": "https://h:99999"}, "must be https"),
        ({"url": "https://[::1"}, "must be https"),
        ({"url": "https://h/a?b"}, "query"),
        ({"url": "https://h/a b"}, "must be https"),
        ({"url": "http://logs.example.org:9200", "api_key": "k"}, "unencrypted"),
        ({"url": "https://h", "api_key": "k", "username": "u", "password": "p"}, "two identities"),
        ({"url": "https://h", "username": "u"}, "half an identity"),
    ],
)
def test_connections_that_are_refused(further: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as caught:
        Client(Connection(**further))
    assert what in str(caught.value) and "changeme" not in str(caught.value)


class TestTls:
    """A server with certificates of an authority of the test's own."""

    def context(self, authority: trustme.CA, *names: str, **further: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ("127.0.0.1",)), **further).configure_cert(context)
        return context

    def trust(self, authority: trustme.CA, folder: Path) -> Path:
        path = folder / "ca.pem"
        authority.cert_pem.write_to_path(path)
        return path

    def asked(self, serve: Serve, context: ssl.SSLContext, ca_file: Path | None) -> Client:
        port = serve(lambda request, _: answer(request, 200, json.dumps(INFO).encode()), context)
        return client(port, scheme="https", ca_file=ca_file)

    def test_a_certificate_of_the_ca_file(self, serve: Serve, tmp_path: Path) -> None:
        authority = trustme.CA()
        trusted = self.asked(serve, self.context(authority), self.trust(authority, tmp_path))
        assert trusted.info().name == "c"
        trusted.close()

    def test_an_unknown_authority(self, serve: Serve, tmp_path: Path) -> None:
        for ca_file in (None, self.trust(trustme.CA(), tmp_path)):
            error = failure(self.asked(serve, self.context(trustme.CA()), ca_file))
            assert error.what == "the cluster is not trusted" and "authority that is not trusted" in error.why
            assert "`ca_file`" in error.todo and not error.transient

    def test_an_expired_certificate(self, serve: Serve, tmp_path: Path) -> None:
        authority = trustme.CA()
        expired = self.context(authority, not_after=datetime.now(UTC) - timedelta(days=1))
        error = failure(self.asked(serve, expired, self.trust(authority, tmp_path)))
        assert "has expired" in error.why and "Renew" in error.todo

    @pytest.mark.parametrize("name", ["other.example.org", "127.0.0.2"])
    def test_a_certificate_of_another_host(self, serve: Serve, tmp_path: Path, name: str) -> None:
        authority = trustme.CA()
        error = failure(self.asked(serve, self.context(authority, name), self.trust(authority, tmp_path)))
        assert error.what == "the cluster is not trusted" and "not for this IP address" in error.why

    def test_a_certificate_of_another_name(self, serve: Serve, tmp_path: Path) -> None:
        authority = trustme.CA()
        port = serve(lambda *_: None, self.context(authority, "other.example.org"))
        ca_file = self.trust(authority, tmp_path)
        error = failure(client(port, scheme="https", host="localhost", ca_file=ca_file))
        assert "for another host name" in error.why

    def test_no_tls_where_it_is_expected_and_the_other_way_round(self, serve: Serve) -> None:
        plain = serve(lambda request, _: answer(request, 200, b"{}"))
        assert failure(client(plain, scheme="https")).what == "no TLS connection to the cluster"
        secured = serve(lambda *_: None, self.context(trustme.CA()))
        assert "cluster" in failure(client(secured)).what

    @pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
    def test_ca_files_that_cannot_be_used(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match="ca_file cannot be used") as caught:
            client(1, scheme="https", ca_file=path)
        assert caught.value.where == str(path) and caught.value.why
