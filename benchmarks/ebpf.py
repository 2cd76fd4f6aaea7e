"""What a sensor costs those who are watched, in one interleaved run.

    python benchmarks/ebpf.py [--rounds 10]

A small program in C does one thing over and over: a call that no sensor asks for (getppid), a read of one byte, an
open and close of a file, a connect to a socket that is no runtime's, which the watch has met before, and one to a
watched socket. Each round does all of that without a sensor, then under a `sockwarden watch` by eBPF, then under one
by audit, each in a process that is younger than its sensor. Printed are medians in ns a time, the spread, and the
ratio to no sensor. Connects wait to be accepted until the round is over, so that nobody else works meanwhile but the
watch, which does so on another processor where there is one. Needs root and gcc, and changes the kernel's audit while
it runs, as the watch does.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
FOLDER = Path("/run/user/sockwarden-benchmark")
"""The catalogue knows a docker.sock below /run/user as a rootless daemon's."""
_SENSORS = ("none", "ebpf", "audit")
_BACKLOG = 4096
_SETTLING = 1.5
"""Seconds until a watch has looked around, and has decided on a socket that it met."""
_TIMES = {"getppid": 1_000_000, "read": 1_000_000, "open": 100_000, "connect unrelated": 3000, "connect watched": 1000}
_LOOP = r"""
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
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timespec began, ended;
    if (count != 4) return 1;
    strncpy(address.sun_path, arguments[3], sizeof address.sun_path - 1);
    int *sockets = calloc(times, sizeof *sockets);
    char what = arguments[1][0], byte;
    int zero = open("/dev/zero", O_RDONLY);
    for (long i = 0; what == 'c' && i < times; i++) sockets[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (long i = 0; i < times; i++) {
        if (what == 'g') syscall(SYS_getppid);
        else if (what == 'r') { if (read(zero, &byte, 1) != 1) return 3; }
        else if (what == 'o') close(open(arguments[3], O_RDONLY));
        else if (connect(sockets[i], (void *)&address, sizeof address)) return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%f\n", ((ended.tv_sec - began.tv_sec) * 1e9 + ended.tv_nsec - began.tv_nsec) / times);
    return 0;
}
"""


def built(folder: Path) -> Path:
    source, program = folder / "loop.c", folder / "loop"
    source.write_text(_LOOP, encoding="ascii")
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        one.listen(_BACKLOG)
        one.setblocking(False)
        yield one
    path.unlink()


@contextmanager
def watching(sensor: str, folder: Path) -> Iterator[str]:
    """A watch in place; gives what it says of its sensor."""
    if sensor == "none":
        yield sensor
        return
    messages = folder / "messages"
    command = [str(SOCKWARDEN), "watch", f"--sensor={sensor}", "--output=ndjson"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    with messages.open("wb") as errors, subprocess.Popen(command, stdout=-3, stderr=errors) as watch:
        while not (found := [line for line in messages.read_text().splitlines() if line.startswith("watching by ")]):
            if watch.poll() is not None:
                raise SystemExit(f"the watch ended: {messages.read_text()}")
            time.sleep(0.1)
        time.sleep(_SETTLING)
        try:
            yield found[0].removeprefix("watching by ").partition(":")[0]
        finally:
            watch.send_signal(signal.SIGINT)


def measure(program: Path, what: str, path: Path, times: int) -> float:
    command = [str(program), what, str(times), str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def accept_all(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return


def one_round(folder: Path, program: Path, times: dict[tuple[str, str], list[float]]) -> dict[str, str]:
    names = {}
    file = folder / "file"
    file.touch()
    for sensor in _SENSORS:
        with (
            listening(folder / "other.sock") as other,
            listening(FOLDER / "docker.sock") as watched,
            tempfile.TemporaryDirectory(dir=folder) as state,
            watching(sensor, Path(state)) as names[sensor],
        ):
            measure(program, "connect unrelated", folder / "other.sock", 1)
            time.sleep(_SETTLING)
            paths = {"getppid": file, "read": file, "open": file, "connect unrelated": folder / "other.sock"}
            for what, often in _TIMES.items():
                path = paths.get(what, FOLDER / "docker.sock")
                times.setdefault((what, sensor), []).append(measure(program, what, path, often))
            accept_all(other)
            accept_all(watched)
    return names


def report(times: dict[tuple[str, str], list[float]], names: dict[str, str]) -> None:
    for what in _TIMES:
        base = statistics.median(times[what, "none"])
        for sensor in _SENSORS:
            each = times[what, sensor]
            median = statistics.median(each)
            print(
                f"{what:<18} {names[sensor]:<18} {median:>9,.0f} ns ({min(each):,.0f} to {max(each):,.0f}), "
                f"{median / base:.2f} of none"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="What a sensor costs those who are watched.")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    if os.geteuid():
        parser.error("it takes root, as the watch does")
    machine = f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}; {options.rounds} rounds")
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as last:
        work = Path(last.enter_context(tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-")))
        for folder in (FOLDER.parent, FOLDER):  # what is made last goes first
            if not folder.exists():
                folder.mkdir()
                last.callback(folder.rmdir)
        program = built(work)
        for _ in range(options.rounds):
            names = one_round(work, program, times)
        report(times, names)


if __name__ == "__main__":
    main()
