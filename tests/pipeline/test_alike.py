"""Accesses that are alike: the lines that are filled in are those that judging each would have written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.auditrecords import Likeness
from sockwarden.content import packaged
from sockwarden.detect import Detection, RuleDetection, engine
from sockwarden.pipeline.alike import Judgement, judged
from sockwarden.pipeline.hunt import Hunt, Started, Window
from sockwarden.pipeline.learning import begun
from sockwarden.readers import plan, stretches
from sockwarden.rules import load_packaged, parse_rule, select
from sockwarden.rules.rule import SeverityMapping, Suppression
from sockwarden.sinks import FORMS, Lines

PUBLISHED = "unusual-process-connection-runtime-socket"
ASKED = "event.action:connected-to and destination.path:/run/docker.sock"
CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.audit.log"))
_STAMP = re.compile(rb"audit\((\d+)\.(\d+):(\d+)\)")
_PID = re.compile(rb" (p?pid)=(\d+) ")
_POINTER = re.compile(rb" a1=([0-9a-f]{8,16}) ")
_USER = re.compile(rb" auid=\d+ uid=\d+ gid=\d+ ")
_DIRECTORY = re.compile(rb" cwd=(?:[0-9A-F]+|\"[^\"]*\")")
_SESSION = re.compile(rb" tty=\S+ ses=\d+ ")
_TITLE = re.compile(rb"proctitle=(?:[0-9A-F]+|\"[^\"]*\")$", re.MULTILINE)
_BEHIND = re.compile(rb"(saddr=0100(?:(?!00)[0-9A-F]{2})+)[0-9A-F]*")


def later(text: bytes, times: int) -> bytes:
    """The same calls by other processes, hours later: of other sessions, with other titles and what lay in memory."""
    text = _STAMP.sub(
        lambda m: b"audit(%d.%s:%d)" % (int(m[1]) + 3600 * times, m[2], int(m[3]) + 100_000 * times), text
    )
    text = _PID.sub(lambda m: b" %s=%d " % (m[1], int(m[2]) + 7 * times), text)
    if times:
        text = _SESSION.sub(lambda _: b" tty=pts%d ses=%d " % (times % 3, (4294967295, 7, 8)[times % 3]), text)
        user = b" auid=%d uid=%d gid=%d " % (1000 * times, (0, 4294967295, 1000)[times % 3], times)
        text = _DIRECTORY.sub(lambda _: b" cwd=" + (b"/srv/\xff%d" % times).hex().upper().encode(), text)
        text = _USER.sub(lambda _: user, text)
        text = _TITLE.sub(lambda _: b"proctitle=" + (b"docker\0exec\0\xff\n%d" % times).hex().upper().encode(), text)
        text = _BEHIND.sub(lambda m: m[1] + b"00" + bytes([times]).hex().upper().encode() * (times % 4), text)
    return _POINTER.sub(lambda m: b" a1=%x " % (int(m[1], 16) + 64 * times), text)


def log_of(capture: Path, folder: Path, times: int = 5) -> Path:
    text, log = capture.read_bytes(), folder / "audit.log"
    log.write_bytes(b"".join(later(text, number) for number in range(times)))
    return log


def rules() -> list[Detection]:
    return [RuleDetection(rule) for rule in load_packaged()]


def asking(query: str) -> Detection:
    """The published rule with another query."""
    text = packaged("rules").joinpath(f"{PUBLISHED}.toml").read_text("utf-8")
    other = re.sub(r"(?s)\nquery = '''.*?'''", lambda _: f"\nquery = '''\n{query}\n'''", text, count=1)
    return RuleDetection(parse_rule(other, "x.toml"))


def both(
    log: Path, form: str = "ndjson", detections: Sequence[Detection] = (), window: Window | None = None
) -> tuple[list[bytes | None], list[bytes | None], int]:
    """The lines of a log's alerts, each judged and then with what is alike; how many were filled in."""
    lines, one = Lines(form), Hunt(detections or rules(), window=window)
    expected = [lines.line(alert) for alert in one.alerts(plan([str(log)]))]
    filled = 0
    values = Judgement.values

    def counted(judgement: Judgement, likeness: Likeness) -> tuple[list[bytes], list[str]]:
        nonlocal filled
        filled += len(judgement.templates)
        return values(judgement, likeness)

    found: list[bytes | None] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judgement, "values", counted)
        other = Hunt(detections or rules(), window=window, processes=1)
        for alert in other.found(plan([str(log)]), lines=lines):
            if isinstance(alert, Started):
                found.append(None if alert.start is None else alert.start + lines.end(alert.detector.rule))
            else:
                found.append(lines.line(alert))
    assert msgspec.to_builtins(other.met.counts) == msgspec.to_builtins(one.met.counts)
    assert (other.met.undecided, other.met.trusted) == (one.met.undecided, one.met.trusted)
    assert msgspec.structs.replace(other.met.tally, read=0) == msgspec.structs.replace(one.met.tally, read=0)
    return expected, found, filled


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_lines_are_those_of_each_judged(capture: Path, form: str, tmp_path: Path) -> None:
    expected, found, filled = both(log_of(capture, tmp_path), form)
    assert found == expected != []
    assert filled > len(found) / 4


@pytest.mark.parametrize("most", [1, 2, 3])
def test_of_many_that_differ_few_are_kept(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are forgotten and learnt anew, also where alerts of both are on their way at once."""
    monkeypatch.setattr(judged, "_MOST", most)
    expected, found, filled = both(log_of(CAPTURES[0], tmp_path, times=8))
    assert found == expected != []
    log, names = tmp_path / "turns.log", {"a": "docker", "b": "b", "c": "docker/c", "d": "../run/docker"}
    turns = enumerate("aaaabbbbccccdddd" * 20, 1)
    log.write_text("".join(connect(serial, f"/run/{names[name]}.sock") for serial, name in turns))
    expected, found, filled = both(log)
    assert found == expected != []
    assert filled > 10


def test_what_is_outside_the_window_is_left_out(tmp_path: Path) -> None:
    log = log_of(CAPTURES[0], tmp_path)
    times = sorted(int(seconds) for seconds, _, _ in _STAMP.findall(log.read_bytes()))
    middle = f"{datetime.fromtimestamp(times[len(times) // 2], UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    expected, found, filled = both(log, window=Window(since=middle))
    assert found == expected != []
    assert filled


CONNECT = """\
type=SYSCALL msg=audit({at}): arch=c000003e syscall=42 success=yes exit=0 a0=3 a1=7ffd0000{serial:04x} a2=6e a3=0 \
items=1 ppid=1 pid={serial} auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 \
comm="x" exe="/x" subj=unconfined key=(null)
type=SOCKADDR msg=audit({at}): saddr=01002F782E736F636B00
type=CWD msg=audit({at}): cwd="/"
type=PATH msg=audit({at}): item=0 name="{name}" inode=7 dev=fe:00 mode=0140666 ouid=0 ogid=0 rdev=00:00 \
nametype={nametype} cap_fp=0
type=PROCTITLE msg=audit({at}): proctitle=78
"""
BIND = CONNECT.replace("syscall=42", "syscall=49")


def connect(serial: int, name: str = "/x.sock", text: str = CONNECT, nametype: str = "NORMAL") -> str:
    at = f"{1_795_000_000 + serial}.000:{serial}"
    return text.format(at=at, serial=serial, name=name, nametype=nametype)


def test_an_inode_that_becomes_another_socket_is_judged_again(tmp_path: Path) -> None:
    """The same calls by an alias: of docker's socket, of nobody's, of containerd's."""
    log = tmp_path / "audit.log"
    log.write_text(
        connect(1, "/run/docker.sock")
        + "".join(connect(serial) for serial in range(2, 8))
        + connect(10, "/run/docker.sock", BIND.replace("syscall=49", "syscall=87"), "DELETE")
        + "".join(connect(serial) for serial in range(11, 17))
        + connect(20, "/run/containerd/containerd.sock", BIND, "CREATE")
        + "".join(connect(serial) for serial in range(21, 27))
        + "type=SYSTEM_BOOT msg=audit(1795000030.000:2): pid=1 uid=0 msg='res=success'\n"
        + "".join(connect(serial) for serial in range(31, 37))
    )
    expected, found, filled = both(log)
    assert found == expected != []
    assert filled >= 8
    reached = [re.search(rb'"canonical":"([^"]*)"', line or b"") for line in found]
    names = [match[1] for match in reached if match]
    assert set(names) == {b"/run/docker.sock", b"/run/containerd/containerd.sock"}


def test_a_users_name_that_looks_like_a_gap_is_none(tmp_path: Path) -> None:
    log = log_of(next(path for path in CAPTURES if "enriched" in path.name), tmp_path)
    log.write_bytes(re.sub(rb' UID="[^"]*"', b' UID="\0\0who\0"', log.read_bytes()))
    expected, found, _ = both(log)
    assert found == expected != []


@pytest.mark.parametrize("uid", [b"0", b"4294967295"])
def test_a_text_that_looks_like_a_gap_is_none(uid: bytes, tmp_path: Path) -> None:
    """A program may call itself anything."""
    log = log_of(CAPTURES[0], tmp_path)
    text = re.sub(rb"comm=\S+", b"comm=" + b"\0who\0".hex().upper().encode(), log.read_bytes())
    log.write_bytes(re.sub(rb" uid=\d+", b" uid=" + uid, text))
    expected, found, filled = both(log)
    assert found == expected != []
    assert filled


@pytest.mark.parametrize(
    "more",
    [
        "process.pid < 1000000",
        "not process.parent.pid:1",
        "@timestamp > 2020",
        "event.original:*pid*",
        "auditd.sequence > 0",
        "process.title:*",
        "not auditd.session:12345",
        "not user.id:12345",
        "not user.effective.name:x",
        "not process.working_directory:x",
        "not auditd.data.tty:x",
        "docker",
    ],
)
def test_a_rule_that_looks_at_what_differs_judges_each(more: str, tmp_path: Path) -> None:
    expected, found, filled = both(log_of(CAPTURES[0], tmp_path), detections=[asking(f"{ASKED} and {more}")])
    assert found == expected != []
    assert not filled


@pytest.mark.parametrize(
    "more",
    [
        "user.id:0",
        "process.title:docker*7",
        "process.working_directory:*7",
        "auditd.session:8",
        "user.audit.id:7000",
        "host.name:x or user.audit.id:7000",
    ],
)
def test_a_rule_that_asks_for_one_of_many_that_differ_finds_it(more: str, tmp_path: Path) -> None:
    """Also where it does not concern those before it, by a word that they lack."""
    # What several rules ask for is what the engine tells them apart by.
    detections = [*rules(), *(asking(f"{ASKED} and ({more})") for _ in range(2))]
    expected, found, _ = both(log_of(CAPTURES[0], tmp_path, times=9), detections=detections)
    assert found == expected != []


PROGRAMS = (
    *('comm="p{0}" exe="/opt/p{0}"', 'comm="x" exe="/usr/bin/dockerd"', 'comm="x" exe="/opt/{0} (deleted)"'),
    *(
        "comm=(null) exe=(null)",
        'comm="p{0}" exe=(null)',
        'comm=(null) exe="/opt/p{0}"',
        "comm=00C3{0}00 exe=2F78FF{0}",
    ),
)
ADDRESSES = (
    *("/run/containerd/s/a{0}", "/var/run/containerd/s/b{0}", "/run/./containerd//s/c{0}", "/run/docker.sock"),
    *("/var/run/docker.sock", "/run/user/{0}/podman/podman.sock", "/run/containerd/s/d{0}.x", "/run/x{0}.sock"),
)


def at_docker(serial: int) -> str:
    """A connect to docker's socket, by its name."""
    return connect(serial, "/run/docker.sock").replace("2F782E736F636B", b"/run/docker.sock".hex().upper())


def by_many(programs: Sequence[str] = PROGRAMS, addresses: Sequence[str] = ADDRESSES, times: int = 4) -> str:
    """Accesses each by a program and to an address of its own, of a few kinds."""
    kinds = [(program, address) for _ in range(times) for program in programs for address in addresses]
    return "".join(
        connect(serial, address.format(serial))
        .replace('comm="x" exe="/x"', program.format(serial + 1000))
        .replace("2F782E736F636B", address.format(serial).encode().hex().upper())
        .replace("inode=7 ", f"inode={serial if '{' in address else len(address)} ")
        for serial, (program, address) in enumerate(kinds, 1)
    )


@pytest.mark.parametrize("form", FORMS)
def test_programs_and_addresses_that_no_rule_tells_apart_are_alike(form: str, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(by_many())
    expected, found, filled = both(log, form)
    assert found == expected != []
    assert filled > len(found) / 3


@pytest.mark.parametrize(
    "more",
    [
        "process.name:p1*7",
        "process.name:(p1009 or p1017 or p1033)",
        "process.executable:*7",
        "not process.executable:*7",
        "not process.executable:/opt/p1009",
        "process.executable < /opt/p1100",
        "process.executable:*deleted*",
        "destination.path:*7",
        "not destination.address:(*7 or *9)",
        "destination.path:/var/run/containerd/s/b10",
        "sockwarden.socket.canonical:*0",
        "sockwarden.socket.address_as_given:*0",
        "not sockwarden.socket.address_as_given:/var*",
        "sockwarden.socket.inode:49",
        "auditd.paths.name:*7",
        "process*:*7",
        "p1009",
    ],
)
def test_a_rule_that_tells_some_apart_finds_them(more: str, tmp_path: Path) -> None:
    """Also where it does not concern those before them, by a word that they lack."""
    log = tmp_path / "audit.log"
    log.write_text(by_many(addresses=ADDRESSES[:3]))
    detections = [*rules(), *(asking(f"event.action:connected-to and ({more})") for _ in range(2))]
    expected, found, _ = both(log, detections=detections)
    assert found == expected != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"dev=fe:00", b"dev=00:1a"),
        (b"dev=fe:00", b"dev=fe:00 (x)"),
        (b"dev=fe:00", b'dev="a'),
        (b"item=0 ", b"item=1 "),
        (b"inode=7 ", b"inode=7 inode=8 "),
        (b"cap_fp=0", b"cap_fp=0 name=/x inode=8"),
        (b"tty=(none)", b'tty="a'),
        (b"tty=(none)", b"tty=''x"),
        (b"proctitle=78", b'proctitle="\0"'),
        (b"proctitle=78", b"proctitle=\"a msg='b'\""),
        (b"proctitle=78", b"proctitle=00"),
        (b'cwd="/"', b"cwd=\"/a msg='b'\""),
        (b'comm="x"', b'comm="x msg=\'y"'),
        (b'comm="x"', b'comm=""'),
        (b'comm="x"', b'comm="x" comm="y"'),
        (b'exe="/x"', b'exe="/x"foo'),
        (b'exe="/x"', b'exe="/x" (deleted)'),
        (b'exe="/x"', b"exe=2F78foo"),
        (b'exe="/x"', b"exe=2F78 (deleted)"),
        (b'exe="/x"', b'exe="/x" key=(null)\x1dUID="\\u0000" AUID="root"'),
        (b'exe="/x"', b'exe="/x" \0'),
        (b" uid=0 ", b" uid=4294967295 "),
        (b"syscall=42", b"syscall=2"),
    ],
)
@pytest.mark.parametrize("label", ["", " subj=unconfined key=(null)"])
@pytest.mark.parametrize("times", [1, 4])
def test_a_line_that_the_kernel_prints_otherwise_is_told_as_it_is(
    times: int, label: str, old: bytes, new: bytes, tmp_path: Path
) -> None:
    """Alone among others, and among such as itself."""
    texts = map(at_docker, range(1, 14))
    plain = [text.replace(" subj=unconfined key=(null)", label).encode() for text in texts]
    odd = [text.replace(old, new) for text in plain[4 : 4 + times]]
    assert odd[0] != plain[4]
    log = tmp_path / "audit.log"
    log.write_bytes(b"".join([*plain[:4], *odd, *plain[9:]]))
    expected, found, filled = both(log)
    assert found == expected != []
    assert filled


@pytest.mark.parametrize("directory", ["/srv", "/run"])
def test_of_an_open_the_address_says_nothing(directory: str, tmp_path: Path) -> None:
    """The kernel tells none, whatever a log has."""
    opens = [re.sub(r"a1=\w+", "a1=0", at_docker(serial)).replace("syscall=42", "syscall=2") for serial in range(1, 9)]
    texts = [text.replace('name="/run/', 'name="').replace("NORMAL", "DELETE") for text in opens]
    log = tmp_path / "audit.log"
    log.write_text("".join([*texts[:6], *(text.replace('cwd="/"', f'cwd="{directory}"') for text in texts[6:])]))
    expected, found, _ = both(log, detections=[asking("event.action:opened-file and destination.path:*docker.sock")])
    assert found == expected


def test_programs_at_the_paths_of_components_are_of_their_own_kinds(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(by_many([f'comm="x" exe="/usr/bin/{name}"' for name in ("dockerd", "containerd", "x")]))
    expected, found, filled = both(log, detections=[asking("event.action:connected-to and destination.path:*sock")])
    assert found == expected != []
    assert filled


def test_which_address_makes_the_match_is_told_of_each(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(by_many(PROGRAMS[:1], ["/run/7/../containerd/s/{0}"], times=40))
    expected, found, filled = both(
        log, detections=[asking("event.action:connected-to and destination.path:*/s/* and destination.path:*7*")]
    )
    assert found == expected != []
    assert filled
    views = [re.search(rb'"view":"(\w+)"', line or b"") for line in found]
    assert {match[1] for match in views if match} == {b"given", b"both"}


@pytest.mark.parametrize("most", [0, 10])
def test_where_rules_ask_much_each_is_of_its_own_kind(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MOST_ASKED", most)
    log = tmp_path / "audit.log"
    log.write_text(by_many(PROGRAMS[:2]))
    expected, found, _ = both(log)
    assert found == expected != []


def test_an_inode_that_was_anothers_is_judged_by_itself(tmp_path: Path) -> None:
    """Docker's socket had it before and afterwards, so that it may have had it meanwhile."""
    log = tmp_path / "audit.log"
    shims = by_many(PROGRAMS[:1], ADDRESSES[:1], times=12)
    docker = [connect(serial, "/run/docker.sock").replace("inode=7 ", "inode=3 ") for serial in (0, 20)]
    log.write_text(docker[0] + re.sub(r"inode=(5|7|9) ", "inode=3 ", shims) + docker[1])
    expected, found, filled = both(log)
    assert found == expected != []
    assert 0 < filled < 9
    assert sum(b'"ambiguous":true' in line for line in found if line) >= 3


@pytest.mark.parametrize(
    "changes",
    [
        {"severity_mapping": (SeverityMapping("process.executable", "high", "/opt/p1009"),)},
        {"severity_mapping": (SeverityMapping("process.pid", "high", "7"),)},
        {"rule_name_override": "process.pid"},
        {"rule_name_override": "user.id"},
        {"rule_name_override": "process.executable"},
        {"rule_name_override": "event.action"},
        {"rule_name_override": "sockwarden.socket.runtime"},
        {"suppression": Suppression(("process.executable",))},
    ],
)
def test_an_alert_that_says_what_differs_is_made_each_time(changes: dict[str, Any], tmp_path: Path) -> None:
    (rule,) = select(load_packaged(), PUBLISHED)
    each = RuleDetection(msgspec.structs.replace(rule, **changes))
    expected, found, filled = both(log_of(CAPTURES[0], tmp_path), detections=[each])
    assert found == expected != []
    assert not filled


@pytest.mark.parametrize(
    "asked", [None, "destination.path:/x.sock", "process.name:x"], ids=["packaged", "other", "any"]
)
def test_what_was_begun_before_the_rules_were_known_finds_the_same(
    asked: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where these want sockets that the catalogue has not, or every event."""
    monkeypatch.setattr(stretches, "STRETCH_BYTES", 2000)
    log = tmp_path / "audit.log"
    log.write_text("".join(connect(serial, f"/run/{name}.sock") for serial, name in enumerate(["docker", "x"] * 9, 1)))
    detections = [asking(f"event.action:connected-to and {asked}")] if asked else rules()
    expected = list(Hunt(detections).alerts(plan([str(log)])))
    streams = plan([str(log)])
    learning = begun(streams)
    assert learning
    with learning:
        assert list(Hunt(detections).found(streams, begun=learning)) == expected != []
