"""Discovery of real sockets that this process, or a daemon of its making, binds in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from sockwarden.sockets import Catalogue, LiveSocket
from sockwarden.sockets.catalogue import decode
from sockwarden.sockets.discovery import Discovery, discover

SERVE = """\
import os, socket, sys
open_ones = []
os.chdir(sys.argv[1])
for address in sys.argv[2:]:
    if address.startswith(("tcp://", "also://")):
        one = socket.create_server(("127.0.0.1", int(address.rpartition(":")[2])))
    elif address.startswith("-"):
        continue
    else:
        one = socket.socket(socket.AF_UNIX)
        one.bind("\\0" + address[1:] if address.startswith("@") else address)
        one.listen()
    open_ones.append(one)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Names in a temporary folder, and a daemon of our own."""
    text = f"""
        [[socket]]
        runtime = "docker"
        name = "Docker Engine API"
        path = ["{tmp_path}/docker.sock", "{tmp_path}/users/*/docker.sock"]
        source = "test"
        [[socket]]
        runtime = "containerd"
        name = "containerd shim"
        path = ["{tmp_path}/s/*"]
        abstract = ["/sockwarden-test/{tmp_path.name}/*"]
        source = "test"
        [[daemon]]
        executable = ["{tmp_path}/bin/runtimed"]
        runtime = "podman"
        name = "Podman"
        other = ["metrics.sock", "net/*.sock"]
        config = ["{tmp_path}/daemon.json"]
        source = "test"
    """
    return decode(text.encode())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts the daemon on addresses; gives its pid. Python under the daemon's name: an executable of its own."""
    program = tmp_path / "bin" / "runtimed"
    with ExitStack() as running:

        def start(*addresses: str) -> int:
            program.parent.mkdir(exist_ok=True)
            if not program.exists():
                shutil.copy(Path(sys.executable).resolve(), program)
            daemon = running.enter_context(
                subprocess.Popen(
                    [program, "-c", SERVE, str(tmp_path), *addresses],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={"PYTHONHOME": sys.base_prefix},
                )
            )
            running.callback(daemon.kill)
            assert daemon.stdout
            assert daemon.stdout.readline() == b"ready\n"
            return daemon.pid

        yield start


@pytest.fixture
def bind() -> Iterator[Callable[[str | Path], socket.socket]]:
    with ExitStack() as opened:

        def at(address: str | Path) -> socket.socket:
            one = opened.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(str(address))
            one.listen()
            return one

        yield at


def look(catalogue: Catalogue, *, units: Path | None = None) -> dict[str, LiveSocket]:
    return {live.socket.address: live for live in discover(catalogue, unit_folders=[units] if units else [])}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Bind = Callable[[str | Path], socket.socket]


def test_a_socket_of_the_catalogue(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    path = tmp_path / "docker.sock"
    listener = bind(path)
    path.chmod(0o660)
    (live,) = look(catalogue).values()
    status = path.stat()
    assert (live.socket.address, live.socket.runtime) == (str(path), "docker")
    assert (live.kind, live.found_by, live.listening) == ("path", "catalogue", True)
    assert (live.path, live.inode, live.mode) == (str(path), status.st_ino, 0o660)
    assert (live.uid, live.gid) == (status.st_uid, status.st_gid)
    assert live.generation == os.fstat(listener.fileno()).st_ino
    assert [(one.pid, one.executable) for one in live.listeners] == [
        (os.getpid(), str(Path("/proc/self/exe").readlink()))
    ]


def test_the_device_is_the_mount_s(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    """As mountinfo has it, which is what audit prints; in hex, major and minor."""
    bind(tmp_path / "docker.sock")
    (live,) = look(catalogue).values()
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    point, device = max((len(row[4]), row[2]) for row in mounts if str(tmp_path).startswith(row[4]))
    major, minor = map(int, device.split(":"))
    assert point
    assert live.device == f"{major:02x}:{minor:02x}"


def test_only_socket_files_count(tmp_path: Path, catalogue: Catalogue) -> None:
    os.mkfifo(tmp_path / "docker.sock")
    for user in ("a", "b"):
        (tmp_path / "users" / user).mkdir(parents=True)
    (tmp_path / "users" / "a" / "docker.sock").write_text("no socket")
    (tmp_path / "users" / "b" / "docker.sock").mkdir()
    (tmp_path / "s").symlink_to("/nonexistent")
    assert look(catalogue) == {}


def test_a_socket_that_nobody_listens_on(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "docker.sock").close()
    (live,) = look(catalogue).values()
    assert not live.listening
    assert live.listeners == ()
    assert live.generation == (tmp_path / "docker.sock").stat().st_ctime_ns


def test_wildcards(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    names = ["users/ada/docker.sock", "s/0123", "s/new\nline"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        bind(tmp_path / name)
    found = look(catalogue)
    assert set(found) == {f"{tmp_path}/{name}" for name in names}
    assert found[f"{tmp_path}/s/0123"].socket.name == "containerd shim"


def test_a_name_that_is_no_text(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    (tmp_path / "s").mkdir()
    bind(os.fsdecode(os.fsencode(tmp_path) + b"/s/\xff"))
    (live,) = look(catalogue).values()
    assert live.socket.address == f"{tmp_path}/s/\\xff"
    assert os.fsencode(str(live.path)) == os.fsencode(tmp_path) + b"/s/\xff"


def test_a_catalogue_s_name_that_is_a_symlink(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "elsewhere.sock")
    (tmp_path / "docker.sock").symlink_to("elsewhere.sock")
    (live,) = look(catalogue).values()
    assert (live.socket.address, live.path) == (f"{tmp_path}/docker.sock", f"{tmp_path}/elsewhere.sock")


def test_a_symlink_loop(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "docker.sock").symlink_to("docker.sock")
    assert look(catalogue) == {}


def test_renamed(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "docker.sock")
    (tmp_path / "docker.sock").rename(tmp_path / "renamed")
    (live,) = look(catalogue).values()
    assert (live.socket.address, live.path) == (f"{tmp_path}/docker.sock", f"{tmp_path}/renamed")


def test_renamed_and_another_put_in_its_place(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    """As who sits between does: both are watched."""
    bind(tmp_path / "docker.sock")
    (tmp_path / "docker.sock").rename(tmp_path / "renamed")
    bind(tmp_path / "docker.sock")
    found = discover(catalogue, unit_folders=[])
    assert {live.socket.address for live in found} == {f"{tmp_path}/docker.sock"}
    assert {live.path for live in found} == {f"{tmp_path}/docker.sock", f"{tmp_path}/renamed"}


def test_a_hard_link_is_what_is_left(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "docker.sock")
    (tmp_path / "link").hardlink_to(tmp_path / "docker.sock")
    (tmp_path / "docker.sock").unlink()
    (live,) = look(catalogue).values()
    assert (live.socket.address, live.path) == (f"{tmp_path}/docker.sock", f"{tmp_path}/link")


def test_recreated(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "docker.sock").close()
    (before,) = look(catalogue).values()
    (tmp_path / "docker.sock").unlink()
    bind(tmp_path / "docker.sock")
    (after,) = look(catalogue).values()
    assert before.generation != after.generation


def test_a_taken_away_file_is_out_of_sight(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    bind(tmp_path / "docker.sock")
    (tmp_path / "docker.sock").unlink()
    (live,) = look(catalogue).values()
    assert (live.path, live.listening) == (None, True)


def test_a_daemon_at_addresses_of_its_own(tmp_path: Path, catalogue: Catalogue, serve: Callable[..., int]) -> None:
    port, other, name = free_port(), free_port(), f"@{uuid4()}"
    (tmp_path / "net").mkdir()
    pid = serve(
        "net/../api.sock", "metrics.sock", "net/1.sock", name, f"tcp://127.0.0.1:{port}", f"also://127.0.0.1:{other}"
    )
    found = look(catalogue)
    assert set(found) == {f"{tmp_path}/api.sock", name, f"127.0.0.1:{port}"}, (
        "bound to a relative path, found where it is"
    )
    for live in found.values():
        assert (live.socket.runtime, live.found_by, live.listening) == ("podman", "listener", True)
        assert [(one.pid, one.executable) for one in live.listeners] == [(pid, f"{tmp_path}/bin/runtimed")]
    assert {live.kind for live in found.values()} == {"path", "abstract", "inet"}


def test_a_daemon_whose_program_was_updated(tmp_path: Path, catalogue: Catalogue, serve: Callable[..., int]) -> None:
    serve(f"{tmp_path}/api.sock")
    (tmp_path / "bin" / "runtimed").unlink()
    (live,) = look(catalogue).values()
    assert live.listeners[0].executable == f"{tmp_path}/bin/runtimed (deleted)"


def test_the_catalogue_s_word_counts_more(tmp_path: Path, catalogue: Catalogue, serve: Callable[..., int]) -> None:
    (tmp_path / "s").mkdir()
    name = f"@/sockwarden-test/{tmp_path.name}/1"
    serve(f"{tmp_path}/docker.sock", f"{tmp_path}/s/1", name)
    found = look(catalogue)
    assert {live.socket.runtime for live in found.values()} == {"docker", "containerd"}
    assert {live.found_by for live in found.values()} == {"catalogue"}
    assert name in found


UNITS = {
    "a.socket": "[Socket]\nListenStream={folder}/activated.sock\nSocketMode=0660\n",
    "a.service": "[Service]\nType=notify\nExecStart=-{folder}/bin/runtimed -H fd://\n",
    "b.socket": "[Socket]\n# taken back:\nListenStream={folder}/no.sock\nListenStream=\nService=a.service\n",
    "b.socket.d/more.conf": "[Socket]\nListenStream=@{token}\n",
    "c.socket": "[Socket]\nListenStream={folder}/of-another.sock\n",
    "c.service": "[Service]\nExecStart=/usr/bin/other\n",
    "d.socket": "[Socket]\nListenStream={port}\nService=a.service\n",
    "loop.socket": "[Socket]\nService=../../a.service\nListenStream={folder}/no.sock\n",
}


def test_systemd_listens_for_a_daemon(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    """This process stands for systemd: it holds sockets that unit files give to a daemon that does not run."""
    values = {"folder": tmp_path, "token": uuid4(), "port": free_port()}
    for unit, text in UNITS.items():
        path = tmp_path / "units" / unit
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**values), encoding="utf-8")
    for name in ("activated.sock", "of-another.sock", "no.sock"):
        bind(tmp_path / name)
    bind(f"\0{values['token']}")
    with socket.create_server(("127.0.0.1", int(str(values["port"])))):
        found = look(catalogue, units=tmp_path / "units")
    assert {address: live.unit for address, live in found.items()} == {
        f"{tmp_path}/activated.sock": "a.socket",
        f"@{values['token']}": "b.socket",
        f"127.0.0.1:{values['port']}": "d.socket",
    }
    assert {live.found_by for live in found.values()} == {"unit"}


def test_a_masked_unit_hides_the_weaker_one(tmp_path: Path, catalogue: Catalogue, bind: Bind) -> None:
    strong, weak = tmp_path / "etc", tmp_path / "usr"
    for each in (strong, weak):
        each.mkdir()
    for unit in ("a.socket", "a.service"):
        (weak / unit).write_text(UNITS[unit].format(folder=tmp_path), encoding="utf-8")
    bind(tmp_path / "activated.sock")
    assert [live.unit for live in discover(catalogue, unit_folders=[strong, weak])] == ["a.socket"]
    (strong / "a.socket").symlink_to("/dev/null")
    assert discover(catalogue, unit_folders=[strong, weak]) == []


def test_unit_files_that_are_none(tmp_path: Path, catalogue: Catalogue) -> None:
    os.mkfifo(tmp_path / "pipe.socket")
    (tmp_path / "tmp_path.socket").mkdir()
    (tmp_path / "bytes.socket").write_bytes(b"ListenStream=\xff\0\nService=\xfe\n[[[\n=\n")
    (tmp_path / "quote.socket").write_text("ListenStream=/x\nService=quote.service\n", encoding="utf-8")
    (tmp_path / "quote.service").write_text("ExecStart='\n", encoding="utf-8")
    assert look(catalogue, units=tmp_path) == {}


@pytest.mark.parametrize(
    ("option", "config", "found"),
    [
        ("-H=127.0.0.1:{port}", "", True),
        ("-H127.0.0.1:{port}", "", True),
        ("--host=:{port}", "", True),
        ("-H=tcp://0.0.0.0:{port}", "", True),
        ("--addr=tcp://[::1]:{port}", "", True),
        ("--metrics-addr=127.0.0.1:{port}", "", False),
        ("-H=unix:///run/a:{port}", "", False),
        ("", '{{"hosts": ["unix:///x", "tcp://127.0.0.1:{port}"]}}', True),
        ("", "[grpc]\n  tcp_address = '127.0.0.1:{port}'\n", True),
        ("", '{{"metrics-addr": "127.0.0.1:{port}"}}', False),
        ("", "", False),
    ],
)
def test_a_tcp_port_counts_where_the_daemon_was_told_it(
    option: str, config: str, found: bool, tmp_path: Path, catalogue: Catalogue, serve: Callable[..., int]
) -> None:
    port = free_port()
    (tmp_path / "daemon.json").write_text(config.format(port=port), encoding="utf-8")
    serve(f"also://127.0.0.1:{port}", *([option.format(port=port)] if option else []))
    assert list(look(catalogue)) == ([f"127.0.0.1:{port}"] if found else [])


def test_while_everything_comes_and_goes(tmp_path: Path, catalogue: Catalogue) -> None:
    """Files, listeners and processes vanish between one look and the next."""
    churn = f"""
import os, socket
path = "{tmp_path}/docker.sock"
print("ready", flush=True)
while True:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
        one.listen()
        os.rename(path, path + "2")
        if os.fork() == 0:
            os._exit(0)
        os.unlink(path + "2")
    os.wait()
"""
    seen: set[str | None] = set()
    with subprocess.Popen([sys.executable, "-c", churn], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        discovery = Discovery(catalogue, unit_folders=[])
        rounds, end = 0, time.monotonic() + 60
        while rounds < 300 or len(seen) < 2:
            assert time.monotonic() < end, seen
            seen |= {live.path for live in discovery.discover()}
            rounds += 1
        process.kill()
    assert seen <= {None, f"{tmp_path}/docker.sock", f"{tmp_path}/docker.sock2"}
