"""Container runtimes of the tests' own, dockerd and containerd, and the client that reaches their sockets.

A test module takes them by `pytest_plugins = ["runtime_fixtures"]`. What they need on a machine:

- dockerd with `--bridge none --iptables=false`: its containers need no network, and the host's stays as it is;
- an image made by `docker import` of busybox-static and the client, so that nothing is fetched;
- capabilities one by one instead of `--privileged`, which fails in a virtual machine that itself lacks one of them;
- a process of ours as the target of nsenter, since process 1 may be closed even to root.

Both daemons are ended by their own process id. What they leave behind (empty folders under /run, /opt and the cgroup
hierarchies) goes with them where it was not there before; mounts must be as they were.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IMAGE = "sockwarden-test/client:1"
CLIENTS = Path(__file__).parent / "clients"
WELL_KNOWN = Path("/run/docker.sock")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CGROUPS = Path("/sys/fs/cgroup")


class Patience:
    """How much longer everything may take: an emulated machine is slow."""

    factor = 1


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Waits for a condition, by its deadline."""
    end = time.monotonic() + seconds * Patience.factor
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def run(*command: str | Path) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * Patience.factor, check=False)
    assert done.returncode == 0, f"{command} gave {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def builds(cli: str) -> bool:
    """Whether it speaks BuildKit by itself (before version 23) or has the plugin."""
    version = subprocess.run([cli, "--version"], capture_output=True, text=True, check=True).stdout
    plugin = subprocess.run([cli, "buildx", "version"], capture_output=True, check=False)
    return plugin.returncode == 0 or int(version.split()[2].partition(".")[0]) < 23


class Runtime:
    """A running dockerd or containerd: `command` and the arguments after it speak to it."""

    def __init__(self, folder: Path, socket: Path, command: list[str], pid: int) -> None:
        self.folder, self.socket, self.command, self.pid = folder, socket, command, pid

    def __call__(self, *arguments: str | Path) -> str:
        return run(*self.command, *arguments)


@contextmanager
def started_docker(daemon: str, folder: Path, *more: Path, debug: bool = False) -> Iterator[Runtime]:
    """A dockerd that keeps everything in a folder, its socket too; it listens on `more` as well. debug: its log has a
    line for each request.
    """
    sockets = [folder / "docker.sock", *more]
    settings = {"deprecated-key-path": f"{folder}/key.json", "debug": debug}
    (folder / "daemon.json").write_text(json.dumps(settings), encoding="ascii")
    command = [daemon, f"--config-file={folder}/daemon.json", f"--data-root={folder}/data", "--bridge=none"]
    command += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", "--iptables=false", "--ip6tables=false"]
    command += ["--ip-forward=false", *(f"--host=unix://{socket}" for socket in sockets)]
    try:
        with running(command, folder / "log", lambda: "API listen on" in (folder / "log").read_text()) as pid:
            yield Runtime(folder, sockets[0], ["docker", f"--host=unix://{sockets[0]}"], pid)
    finally:
        for socket in sockets:
            socket.unlink(missing_ok=True)
        # Of containers in the host's network it keeps the namespace.
        if os.path.ismount(kept := folder / "exec/netns/default"):
            run("umount", kept)


@contextmanager
def started_containerd(daemon: str, ctr: str, folder: Path) -> Iterator[Runtime]:
    """A containerd that keeps everything in a folder, its socket too."""
    address, config = folder / "containerd.sock", folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n',
        encoding="ascii",
    )
    # The ended one leaves its socket, on which a client gets no answer.
    address.unlink(missing_ok=True)
    with running([daemon, f"--config={config}"], folder / "log", address.is_socket) as pid:
        yield Runtime(folder, address, [ctr, f"--address={address}"], pid)


@contextmanager
def running(command: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "PATH": _PATH})
        try:
            until(lambda: process.poll() is not None or ready(), f"{command[0]} starts; see {log}")
            assert process.poll() is None, f"{command[0]} ended at once: {log.read_text()[-2000:]}"
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            finally:
                process.kill()


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """A folder and those above it; afterwards the ones that were not there before are gone."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in new:
            path.rmdir()


@contextmanager
def kept_clean(prefix: str) -> Iterator[Path]:
    """A folder for a runtime. Afterwards it is gone, with the empty folders that the runtime made elsewhere, and no
    mount of it may be left.
    """
    before = set(_left_behind())
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)
        assert folder not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    for left in _left_behind():
        if left not in before:
            with suppress(OSError):  # another runtime lives in it
                left.rmdir()


def _left_behind() -> list[Path]:
    """Folders that runtimes make for themselves and keep, inner ones first."""
    cgroups = [path for name in ("docker", "default") for path in (*_CGROUPS.glob(f"*/{name}"), _CGROUPS / name)]
    tops = [Path("/run/docker"), Path("/run/containerd"), Path("/run/runc"), Path("/opt/containerd")]
    folders = [Path(folder) for top in tops for folder, _, _ in os.walk(top, topdown=False)]
    return folders + [folder for folder in cgroups if folder.is_dir()]
