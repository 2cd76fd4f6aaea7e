"""A log to measure on: real captured events among made-up noise, in the proportions of a busy host.

    python benchmarks/generate.py OUT --mb 200 [--share 1.0] [--format raw|enriched] [--unlike]

--share is the percentage of events that are captured accesses to runtime sockets, each by a process, login and session
of its own, with a title of its own; --unlike: each by a program and under a key of its own, too, so that no two are
alike. The same arguments give the same log.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"
_STAMP = re.compile(rb"audit\(\d+\.\d+:(\d+)\)")
_OWN = re.compile(rb" ppid=\d+ pid=\d+ auid=\d+")
_RING = re.compile(rb" ppid=\d+ pid=\d+(?= uid=)")
_SESSION = re.compile(rb"(?<= ses=)\d+(?= comm=)")
_PROGRAM = re.compile(rb"(?<= comm=)\S+")
_KEY = re.compile(rb"(?<= key=)[^\x1d\s]+")
_POINTER = re.compile(rb"(?<= a1=)[0-9a-f]{8,16}")
_TITLE = re.compile(rb"(?<= proctitle=)(?:[0-9A-F]{2})+$")
_PROGRAMS = ("bash", "sshd", "cron", "runc", "nginx", "python3.11", "node", "mysqld", "git", "ps", "grep", "java")
_SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/journal/stdout", "/run/systemd/notify", "/dev/log")


def captured(form: str) -> list[list[bytes]]:
    """The events of a capture, each as its lines."""
    events: dict[bytes, list[bytes]] = {}
    name = "inode-rules-enriched" if form == "enriched" else "inode-rules"
    for line in (CAPTURES / f"{name}.audit.log").read_bytes().splitlines():
        if match := _STAMP.search(line):
            events.setdefault(match[1], []).append(line)
    return list(events.values())


def of_its_own(event: list[bytes], draw: random.Random, *, unlike: bool) -> list[bytes]:
    """A captured event as another process would have left it."""
    pid, parent, pointer, login = (draw.randrange(1_000, most) for most in (4_000_000, 4_000_000, 1 << 32, 60_000))
    put = [
        (_OWN, b" ppid=%d pid=%d auid=%d" % (parent, pid, login)),
        (_RING, b" ppid=%d pid=%d" % (parent, pid)),
        (_POINTER, b"7ffd%08x" % pointer),
        (_SESSION, b"%d" % (login % 9_000)),
        *([(_PROGRAM, b'"p%d"' % pid), (_KEY, b'"k%d"' % pid)] if unlike else ()),
        (_TITLE, rb"\g<0>" + f"\0--id\0{pid}".encode().hex().upper().encode()),
    ]
    lines = []
    for line in event:
        for pattern, text in put:
            line = pattern.sub(text, line)
        lines.append(line)
    return lines


def noise(draw: random.Random, *, enriched: bool) -> list[bytes]:
    """An event that reaches no runtime socket: execve, openat, a connect to the network or to another socket."""
    program, pid, inode = draw.choice(_PROGRAMS), draw.randrange(300, 4_000_000), draw.randrange(1_000, 10_000_000)
    kind = draw.random()
    number, items = (59, 2) if kind < 0.4 else (257, 1) if kind < 0.75 else (42, 0) if kind < 0.9 else (42, 1)
    ids = "auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=7"
    system = (
        f"SYSCALL arch=c000003e syscall={number} success=yes exit=0 a0=3 a1=7ffd{pid:08x} a2=6e a3=0 items={items} "
    )
    system += f'ppid=1 pid={pid} {ids} comm="{program[:15]}" exe="/usr/bin/{program}" subj=unconfined key="noise"'
    if enriched:
        system += '\x1dARCH=x86_64 SYSCALL=x AUID="alice" UID="root" GID="root" EUID="root" SUID="root" FSUID="root"'
    records = [system]
    if number == 59:
        records += [f'EXECVE argc=3 a0="{program}" a1="--id" a2="{pid}"', 'CWD cwd="/srv/app"']
        records += [_path(0, f"/usr/bin/{program}", inode, "0100755"), _path(1, "/lib64/ld.so.2", 5046, "0100755")]
    elif number == 257:
        records += ['CWD cwd="/srv/app"', _path(0, f"/var/lib/app/{pid}", inode, "0100644")]
    elif items == 0:
        records += [f"SOCKADDR saddr=020001BB{draw.getrandbits(32):08X}0000000000000000"]
    else:
        socket = draw.choice(_SOCKETS)
        records += [
            f"SOCKADDR saddr=0100{socket.encode().hex().upper()}00",
            'CWD cwd="/"',
            _path(0, socket, 77, "0140666"),
        ]
    records.append(f"PROCTITLE proctitle={f'{program} --id {pid}'.encode().hex().upper()}")
    return [f"type={kind_} msg=audit(0.0:0): {body}".encode() for kind_, _, body in (r.partition(" ") for r in records)]


def _path(item: int, name: str, inode: int, mode: str) -> str:
    tail = "nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    return f'PATH item={item} name="{name}" inode={inode} dev=fe:00 mode={mode} ouid=0 ogid=0 rdev=00:00 {tail}'


def lines(share: float, form: str, *, unlike: bool = False) -> Iterator[bytes]:
    """Lines without end; a few events are open at once, so that their records interleave."""
    draw = random.Random(20240)
    events = captured(form)
    serial, millis = 1_000_000, 1_700_000_000_000
    waiting: list[tuple[bytes, list[bytes]]] = []
    while True:
        if len(waiting) < 3:
            serial, millis = serial + 1, millis + draw.choice((0, 0, 1, 2))
            if draw.random() * 100 < share:
                event = of_its_own(draw.choice(events), draw, unlike=unlike)
            else:
                event = noise(draw, enriched=form == "enriched")
            waiting.append((f"audit({millis // 1000}.{millis % 1000:03d}:{serial})".encode(), event))
        stamp, records = waiting[0] if draw.random() < 0.9 else draw.choice(waiting)
        yield _STAMP.sub(stamp, records.pop(0), count=1) + b"\n"
        if not records:
            waiting.remove((stamp, records))


def write(path: Path, *, megabytes: float, share: float = 1.0, form: str = "enriched", unlike: bool = False) -> None:
    """Writes a log of about that size."""
    left = megabytes * 1e6
    with path.open("wb") as file:
        for line in lines(share, form, unlike=unlike):
            left -= file.write(line)
            if left <= 0:
                return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--format", choices=("raw", "enriched"), default="enriched")
    parser.add_argument("--unlike", action="store_true")
    given = parser.parse_args()
    write(given.out, megabytes=given.mb, share=given.share, form=given.format, unlike=given.unlike)
