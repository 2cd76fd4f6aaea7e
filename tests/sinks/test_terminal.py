"""What a person reads."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sockwarden.alerts import Detector, Grouping, GroupState, build, group_of, grouped
from sockwarden.sinks import escape
from sockwarden.sinks.actor import actor
from sockwarden.sinks.terminal import TerminalSink, one_line
from sockwarden.sinks.told import of_alert

THREAT = [{"tactic": {"id": "TA0004", "name": "x"}, "technique": [{"id": "T1611", "name": "Escape to Host"}]}]
PUBLISHED = Detector("p", "The Published Rule", "medium", 47, "1", THREAT, {})
OURS = Detector("o", "Our Rule", "high", 73, "1", THREAT, {})


def access(serial: int, *, second: int = 0, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "_id": str(serial),
        "_index": "sockwarden",
        "@timestamp": f"2026-11-21T20:14:{second:02d}.000Z",
        "event": {"action": "connected-to", "outcome": "success"},
        "process": {
            "pid": 4242,
            "executable": "/usr/bin/curl",
            "title": "curl http://d/_ping",
            "parent": {"pid": 4200},
        },
        "user": {"id": "0", "audit": {"id": "1000", "name": "alice"}},
        "auditd": {"session": "12"},
        "destination": {"address": ["/run/docker.sock", "/srv/x"]},
        "sockwarden": {
            "socket": {
                "runtime": "docker",
                "canonical": "/run/docker.sock",
                "address_as_given": "/srv/x",
                "alias": "symlink-or-mount",
            }
        },
    }
    return base | changes


def printed(*alerts: dict[str, Any], width: int = 80, stored: bool = False) -> str:
    file = io.StringIO()
    sink = TerminalSink(Console(file=file, width=width, markup=False, highlight=False, emoji=False), stored=stored)
    for alert in alerts:
        sink.add(alert)
    sink.close()
    return file.getvalue()


def test_an_alert() -> None:
    alert = build(access(1), PUBLISHED, view="canonical")
    uuid = alert["kibana"]["alert"]["uuid"]
    assert printed(alert, stored=True).splitlines() == [
        "── 2026-11-21 UTC ──",
        "▲ medium 47  The Published Rule" + " " * 40 + "20:14:00",
        "  /usr/bin/curl 4242 → docker /run/docker.sock, given as /srv/x (a link or mount)",
        "  curl http://d/_ping",
        "  root, session 12 of alice  ←  4200",
        f"  Escape to Host T1611     sockwarden alerts show {uuid[:6]}",
        "",
    ]


def test_detectors_of_one_access_stand_together() -> None:
    document = access(1)
    text = printed(build(document, PUBLISHED, view=None), build(document, OURS, view=None))
    assert text.count("▲") == 1
    assert "  also high 73  Our Rule" in text


def test_repeats_of_a_process_are_folded() -> None:
    text = printed(*(build(access(n, second=n), PUBLISHED, view=None) for n in range(3)))
    assert text.count("▲") == 1
    assert "\N{MULTIPLICATION SIGN}3 in 2 s" in text


def test_another_process_another_user_another_minute_is_no_repeat() -> None:
    others = [
        access(1),
        access(2, process={"pid": 1}),
        access(3, user={"id": "1000"}),
        access(4, destination={"address": "/run/docker.sock"}),
        access(5, event={"action": "connected-to", "outcome": "failure"}),
        access(6) | {"@timestamp": "2026-11-21T20:16:00.000Z"},
    ]
    assert printed(*(build(document, PUBLISHED, view=None) for document in others)).count("▲") == len(others)


def test_a_failure_says_why() -> None:
    document = access(1, event={"action": "connected-to", "outcome": "failure"}, auditd={"data": {"exit": "-13"}})
    assert "failed: Permission denied" in printed(build(document, PUBLISHED, view=None))


def test_an_event_of_an_index_names_its_destination() -> None:
    indexed = access(1) | {"sockwarden": {}, "destination": {"address": "/run/docker.sock"}}
    alert = build(indexed, PUBLISHED, view=None)
    assert "→ /run/docker.sock" in printed(alert)
    assert one_line(alert)[3].endswith("→ /run/docker.sock")


def test_what_is_unknown_is_said() -> None:
    bare = {"_id": "1", "event": {"action": "connected-to", "outcome": "unknown"}}
    text = printed(build(bare, PUBLISHED, view=None))
    assert "unknown program ? → unknown address  outcome unknown" in text
    assert "uid ?" in text
    assert "at an unknown time" in text


BASH, SSHD, INIT = (
    {"pid": pid, "executable": path}
    for pid, path in ((6509, "/usr/bin/bash"), (812, "/usr/sbin/sshd"), (1, "/sbin/init"))
)


def lived(
    actor: dict[str, Any] | None = None, *, lineage: Any = (), parent: Any = BASH, **changes: Any
) -> dict[str, Any]:
    """An access as a live sensor tells it."""
    document = access(1, **changes)
    document["process"]["parent"] = parent
    document["sockwarden"] |= {"actor": actor or {"origin": "host"}, "process": {"ancestors": list(lineage)}}
    return document


def actor_of(document: dict[str, Any], width: int = 80) -> list[str]:
    lines = printed(build(document, PUBLISHED, view=None), width=width).splitlines()
    return lines[4:-2]


@pytest.mark.parametrize(
    ("lineage", "shown"),
    [
        ([], ["  root, session 12 of alice  ←  /usr/bin/bash 6509"]),
        ([BASH], ["  root, session 12 of alice  ←  /usr/bin/bash 6509"]),
        ([BASH, SSHD], ["  root, session 12 of alice  ←  /usr/bin/bash 6509  ←  /usr/sbin/sshd 812"]),
        (
            [BASH, SSHD, INIT],
            ["  root, session 12 of alice", "  ←  /usr/bin/bash 6509  ←  /usr/sbin/sshd 812  ←  /sbin/init 1"],
        ),
        (
            [BASH, SSHD, SSHD, INIT],
            [
                "  root, session 12 of alice",
                "  ←  /usr/bin/bash 6509  ←  /usr/sbin/sshd 812  ←  /usr/sbin/sshd 812  ←  …",
            ],
        ),
        (
            [BASH, {"pid": 7, "executable": "/" + "x" * 99}, INIT],
            ["  root, session 12 of alice", "  ←  /usr/bin/bash 6509  ←  /" + "x" * 38 + "… 7  ←  …"],
        ),
        ([{"pid": 6509}, {"pid": 812}], ["  root, session 12 of alice  ←  6509  ←  812"]),
        ("text", ["  root, session 12 of alice  ←  /usr/bin/bash 6509"]),
        ([None, [], {"executable": "/x"}], ["  root, session 12 of alice  ←  /usr/bin/bash 6509"]),
    ],
)
def test_lineage(lineage: Any, shown: list[str]) -> None:
    lines = actor_of(lived(lineage=lineage))
    assert lines == shown
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("session", "shown"),
    [
        ({"type": "ssh", "via": "sudo", "unit": "session-3.scope"}, "root, ssh session 12 of alice via sudo"),
        ({"type": "service", "unit": "nginx.service"}, "root, service nginx.service, session 12 of alice"),
        ({"type": "cron"}, "root, cron session 12 of alice"),
        ({"unit": "session-3.scope"}, "root, session 12 of alice"),
    ],
)
def test_how_somebody_got_in(session: dict[str, str], shown: str) -> None:
    document = lived()
    document["sockwarden"]["session"] = session
    assert actor_of(document) == [f"  {shown}  ←  /usr/bin/bash 6509"]
    del document["auditd"], document["user"]["audit"]
    without = shown.removesuffix(", session 12 of alice").replace(" 12 of alice", "")
    expected = without if session.get("type") else "root"
    assert actor_of(document) == [f"  {expected}  ←  /usr/bin/bash 6509"]


def test_a_login_by_the_number_that_the_kernel_told() -> None:
    document = lived(auditd={})
    document["sockwarden"]["process"]["session"] = 12
    assert actor_of(document) == ["  root, session 12 of alice  ←  /usr/bin/bash 6509"]


@pytest.mark.parametrize(
    ("actor", "container", "shown"),
    [
        ({"origin": "container"}, {"name": "web", "image": {"name": "nginx"}}, "container web (nginx)"),
        ({"origin": "container-init"}, {"name": "web"}, "container web, being started"),
        ({"origin": "container-init"}, {}, "a container being started"),
        ({"origin": "unknown"}, {"id": "0123"}, "container 0123, not certain"),
        ({"origin": "unknown"}, {}, "host or container unknown"),
    ],
)
def test_where_it_came_from(actor: dict[str, str], container: dict[str, Any], shown: str) -> None:
    document = lived(actor, container=container, auditd={})
    assert actor_of(document) == [f"  root, {shown}  ←  /usr/bin/bash 6509"]


def test_a_parent_that_does_not_fit_has_its_own_line() -> None:
    document = lived({"origin": "host", "impersonates": "kubelet"})
    document["sockwarden"]["session"] = {"type": "service", "unit": "a.service"}
    assert actor_of(document)[1:] == ["  ←  /usr/bin/bash 6509"]
    document["process"]["parent"] = {"pid": 6509}
    assert len(actor_of(document)) == 1


def test_an_impersonation_stands_out() -> None:
    alert = build(lived({"origin": "host", "impersonates": "kubelet"}, auditd={}), PUBLISHED, view=None)
    (line,) = actor(alert, 80)
    assert line.plain == "  root, calls itself kubelet, not proven  ←  /usr/bin/bash 6509"
    (span,) = line.spans
    assert (line.plain[span.start : span.end], span.style) == ("calls itself kubelet, not proven", "yellow")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("\x9b31m", "\\x9b31m"),
        ("[bold]x[/bold] :smile:", "[bold]x[/bold] :smile:"),
        ("pfad/ü/日本", "pfad/ü/日本"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_escape(hostile: str, shown: str) -> None:
    assert escape(hostile) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_nothing_of_an_attacker_reaches_the_terminal(hostile: str) -> None:
    document = access(
        1,
        process={"pid": 1, "executable": hostile, "title": hostile, "parent": {"pid": hostile, "executable": hostile}},
        user={"id": hostile, "name": hostile},
        host={"name": hostile},
        container={"id": hostile, "name": hostile, "image": {"name": hostile}},
        sockwarden={
            "socket": {"runtime": hostile, "canonical": hostile, "address_as_given": hostile},
            "actor": {"origin": hostile, "impersonates": hostile},
            "session": {"type": hostile, "via": hostile, "unit": hostile},
            "process": {"ancestors": [{"pid": hostile, "executable": hostile}] * 5},
        },
    )
    text = printed(build(document, PUBLISHED, view=None))
    assert escape(text.replace("\n", "")) == text.replace("\n", "")
    assert len(text.splitlines()) == text.count("\n")


@pytest.mark.parametrize(("count", "said"), [(0, False), (1, True), (4100, True)])
def test_what_an_alert_took_in(count: int, said: bool) -> None:
    belonging = group_of(access(1), "p", Grouping(("process.executable",)))
    assert belonging
    alert = grouped(build(access(1), PUBLISHED, view=None), belonging, GroupState("u", 0, 0, 0, count))
    assert (f"  and {count:,} more like it\n" in printed(alert)) is said
    assert (("Repeats", f"and {count:,} more like it") in of_alert(alert).facts) is said
