"""What a sensor costs those who are watched, in one interleaved run.

    python benchmarks/ebpf.py [--rounds 10]

A small program in C does one thing over and over: a call that no sensor asks for (getppid), a read of one byte, an
open and close of a file, a connect to a local socket that is no runtime's, which the watch has met before, one to a
watched socket, and one to a TCP port of this machine. Beside it, gcc compiles small files, a process or more for each.

Each round does all of that under each contender, in processes that are younger than the sensor: none; programs that do
nothing at the entry and the exit of every call, which is the kernel's own part of that price; a `sockwarden watch` by
eBPF that reads no requests; one that does; one by audit; and the published set-up, auditd with the rules that the
Elastic rule's guide names: every connect, of 64 and of 32 bits. Ratios are of rounds side by side, with their interval
of 95 %.

Connects wait to be accepted until all are made, so that nobody else works meanwhile but the watch, which does so on
another processor where there is one. Needs root, gcc, clang-14 and auditd, and changes the kernel's audit while it
runs, as the watch does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from results import Axis, Cell, Plot, Series, Table, arguments, finish, interleave, ratio, spread, unable

from sockwarden.sensors.ebpf import libbpf
from sockwarden.sensors.ebpf.objects import Object

ROOT = Path(__file__).resolve().parents[1]
SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
FOLDER = Path("/run/user/sockwarden-benchmark")
"""The catalogue knows a docker.sock below /run/user as a rootless daemon's."""
_BACKLOG = 4096
_SETTLING = 1.5
"""Seconds until a watch has looked around, and has decided on a socket that it met."""
_TIMES = {
    "getppid": 1_000_000,
    "read": 1_000_000,
    "open": 100_000,
    "connect, unrelated": 3000,
    "connect, watched": 1000,
    "tcp": 1000,
}
_FILES = 40
"""Small files that gcc compiles."""
_RULES = ("-a always,exit -F arch=b64 -S connect -k netconn", "-a always,exit -F arch=b32 -S connect -k netconn")
_AUDITD = """\
log_file = {folder}/audit.log
log_format = RAW
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file_action = IGNORE
space_left = 2
admin_space_left = 1
space_left_action = IGNORE
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
plugin_dir = {folder}/plugins
"""
_EMPTY = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
SEC("raw_tracepoint/sys_enter") int enter(void *context) { return 0; }
SEC("raw_tracepoint/sys_exit") int leave(void *context) { return 0; }
"""
_LOOP = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments) {
    long times = atol(arguments[2]);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timespec began, ended;
    if (count != 4) return 1;
    strncpy(local.sun_path, arguments[3], sizeof local.sun_path - 1);
    tcp.sin_port = htons(atoi(arguments[3]));
    int *sockets = calloc(times, sizeof *sockets);
    char what = arguments[1][0], byte;
    int zero = open("/dev/zero", O_RDONLY), is_tcp = what == 't';
    struct sockaddr *address = is_tcp ? (void *)&tcp : (void *)&local;
    socklen_t size = is_tcp ? sizeof tcp : sizeof local;
    for (long i = 0; (what == 'c' || is_tcp) && i < times; i++)
        sockets[i] = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (long i = 0; i < times; i++) {
        if (what == 'g') syscall(SYS_getppid);
        else if (what == 'r') { if (read(zero, &byte, 1) != 1) return 3; }
        else if (what == 'o') close(open(arguments[3], O_RDONLY));
        else if (connect(sockets[i], address, size)) return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%f\n", ((ended.tv_sec - began.tv_sec) * 1e9 + ended.tv_nsec - began.tv_nsec) / times);
    return 0;
}
"""


def compiled_loop(folder: Path) -> Path:
    source, program = folder / "loop.c", folder / "loop"
    source.write_text(_LOOP, encoding="ascii")
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


def empty_programs(folder: Path) -> Path:
    source, compiled = folder / "empty.bpf.c", folder / "empty.o"
    source.write_text(_EMPTY, encoding="ascii")
    subprocess.run(["sh", "make/bpf.sh", source, compiled], cwd=ROOT, check=True)
    return compiled


def built(folder: Path) -> Path:
    """The program of the loops; beside it what is compiled, and the empty programs."""
    program = compiled_loop(folder)
    for number in range(_FILES):
        text = f'#include <stdio.h>\nint f{number}(int x) {{ return printf("%d", x + {number}); }}\n'
        (folder / f"part{number}.c").write_text(text, encoding="ascii")
    empty_programs(folder)
    return program


@contextmanager
def listening(address: str | tuple[str, int], family: socket.AddressFamily) -> Iterator[socket.socket]:
    if isinstance(address, str):  # a run that was killed leaves its own
        Path(address).unlink(missing_ok=True)
    with socket.socket(family) as one:
        one.bind(address)
        one.listen(_BACKLOG)
        one.setblocking(False)
        try:
            yield one
        finally:
            if isinstance(address, str):
                Path(address).unlink()


@contextmanager
def watching(sensor: str, requests: bool, work: Path) -> Iterator[None]:
    """A watch in place."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        config, messages = folder / "config.toml", folder / "messages"
        config.touch(mode=0o600)
        config.write_text(f"[requests]\nread = {str(requests).lower()}\n", encoding="ascii")
        command = [str(SOCKWARDEN), "watch", f"--sensor={sensor}", "--output=ndjson", f"--config={config}"]
        command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
        with messages.open("wb") as errors, subprocess.Popen(command, stdout=-3, stderr=errors) as watch:
            while "watching by " not in messages.read_text():
                if watch.poll() is not None:
                    raise SystemExit(f"the watch ended: {messages.read_text()}")
                time.sleep(0.1)
            time.sleep(_SETTLING)
            try:
                yield
            finally:
                watch.send_signal(signal.SIGINT)


@contextmanager
def doing_nothing(work: Path) -> Iterator[None]:
    """Programs that end at once, where each call begins and ends."""
    with Object(libbpf.load(), (work / "empty.o").read_bytes()) as empty:
        empty.load()
        for program in list(empty.programs()):
            empty.attach(program.name)
        yield


@contextmanager
def published(work: Path) -> Iterator[None]:
    """auditd, which writes what two rules find; then the kernel's audit off and without rules, as it was."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        Path(name, "plugins").mkdir()
        config = Path(name, "auditd.conf")
        config.touch(mode=0o640)
        config.write_text(_AUDITD.format(folder=name), encoding="ascii")
        with subprocess.Popen(["auditd", "-n", "-c", name], stdout=-3, stderr=-3) as auditd:
            try:
                while not Path(name, "audit.log").exists():
                    if auditd.poll() is not None:
                        raise SystemExit("auditd ended")
                    time.sleep(0.1)
                for rule in _RULES:
                    subprocess.run(["auditctl", *rule.split()], check=True, stdout=-3)
                yield
            finally:
                subprocess.run(["auditctl", "-D"], check=True, stdout=-3)
                auditd.send_signal(signal.SIGTERM)
                auditd.wait()
                subprocess.run(["auditctl", "-e", "0"], check=True, stdout=-3)


def measure(program: Path, what: str, target: object, times: int) -> float:
    command = [str(program), what, str(times), str(target)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compiling(work: Path) -> float:
    """ns that gcc takes for all files, one after the other."""
    files = [f"part{number}.c" for number in range(_FILES)]
    began = time.perf_counter_ns()
    subprocess.run(["gcc", "-c", *files], cwd=work, check=True)
    return time.perf_counter_ns() - began


def accept_all(*listeners: socket.socket) -> None:
    for listener in listeners:
        try:
            while True:
                listener.accept()[0].close()
        except BlockingIOError:
            continue


def under(sensor: Callable[[], AbstractContextManager[None]], work: Path, share: int) -> dict[str, float]:
    """Each workload once, in ns."""
    file = work / "file"
    file.touch()
    with (
        listening(str(work / "other.sock"), socket.AF_UNIX) as other,
        listening(str(FOLDER / "docker.sock"), socket.AF_UNIX) as watched,
        listening(("127.0.0.1", 0), socket.AF_INET) as tcp,
        sensor(),
    ):
        targets = {"tcp": tcp.getsockname()[1], "connect, watched": FOLDER / "docker.sock"}
        targets["connect, unrelated"] = work / "other.sock"
        measure(work / "loop", "connect, unrelated", work / "other.sock", 1)
        time.sleep(_SETTLING)
        found = {}
        for what, times in _TIMES.items():
            found[what] = measure(work / "loop", what, targets.get(what, file), times // share)
            accept_all(other, watched, tcp)
        return found | {"build": compiling(work)}


def report(found: dict[str, list[dict[str, float]]]) -> tuple[list[Table], list[Plot], dict[str, str]]:
    rows: list[list[Cell]] = []
    series, figures = [], {}
    for sensor, rounds in found.items():
        points = []
        for place, what in enumerate((*_TIMES, "build")):
            times = [one[what] for one in rounds]
            base = [one[what] for one in found["none"]]
            more = statistics.median(one - other for one, other in zip(times, base, strict=True))
            against = ratio(times, base)
            rows.append([what, sensor, str(spread(times)), round(more), str(against)])
            points.append((float(place), against.ratio, against.low or against.ratio, against.high or against.ratio))
            if sensor == "eBPF":
                figures[f"{what.replace(', ', '-')}-ns"] = f"{more:,.0f} ns"
        series.append(Series(sensor, points))
    rows.sort(key=lambda row: [*_TIMES, "build"].index(str(row[0])))
    columns = ["what", "under", "ns", "ns more than none", "of none"]
    table = Table("cost", "What it costs others", columns, rows, "A build is one of 40 small files.")
    axis = ", ".join(f"{place} {what}" for place, what in enumerate((*_TIMES, "build")))
    return (
        [table],
        [Plot("cost-ratio", "Time beside that without a sensor", Axis(axis), Axis("ratio", True), series)],
        figures,
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    if missing := [tool for tool in ("gcc", "clang-14", "auditd", "auditctl") if not shutil.which(tool)]:
        unable(f"{' and '.join(missing)} not found")
    with ExitStack() as last:
        work = Path(last.enter_context(tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-")))
        for folder in (FOLDER.parent, FOLDER):  # what is made last goes first
            if not folder.exists():
                folder.mkdir()
                last.callback(folder.rmdir)
        built(work)
        sensors: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "none": nullcontext,
            "empty programs": partial(doing_nothing, work),
            "eBPF": partial(watching, "ebpf", False, work),
            "eBPF, requests": partial(watching, "ebpf", True, work),
            "audit": partial(watching, "audit", False, work),
            "auditd, published": partial(published, work),
        }
        share = 100 if options.quick else 1
        contenders = {name: partial(under, sensor, work, share) for name, sensor in sensors.items()}
        found = interleave(contenders, 2 if options.quick else options.rounds)
    finish(options, *report(found))


if __name__ == "__main__":
    main()
