"""What goes on at a host all day, beside a watch: nothing is an access that is none, and no component is an impostor.

Each reported access must be explained by what the test itself knows: that its socket is a runtime's, and that its
program has to do with runtimes. Alerts are for people's tools alone, unless a test says why not.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from busy import busy_sockets
from runtimes import IMAGE, Runtime, builds, kept_clean, made, run, started_containerd, started_docker
from watching import SENSORS, Watch, marked, rule_of, watching

from sockwarden.document import Document, get

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

CONTAINERS, CONNECTS = 50, 2000
SPEAKERS = frozenset(("dockerd", "containerd", "containerd-shim-runc-v2", "docker", "ctr", "runc"))
ROOTLESS = Path("/run/user/65533/docker.sock")
"""A name that is known, and that no daemon of the session has."""
POLICY = Path("/usr/sbin/policy-rc.d")
"""Whether packages may start services: invoke-rc.d(8)."""
TOOLS = frozenset(("docker", "ctr"))
UPGRADED = ("919466d8-1e27-49cd-9325-19641e01f7bc", "dockerd")
"""An alert on a daemon whose program was replaced: what it runs is not what is installed."""


class Day:
    """A watch, and where the test's own runtimes listen."""

    def __init__(self, watch: Watch, docker: Runtime, folders: list[Path]) -> None:
        self.watch, self.docker, self.folders = watch, docker, folders
        self.known: set[object] = set()

    def is_runtime_socket(self, address: str) -> bool:
        """By what these runtimes were told, and by where containerd puts its shims' sockets."""
        if address in ("/run/docker.sock", str(ROOTLESS)) or re.fullmatch(r"/run/containerd/s/[0-9a-f]{64}", address):
            return True
        path = Path(address)
        inside = any(folder in path.parents for folder in self.folders)
        return inside and path.name.removesuffix(".ttrpc") in (
            "docker.sock",
            "containerd.sock",
            "containerd-debug.sock",
        )

    @contextmanager
    def started(self, daemon: str, folder: Path) -> Iterator[Runtime]:
        """A dockerd that is started while the watch runs, once that sees what is asked of it."""
        with started_docker(daemon, folder, ROOTLESS) as docker:
            mark = f"m{os.urandom(6).hex()}"

            def seen() -> bool:
                docker("version", "--format", mark)
                return any(marked(one, mark) for one in self.watch.accesses())

            self.watch.until(seen, "its accesses are seen", 30)
            yield docker

    def explained(self, *expected: tuple[str, str]) -> list[Document]:
        """The accesses since the last time, each of a runtime's socket by a program that has to do with runtimes.
        expected: rule and program of alerts that are not a person's.
        """
        mark = f"m{os.urandom(6).hex()}"
        run(*self.docker.command, "version", "--format", mark)
        self.watch.until_stored(mark, 90)
        new = [one for one in self.watch.accesses() if one["_id"] not in self.known]
        self.known |= {one["_id"] for one in new}
        unexplained = {one for one in map(told, new) if not self.is_runtime_socket(one[1]) or one[0] not in SPEAKERS}
        assert not unexplained
        alerts = {(rule_of(alert), told(alert)[0]) for alert in list(self.watch.alerts)}
        assert not {(rule, program) for rule, program in alerts if program not in TOOLS}.difference(expected)
        return new


def told(document: Document) -> tuple[str, str, str]:
    """Which program reached which socket, and how."""
    program = str(get(document, "process.executable")).rpartition("/")[2].removesuffix(" (deleted)")
    return program, str(get(document, "sockwarden.socket.canonical")), str(get(document, "event.action"))


@pytest.fixture(params=SENSORS)
def day(
    request: pytest.FixtureRequest, docker: Runtime, containerd: Runtime, audit: None, tmp_path: Path
) -> Iterator[Day]:
    with watching(tmp_path, *SENSORS[request.param]) as watch:
        yield Day(watch, docker, [docker.folder, containerd.folder])


def test_containers_that_come_and_go(day: Day, docker: Runtime, containerd: Runtime) -> None:
    def one(number: int) -> None:
        if number % 5:
            docker("run", "--rm", "--network=none", IMAGE, "/bin/sh", "-c", "exit 0")
        else:
            containerd("run", "--rm", f"docker.io/{IMAGE}", f"benign-{number}", "/bin/sh", "-c", "exit 0")

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(one, range(CONTAINERS)))
    programs = {told(access)[0] for access in day.explained()}
    assert programs >= {"docker", "ctr"}


def test_daemons_that_restart(day: Day, require: Callable[..., str]) -> None:
    with kept_clean("sockwarden-restart-") as folder, made(ROOTLESS.parent):
        day.folders.append(folder)
        for runtime in ("docker", "containerd"):
            (folder / runtime).mkdir()
        for _ in range(2):
            with (
                day.started(require("dockerd", root=True), folder / "docker"),
                started_containerd(require("containerd"), require("ctr"), folder / "containerd") as containerd,
            ):
                containerd("version")
            day.explained()


def test_other_sockets_that_are_busy(day: Day, client: Path, tmp_path: Path, require: Callable[..., str]) -> None:
    with TemporaryDirectory(prefix="sw-") as name:
        # The database is another user's, and must come through.
        Path(name).chmod(0o755)
        with busy_sockets(Path(name), require) as addresses:
            for address in addresses:
                run(client, "flood", address)
        day.explained()


def test_a_build(day: Day, docker: Runtime, tmp_path: Path, require: Callable[..., str]) -> None:
    """With BuildKit, which dockerd has inside; the newest CLIs need a plugin for that."""
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY Dockerfile /\nRUN true\n", encoding="ascii")
    command = ["build", "--network=none", "--tag=sockwarden-test/built:1", str(tmp_path)]
    cli = next(one for one in ("docker", require("/usr/bin/docker")) if builds(one))
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    command = [cli, *docker.command[1:], *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    docker("image", "rm", "sockwarden-test/built:1")
    day.explained()


@pytest.mark.last  # the daemons of the whole session run programs that are deleted from then on
def test_an_upgrade_of_the_package(day: Day, tmp_path: Path, require: Callable[..., str]) -> None:
    """Of Debian's docker.io, with a daemon that runs meanwhile, and is restarted."""
    install = [
        require("apt-get", root=True),
        "install",
        "--reinstall",
        "--yes",
        "-o",
        f"Dir::Cache::archives={tmp_path}",
    ]
    install += ["-o", "Dpkg::Options::=--force-confold", "docker.io"]
    (tmp_path / "partial").mkdir()
    fetched = subprocess.run([*install, "--download-only"], capture_output=True, text=True, check=False, timeout=120)
    if fetched.returncode or not list(tmp_path.glob("docker.io_*.deb")):
        require("a package docker.io that can be fetched again")
    with kept_clean("sockwarden-upgrade-") as folder, made(ROOTLESS.parent):
        day.folders.append(folder)
        with day.started(require("dockerd"), folder) as docker, no_services():
            subprocess.run(install, capture_output=True, check=True, timeout=120)
            docker("ps")
        with day.started(require("dockerd"), folder):
            day.explained(UPGRADED)


@contextmanager
def no_services() -> Iterator[None]:
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
