"""Syslog: what a message is by RFC 5424, whatever an alert holds, and how it arrives by datagram, stream and TLS."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.credentials import trust
from sockwarden.document import encode
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.syslog import Form, Formatter
from sockwarden.sinks.syslog_carrier import SyslogCarrier

Make = Callable[..., dict[str, Any]]
Until = Callable[..., None]

MESSAGE = re.compile(
    rb"<(?P<pri>[0-9]{1,3})>1 (?P<time>-|[0-9T:.-]+Z) (?P<host>[!-~]{1,255}) sockwarden (?P<pid>[0-9]+) alert "
    rb'\[(?P<id>[!-~]{1,32})(?P<params>(?: [a-z_]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] (?P<msg>.*)',
    re.DOTALL,
)
PARAM = re.compile(rb' ([a-z_]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    """Parts and parameters, by the grammar of RFC 5424."""
    found = MESSAGE.fullmatch(message)
    assert found, message
    params = {
        name.decode(): re.sub(rb"\\(.)", rb"\1", value).decode() for name, value in PARAM.findall(found["params"])
    }
    return found.groupdict(), params


def test_parts(alert: Make) -> None:
    made = alert(7, severity="critical")
    made["host"] = {"name": "a host"}
    parts, params = parsed(Formatter(facility="local4").message(made))
    assert int(parts["pri"]) == 20 * 8 + 2
    assert (parts["time"], parts["host"]) == (b"2026-11-22T10:00:01.000000Z", b"a_host")
    assert parts["id"] == b"sockwarden@32473"
    assert params["uuid"] == made["kibana"]["alert"]["uuid"]
    assert (params["rule"], params["pid"], params["socket"]) == ("A Rule", "7", "/run/docker.sock")
    assert parts["msg"].decode("utf-8") == "\ufeff" + made["kibana"]["alert"]["reason"]


def test_json(alert: Make) -> None:
    for form in ("ndjson", "ecs"):
        parts, params = parsed(Formatter(form=form, structured_data_id="x@1", most_bytes=65_507).message(alert(7)))
        document = json.loads(parts["msg"])
        assert document["process"]["pid"] == 7 and ("kibana" in document) == (form == "ndjson")
        assert parts["id"] == b"x@1" and "truncated" not in params


def test_json_that_does_not_fit_is_not_cut(alert: Make) -> None:
    made = alert(7, title="x" * 5000)
    parts, params = parsed(Formatter(form="ndjson").message(made))
    assert params["truncated"] == "1"
    assert parts["msg"].decode() == "\ufeff" + made["kibana"]["alert"]["reason"]


TEXT = st.text(max_size=3000) | st.text(alphabet='"\\]\x00\x1b\n€\udcff\x85 ', max_size=400)


@given(TEXT, st.sampled_from(["text", "ndjson", "ecs"]), st.sampled_from([2048, 65_507]))
def test_framing_holds_for_any_text(text: str, form: Form, most: int) -> None:
    signal = {"uuid": text, "severity": text, "risk_score": 1, "reason": text}
    signal["rule"] = {"name": text, "rule_id": text, "version": "1", "threat": []}
    signal["severity"] = "low"
    alert_ = {
        "@timestamp": text,
        "event": {"kind": "signal"},
        "host": {"name": text},
        "process": {"executable": text, "title": text},
        "user": {"name": text, "id": text},
        "container": {"id": text},
        "sockwarden": {"socket": {"canonical": text, "runtime": text}, "actor": {"origin": text}},
        "kibana": {"alert": signal},
    }
    sent = json.loads(encode(alert_))
    message = Formatter(form=form, most_bytes=most).message(sent)
    assert len(message) <= most
    parts, params = parsed(message)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", message.decode("utf-8"))
    if form == "text" or "truncated" in params:
        assert parts["msg"].startswith(b"\xef\xbb\xbf")
    else:
        assert json.loads(parts["msg"])["process"]["title"] == sent["process"]["title"]


class Stream:
    """A receiver of counted octets, with or without TLS; `messages` are what came whole."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.messages: list[bytes] = []
        self.connections: list[socket.socket] = []
        self.reading = threading.Event()
        self.reading.set()
        self._context = context
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes everything."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        self._thread.join(10)

    def cut(self) -> None:
        """Closes what is connected."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            self.connections.append(connection)
            self.reading.wait(30)
            with connection, connection.makefile("rb") as file:
                while True:
                    count = b""
                    while (digit := file.read(1)) != b" ":
                        if not digit:
                            return
                        count += digit
                    message = file.read(int(count))
                    if len(message) < int(count):
                        return
                    self.messages.append(message)


@pytest.fixture
def stream() -> Iterator[Stream]:
    """A receiver on a stream."""
    stream = Stream()
    yield stream
    stream.stop()


def entries(*alerts: dict[str, Any]) -> list[Entry]:
    return [Entry(b"%d" % number, encode(alert)) for number, alert in enumerate(alerts)]


MAKE = Formatter().message


def test_udp(alert: Make, until: Until) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        large = Formatter(form="ndjson", most_bytes=65_507).message
        carrier = SyslogCarrier("127.0.0.1", port, "udp", large)
        sent = entries(alert(1), alert(2, title="x" * 60_000))
        assert carrier.send(sent).done == sent
        for pid in (1, 2):
            parts, _ = parsed(receiver.recv(65_535))
            assert json.loads(parts["msg"])["process"]["pid"] == pid
    # A port that nobody has: the host says so after the first, and the second fails.
    outcome = carrier.send(entries(*(alert(pid) for pid in range(5))))
    assert "refused" in outcome.again and len(outcome.done) < 5
    carrier.close()


def test_counted_octets(stream: Stream, alert: Make, until: Until) -> None:
    carrier = SyslogCarrier("127.0.0.1", stream.port, "tcp", MAKE)
    for start in range(0, 300, 100):
        sent = entries(*(alert(pid, title="é\n") for pid in range(start, start + 100)))
        assert carrier.send(sent).done == sent
    until(lambda: len(stream.messages) == 300)
    assert [int(parsed(message)[1]["pid"]) for message in stream.messages] == list(range(300))
    assert len(stream.connections) == 1, "the connection stays open"
    carrier.close()


def test_a_receiver_that_closed_is_connected_anew(stream: Stream, alert: Make, until: Until) -> None:
    carrier = SyslogCarrier("127.0.0.1", stream.port, "tcp", MAKE)
    for pid in range(5):
        sent = entries(alert(pid))
        assert carrier.send(sent).done == sent
        until(lambda pid=pid: len(stream.messages) == pid + 1)
        stream.cut()
    carrier.close()


def test_a_receiver_that_does_not_read(stream: Stream, alert: Make) -> None:
    """Its buffers fill; nothing is called delivered that its system did not acknowledge."""
    stream.reading.clear()
    large = Formatter(form="ndjson", most_bytes=1 << 20).message
    carrier = SyslogCarrier("127.0.0.1", stream.port, "tcp", large, timeout=0.5)
    for _ in range(40):
        outcome = carrier.send(entries(alert(1, title="x" * 500_000)))
        if outcome.again:
            break
    assert outcome.again and not outcome.done
    stream.reading.set()
    carrier.close()


def test_interrupted(stream: Stream, alert: Make) -> None:
    stream.reading.clear()
    large = Formatter(form="ndjson", most_bytes=1 << 20).message
    carrier = SyslogCarrier("127.0.0.1", stream.port, "tcp", large, timeout=60)
    timer = threading.Timer(0.5, carrier.interrupt)
    timer.start()
    began = time.monotonic()
    while not carrier.send(entries(alert(1, title="x" * 500_000))).again:
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 5
    timer.join()
    stream.reading.set()
    carrier.close()


def test_tls(alert: Make, until: Until, server_context: ssl.SSLContext, ca_file: str) -> None:
    stream = Stream(context=server_context)
    carrier = SyslogCarrier("localhost", stream.port, "tls", MAKE, context=trust(ca_file))
    for pid in range(3):
        sent = entries(alert(pid))
        assert carrier.send(sent).done == sent
    until(lambda: len(stream.messages) == 3)
    stream.cut()
    sent = entries(alert(3))
    assert carrier.send(sent).done == sent
    until(lambda: len(stream.messages) == 4)
    carrier.close()
    for host, context in (("localhost", trust("")), ("127.0.0.1", trust(ca_file))):
        doubting = SyslogCarrier(host, stream.port, "tls", MAKE, context=context)
        outcome = doubting.send(entries(alert(4)))
        assert not outcome.done and "its certificate is not trusted" in outcome.again
        doubting.close()
    assert len(stream.messages) == 4
    stream.stop()


def test_no_receiver(alert: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for host, why in (("127.0.0.1", "refused"), ("no-such-host.invalid", "cannot be resolved")):
        carrier = SyslogCarrier(host, port, "tcp", MAKE)
        outcome = carrier.send(entries(alert(1)))
        assert why in outcome.again and not outcome.done
        carrier.close()


def test_what_is_no_alert_is_refused(stream: Stream, alert: Make) -> None:
    carrier = SyslogCarrier("127.0.0.1", stream.port, "tcp", Formatter(form="ecs").message)
    good = entries(alert(1))
    outcome = carrier.send([Entry(b"a", b"{"), Entry(b"b", b"[]"), *good])
    assert [one.entry.key for one in outcome.refused] == [b"a", b"b"] and outcome.done == good
    carrier.close()
