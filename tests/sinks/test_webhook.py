"""Webhooks against real servers: what each answer means, what a message holds, and that nothing in it calls anybody."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.credentials import masked, read_secret, trust
from sockwarden.document import encode
from sockwarden.errors import InputError
from sockwarden.sinks.chat import slack, teams
from sockwarden.sinks.pace import Pace
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.template import Template
from sockwarden.sinks.told import of_alert, of_many
from sockwarden.sinks.webhook import SIGNATURE, Webhook

Make = Callable[..., dict[str, Any]]


def entries(*alerts: dict[str, Any]) -> list[Entry]:
    return [Entry(str(number).encode(), encode(alert)) for number, alert in enumerate(alerts)]


def url(hook: Any) -> str:
    return f"http://127.0.0.1:{hook.port}/services/T0/secret"


def test_whole_signed_and_with_headers(hook: Any, alert: Make) -> None:
    carrier = Webhook(url(hook), headers={"Authorization": "Bearer x"}, secret=b"key")
    (entry,) = entries(alert(1))
    assert carrier.send([entry]).done == [entry]
    ((headers, body),) = hook.requests
    assert json.loads(body) == alert(1) and body == entry.payload
    assert headers[SIGNATURE] == "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest()
    assert headers["Authorization"] == "Bearer x" and headers["Content-Type"] == "application/json"
    carrier.close()


def test_ecs_and_arrays(hook: Any, alert: Make) -> None:
    carrier = Webhook(url(hook), "ecs", batch=10)
    assert carrier.most_items == 10
    carrier.send(entries(alert(1), alert(2)))
    carrier.send(entries(alert(3)))
    assert [[one["process"]["pid"] for one in body] for body in hook.bodies] == [[1, 2], [3]]
    assert hook.bodies[0][0]["event"]["kind"] == "alert" and "kibana" not in hook.bodies[0][0]
    carrier.close()


@pytest.mark.parametrize("code", [408, 425, 429, 500, 503, 301, 302, 401, 403, 404, 410])
def test_what_can_be_mended_is_tried_again(hook: Any, alert: Make, code: int) -> None:
    hook.answers = [(code, {"Location": "/elsewhere"}, b"later")]
    carrier = Webhook(url(hook))
    outcome = carrier.send(entries(alert(1)))
    assert not outcome.done and not outcome.refused
    assert f"answered {code}" in outcome.again and "later" in outcome.again
    assert len(hook.requests) == 1, "redirects are not followed"
    carrier.close()


@pytest.mark.parametrize("code", [400, 413, 415, 422])
def test_what_is_not_wanted_is_refused(hook: Any, alert: Make, code: int) -> None:
    hook.answers = [(code, {}, b"no\x1b[31m " + b"x" * 100_000)]
    carrier = Webhook(url(hook))
    outcome = carrier.send(entries(alert(1)))
    ((why,),) = [[one.why for one in outcome.refused]]
    assert f"answered {code}" in why and r"no\x1b[31m" in why and len(why) < 300
    assert not outcome.done and not outcome.again
    carrier.close()


def test_one_that_is_not_wanted_leaves_the_others(hook: Any, alert: Make) -> None:
    """Halves, until it is alone: 8 with one bad one take 1 + 2 + 2 + 2 requests."""
    given_ = entries(*(alert(pid) for pid in range(8)))
    hook.answers = [(400, {}, b""), (200, {}, b""), (400, {}, b""), (400, {}, b""), (400, {}, b""), (200, {}, b"")]
    carrier = Webhook(url(hook), batch=8)
    outcome = carrier.send(given_)
    assert [one.entry for one in outcome.refused] == [given_[4]]
    assert sorted(entry.key for entry in outcome.done) == sorted(one.key for one in given_ if one != given_[4])
    assert len(hook.requests) == 7
    carrier.close()


def test_retry_after(hook: Any, alert: Make) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    carrier = Webhook(url(hook))
    for value, allowed in (("7", range(7, 8)), (date, range(95, 101)), ("soon", None), ("9" * 500, None)):
        hook.answers = [(429, {"Retry-After": value}, b"")]
        seconds = carrier.send(entries(alert(1))).retry_after
        assert (seconds is None) if allowed is None else (seconds is not None and round(seconds) in allowed)
    carrier.close()


def test_no_answer(hook: Any, alert: Make) -> None:
    hook.answers = [(0, {}, b"")]
    carrier = Webhook(url(hook), timeout=0.3)
    assert "no answer" in carrier.send(entries(alert(1))).again
    hook.answers = [(-1, {}, b"")]
    assert "no answer" in carrier.send(entries(alert(1))).again
    hook.stop()
    outcome = carrier.send(entries(alert(1)))
    assert "no answer" in outcome.again and "secret" not in outcome.again
    carrier.close()


def test_an_answer_that_never_ends(alert: Make) -> None:
    """Its code counts, and its body is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                try:
                    for _ in range(100):
                        connection.sendall(b"x")
                        time.sleep(0.05)
                except OSError:
                    pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        carrier = Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=0.3)
        began = time.monotonic()
        assert carrier.send(entries(alert(1))).done
        assert time.monotonic() - began < 2
        carrier.close()
        thread.join(10)


def test_tls(hook: Any, alert: Make, server_context: ssl.SSLContext, ca_file: str) -> None:
    hook.stop()
    hook.start(server_context)
    trusting = Webhook(f"https://localhost:{hook.port}/", context=trust(ca_file))
    assert trusting.send(entries(alert(1))).done
    trusting.close()
    for address, context in (("localhost", trust("")), ("127.0.0.1", trust(ca_file))):
        doubting = Webhook(f"https://{address}:{hook.port}/", context=context)
        outcome = doubting.send(entries(alert(1)))
        assert "certificate verify failed" in outcome.again and not outcome.done
        doubting.close()
    assert len(hook.requests) == 1


def test_what_is_no_alert_is_refused(hook: Any, alert: Make) -> None:
    carrier = Webhook(url(hook), "ecs", batch=3)
    good = entries(alert(1))
    outcome = carrier.send([Entry(b"a", b"{"), Entry(b"b", b'{"a": 1}'), *good])
    assert [one.entry.key for one in outcome.refused] == [b"a", b"b"] and outcome.done == good
    carrier.close()


@pytest.mark.parametrize("form", ["slack", "teams", "template"])
def test_a_flood_is_few_messages(hook: Any, alert: Make, form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five alone, the other 495 in the sixth a minute later, which names the worst."""
    now = 1000.0
    monkeypatch.setattr("sockwarden.sinks.webhook.time.monotonic", lambda: now)
    template = Template('{"text": "{{ kibana.alert.reason }}", "n": {{ sockwarden.summary.alerts }}}', "t")
    carrier = Webhook(url(hook), form, per_minute=5, template=template if form == "template" else None)
    flood = [alert(pid, rule=f"Rule {pid % 13}") for pid in range(499)]
    waiting = entries(*flood, alert(9, severity="critical", rule="Worst"))
    while waiting:
        if pause := carrier.pause(now):
            now += pause
        sent = waiting[: carrier.most_items]
        assert carrier.send(sent).done == sent
        waiting = waiting[len(sent) :]
    assert (len(hook.requests), now) == (6, 1060.0)
    last = json.dumps(hook.bodies[-1], ensure_ascii=False)
    assert "495 " in last and "Worst" in last and "more of 4 kinds" in last
    assert carrier.most_items == 1
    carrier.close()


def test_no_more_than_so_many_in_any_minute() -> None:
    pace, now, sent = Pace(3), 0.0, list[float]()
    while now < 600:
        pause = pace.pause(now)
        if pause == 0:
            pace.sent(now)
            sent.append(now)
        now += 7.0
    assert len(sent) > 25
    assert all(sum(start <= time_ < start + 60 for time_ in sent) <= 3 for start in sent)


def test_a_backlog_is_told_in_few_messages(hook: Any, alert: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one message cannot hold is in the next, not told alone."""
    monkeypatch.setattr("sockwarden.sinks.webhook.MOST_FOLDED", 100)
    now = 1000.0
    monkeypatch.setattr("sockwarden.sinks.webhook.time.monotonic", lambda: now)
    carrier = Webhook(url(hook), "teams", per_minute=5)
    waiting = entries(*(alert(pid) for pid in range(255)))
    while waiting:
        now += carrier.pause(now)
        sent = waiting[: carrier.most_items]
        carrier.send(sent)
        waiting = waiting[len(sent) :]
    told = [body["attachments"][0]["content"]["body"][0]["inlines"][0]["text"].split()[0] for body in hook.bodies]
    assert told[5:] == ["100", "100", "50"] and now == 1060.0
    carrier.close()


def test_after_a_quiet_time_alerts_are_told_alone_again() -> None:
    pace = Pace(2)
    for _ in range(2):
        assert pace.pause(0.0) == 0
        pace.sent(0.0)
    assert pace.pause(1.0) == 59 and pace.folding
    assert pace.pause(61.0) == 0 and pace.folding
    assert pace.pause(3600.0) == 0 and not pace.folding


HOSTILE = "<!channel> <https://evil|click> @here *b* `x` _i_ [a](http://b) & \x1b[31m \u202e\n# h"


def test_nobody_is_called(alert: Make) -> None:
    made = alert(1, rule=HOSTILE, title=HOSTILE)
    made["kibana"]["alert"]["reason"] = HOSTILE
    for told in (of_alert(made), of_many([made] * 3)):
        message = slack(told)
        marked = [message["text"], *_texts(message["blocks"], "mrkdwn")]
        assert len(marked) > 4
        for text in marked:
            assert "<" not in text and ">" not in text and "\x1b" not in text and "\u202e" not in text
            assert text.count("`") % 2 == 0
        assert all(one["verbatim"] for one in _objects(message["blocks"]) if one.get("type") == "mrkdwn")
        runs = {one["type"] for one in _objects(teams(told)) if "text" in one}
        assert runs == {"TextRun"}, "a text block would read markdown"


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(one for child in value.values() for one in _objects(child))]
    return [one for child in value for one in _objects(child)] if isinstance(value, list) else []


def _texts(value: Any, kind: str) -> list[str]:
    return [one["text"] for one in _objects(value) if one.get("type") == kind]


@given(st.text(max_size=5000), st.text(max_size=400))
def test_messages_stay_within_the_receivers_limits(long: str, name: str) -> None:
    signal = {"uuid": "a" * 64, "severity": "high", "risk_score": 73, "reason": long, "rule": {"name": long}}
    alert_ = {
        "@timestamp": long,
        "message": long,
        "host": {"name": name},
        "process": {"executable": long, "pid": 1, "command_line": long},
        "user": {"name": long},
        "container": {"name": long, "image": {"name": long}},
        "sockwarden": {"socket": {"runtime": long, "canonical": long, "address_as_given": long}},
        "kibana": {"alert": signal},
    }
    for told in (of_alert(alert_), of_many([alert_, alert_])):
        message = slack(told)
        assert len(message["blocks"]) <= 50 and len(message["text"]) <= 4000
        assert 0 < len(message["blocks"][0]["text"]["text"]) <= 150
        for block in message["blocks"]:
            assert len(block.get("fields", ())) <= 10
            assert all(0 < len(field["text"]) <= 2000 for field in block.get("fields", ()))
            if block["type"] == "section" and "text" in block:
                assert 0 < len(block["text"]["text"]) <= 3000
        assert len(encode(teams(told))) <= 28_000


def test_addresses_are_masked() -> None:
    assert masked("https://hooks.example.org/services/T0/B0/x?y=z") == "https://hooks.example.org/…"
    assert masked("http://user:password@127.0.0.1:8080/a") == "http://127.0.0.1:8080/…"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_secret(tmp_path / "none", "the secret")
    secret = tmp_path / "secret"
    secret.touch(0o600)
    for content in (b"", b"a\nb", b"\xff"):
        secret.write_bytes(content)
        with pytest.raises(InputError, match="the secret cannot"):
            read_secret(secret, "the secret")
    secret.write_bytes(b"x\n")
    assert read_secret(secret, "the secret") == "x"
    with pytest.raises(InputError, match="ca_file cannot be used"):
        trust(str(secret))
    with pytest.raises(InputError, match="ca_file cannot be used"):
        trust(str(tmp_path / "none"))
