"""Sockets in mount and network namespaces other than ours, and who has ours mounted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sockwarden.sockets import Catalogue, LiveSocket, processes
from sockwarden.sockets.budget import MOST_OF_A_USER
from sockwarden.sockets.catalogue import decode
from sockwarden.sockets.daemons import tcp_ports
from sockwarden.sockets.discovery import Discovery, discover
from sockwarden.sockets.exposure import Exposure, exposure
from sockwarden.sockets.inventory import Inventory
from sockwarden.sockets.places import Mounts

pytestmark = pytest.mark.host

LISTEN = """\
import socket, sys
ones = [socket.socket(socket.AF_UNIX) for _ in sys.argv[1:]]
for one, address in zip(ones, sys.argv[1:]):
    one.bind("\\0" + address[1:] if address.startswith("@") else address)
    one.listen()
print("ready", flush=True)
sys.stdin.read()
"""
NOBODY = 65534


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    text = f"""
        [[socket]]
        runtime = "docker"
        name = "Docker Engine API"
        path = ["{tmp_path}/run/docker.sock"]
        source = "test"
        [[daemon]]
        executable = ["{tmp_path}/runtimed"]
        runtime = "podman"
        name = "Podman"
        source = "test"
    """
    (tmp_path / "run").mkdir()
    return decode(text.encode())


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Starts a shell in namespaces of its own, which becomes the process that it execs; gives its pid."""
    with ExitStack() as running:

        def one(flags: str, script: str, **variables: str | Path) -> int:
            process = running.enter_context(
                subprocess.Popen(
                    ["unshare", flags, "/bin/sh", "-ec", script],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={"PATH": os.environ["PATH"], **{key: str(value) for key, value in variables.items()}},
                )
            )
            running.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            return process.pid

        yield one


@pytest.fixture
def docker_sock(tmp_path: Path, catalogue: Catalogue) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "run" / "docker.sock"))
        one.listen()
        yield tmp_path / "run" / "docker.sock"


def only(catalogue: Catalogue) -> LiveSocket:
    (live,) = discover(catalogue, unit_folders=[])
    return live


def test_a_daemon_with_namespaces_of_its_own(
    require: Callable[..., str], tmp_path: Path, catalogue: Catalogue, docker_sock: Path, start: Callable[..., int]
) -> None:
    """As Docker in Docker: the same name is another socket there."""
    require("unshare", root=True)
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "runtimed")
    pid = start(
        "-mn",
        'mount -t tmpfs none "$run"; exec "$program" -c "$code" "$run/docker.sock" @inside',
        run=tmp_path / "run",
        program=tmp_path / "runtimed",
        code=LISTEN,
        PYTHONHOME=sys.base_prefix,
    )
    found = {live.socket.address: live for live in discover(catalogue, unit_folders=[])}
    inner = f"/proc/{pid}/root{docker_sock}"
    assert set(found) == {str(docker_sock), inner, "@inside"}
    assert [listener.pid for listener in found[inner].listeners] == [pid]
    assert [listener.pid for listener in found[str(docker_sock)].listeners] == [os.getpid()]
    assert (found[inner].path, found[inner].inode) == (inner, Path(inner).stat().st_ino)
    assert found[inner].device != found[str(docker_sock)].device
    assert found["@inside"].found_by == "listener"
    (reach,) = exposure([found[inner]], lambda _: None)
    assert reach.everyone is None


def test_a_host_without_any(require: Callable[..., str]) -> None:
    require("unshare", root=True)
    command = [sys.executable, "-c", "from sockwarden.cli.sockets import sockets; sockets()"]
    namespaces = ["unshare", "-mnpf", "--mount-proc", "/bin/sh", "-ec", 'mount -t tmpfs none /run; exec "$@"', "sh"]
    result = subprocess.run([*namespaces, *command], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.startswith("no runtime socket found\nLooked at ")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("mounts", "path"),
    [
        ('touch "$root/x"; mount --bind "$folder/run/docker.sock" "$root/x"', "/x"),
        ('mkdir "$root/x"; mount --bind "$folder/run" "$root/x"', "/x/docker.sock"),
        ('mkdir "$root/x y"; mount --bind -o ro "$folder" "$root/x y"', "/x y/run/docker.sock"),
        ('mkdir "$root/x"; mount --bind "$folder/run" "$root/x"; mount -t tmpfs none "$root/x"', None),
        ('mkdir "$root/x"; mount --bind "$folder/other" "$root/x"', None),
        ("true", None),
    ],
)
def test_a_root_that_has_it_mounted(
    mounts: str,
    path: str | None,
    require: Callable[..., str],
    tmp_path: Path,
    catalogue: Catalogue,
    docker_sock: Path,
    start: Callable[..., int],
) -> None:
    busybox = require("busybox", root=True)
    for name in ("other", "root"):
        (tmp_path / name).mkdir()
    script = f"""
        root="$folder/root"; mount -t tmpfs none "$root"; mkdir "$root/old"; cp {busybox} "$root/busybox"
        {mounts}
        cd "$root"; pivot_root . old; /busybox umount -l /old; /busybox echo ready; exec /busybox cat
    """
    pid = start("-m", script, folder=tmp_path)
    seen: list[int] = []

    def container_of(one: int) -> str | None:
        seen.append(one)
        return "web" if one == pid else None

    (exposed,) = exposure([only(catalogue)], container_of)
    mine = [reach for reach in exposed.containers if reach.pid == pid]
    assert pid in seen
    assert [(reach.container, reach.path, reach.verified) for reach in mine] == ([("web", path, True)] if path else [])


def test_a_mount_namespace_with_the_host_s_root_is_no_container(
    require: Callable[..., str], catalogue: Catalogue, docker_sock: Path, start: Callable[..., int]
) -> None:
    """As services of systemd have."""
    require("unshare", root=True)
    pid = start("-m", "echo ready; exec cat")
    (exposed,) = exposure([only(catalogue)], lambda _: None)
    assert pid not in [reach.pid for reach in exposed.containers]


def test_lax_modes(require: Callable[..., str], catalogue: Catalogue, docker_sock: Path, tmp_path: Path) -> None:
    require("unshare", root=True)

    def exposed() -> Exposure:
        (one,) = exposure([only(catalogue)], lambda _: None)
        return one

    tmp_path.chmod(0o755)
    # pytest keeps its own folders to the user.
    closed = [folder for folder in tmp_path.parents if not folder.stat().st_mode & 0o001]
    assert all(folder.stat().st_uid == 0 for folder in closed)
    modes = {folder: folder.stat().st_mode for folder in closed}
    try:
        for folder in closed:
            folder.chmod(0o711)
        docker_sock.chmod(0o600)
        assert (exposed().everyone, exposed().users, exposed().groups) == (False, (), ())
        docker_sock.chmod(0o660)
        os.chown(docker_sock, 0, NOBODY)
        assert exposed().everyone is False
        assert "nobody" in exposed().users
        assert len(exposed().groups) == 1
        docker_sock.chmod(0o666)
        docker_sock.parent.chmod(0o777)
        (docker_sock.parent / "link").hardlink_to(docker_sock)
        assert exposed().everyone is True
        assert exposed().users == ()
        assert exposed().concerns == (
            "every user may connect",
            f"every user may put another socket in its place: {docker_sock.parent} is writable by all",
            "it has 2 names (hard links)",
        )
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)


def test_a_user_s_symlink_to_the_socket_of_another_is_not_followed(
    require: Callable[..., str], tmp_path: Path, catalogue: Catalogue
) -> None:
    """Else he could have any busy socket of the host watched."""
    require("unshare", root=True)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "bus.sock"))
        one.listen()
        link = tmp_path / "run" / "docker.sock"
        link.symlink_to(tmp_path / "bus.sock")
        assert only(catalogue).path == str(tmp_path / "bus.sock")
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        assert discover(catalogue, unit_folders=[]) == []
        (tmp_path / "other").mkdir()
        (tmp_path / "bus.sock").rename(tmp_path / "other" / "docker.sock")
        link.unlink()
        link.parent.rmdir()
        link.parent.symlink_to(tmp_path / "other")
        assert only(catalogue).path == str(tmp_path / "other" / "docker.sock")
        os.chown(link.parent, NOBODY, NOBODY, follow_symlinks=False)
        assert discover(catalogue, unit_folders=[]) == []


CROWD = """\
use Socket;
for my $number (0 .. $ARGV[1] - 1) {
    socket(my $one, PF_UNIX, SOCK_STREAM, 0) or die $!;
    bind($one, sockaddr_un("$ARGV[0]/$number.sock")) or die $!;
    listen($one, 1);
    push @ones, $one;
}
syswrite(STDOUT, "ready\\n");
<STDIN>;
"""
AS_NOBODY = "exec setpriv --reuid=65534 --regid=65534 --clear-groups"


@pytest.fixture
def crowded() -> Iterator[Path]:
    """A folder in which anybody may make sockets."""
    with TemporaryDirectory(dir="/dev/shm") as folder:  # nobody else may reach pytest's folders
        Path(folder).chmod(0o777)
        shutil.copy("/usr/bin/perl", f"{folder}/program")
        yield Path(folder)


def of(folder: Path) -> Catalogue:
    """A catalogue with one daemon, whose program is in a folder."""
    text = f"""
        [[socket]]
        runtime = "docker"
        name = "Docker Engine API"
        path = ["{folder}/none/docker.sock"]
        source = "test"
        [[daemon]]
        executable = ["{folder}/runtimed"]
        runtime = "podman"
        name = "Podman"
        config = ["{folder}/config"]
        source = "test"
    """
    return decode(text.encode())


def test_a_user_s_crowd_of_sockets_does_not_push_out_root_s(
    require: Callable[..., str], crowded: Path, start: Callable[..., int]
) -> None:
    """A user runs a program of his choice under the daemon's name, in a mount namespace of his own."""
    require("setpriv", root=True)
    require("perl")
    (crowded / "z").mkdir()
    (crowded / "runtimed").touch()
    variables = {"folder": crowded, "code": CROWD}
    run = 'mount --bind "$folder/program" "$folder/runtimed"; exec "$folder/runtimed" -e "$code"'
    start("-m", f'{run} "$folder/z" 1', **variables)
    user = start("-m", f"{AS_NOBODY} unshare -Urm /bin/sh -ec '{run} \"$folder\" 900'", **variables)
    discovery = Discovery(of(crowded), unit_folders=[])
    found = discovery.discover()
    assert {live.owner for live in found} == {0, 65534}
    (real,) = (live for live in found if live.owner == 0)
    assert real.socket.address == f"{crowded}/z/0.sock"
    assert len(found) == 1 + MOST_OF_A_USER
    assert discovery.limits == [
        f"the user with uid 65534 has more than {MOST_OF_A_USER} sockets of runtimes: the rest is not watched"
    ]
    assert processes.uid_of(user) == 65534

    inventory = Inventory(of(crowded))
    for number in range(3):
        inventory.refresh(found, number, discovery.limits)
    assert real.path in inventory.paths()
    assert [trouble.detail for trouble in inventory.troubles()] == discovery.limits


def test_a_user_s_crowd_of_daemons(require: Callable[..., str], crowded: Path, start: Callable[..., int]) -> None:
    require("setpriv", root=True)
    require("perl")
    shutil.copy(crowded / "program", crowded / "runtimed")
    code = f'for (1 .. {MOST_OF_A_USER}) {{ unless (fork) {{ <STDIN>; exit }} }} syswrite(STDOUT, "ready\\n"); <STDIN>'
    start("-m", f'{AS_NOBODY} "$folder/runtimed" -e "$code"', folder=crowded, code=code)
    discovery = Discovery(of(crowded), unit_folders=[])
    discovery.discover()
    assert discovery.limits == [
        f"the user with uid 65534 has more than {MOST_OF_A_USER} runtime daemons: the rest is not watched"
    ]


def test_what_is_read_of_another_user_s_daemon(
    require: Callable[..., str], crowded: Path, start: Callable[..., int]
) -> None:
    """Not its configuration, and no more of its mounts than a few hundred."""
    require("setpriv", root=True)
    (crowded / "config").write_text("tcp://127.0.0.1:4711")
    root = start("-m", "echo ready; exec cat")
    doubled = "mount -t tmpfs none /mnt; mkdir /mnt/a; for one in $(seq 12); do mount --rbind /mnt /mnt/a; done"
    user = start("-m", f"{AS_NOBODY} unshare -Urm /bin/sh -ec '{doubled}; echo ready; exec cat'")
    (daemon,) = of(crowded).daemons
    mounts = Mounts()
    assert tcp_ports(daemon, root, mounts) == {4711}
    assert tcp_ports(daemon, user, mounts) == set()
    assert (mounts.slow("/mnt", root), mounts.slow("/mnt", user)) == (False, True)
    assert len(mounts.of(user)) < 4096
    assert processes.argv_of(user, 2) == []
