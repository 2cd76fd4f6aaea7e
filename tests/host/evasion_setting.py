"""What the scenarios of evasions.tsv speak of: real daemons in more places than one, containers, and other sockets.

Real are dockerd (one started early, one by socket activation while the watch runs, one in a container), containerd,
their shims, and Podman's service. Of runtimes that this distribution does not have, as CRI-O and BuildKit, there is a
listener at the address that the catalogue has: these are NAME_ONLY.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runtimes import IMAGE, WELL_KNOWN, Runtime, made, run, running, until

NOBODY, ROOTLESS = 65534, 65532
NAME_ONLY = {
    "crio": "/run/crio/crio.sock",
    "buildkit": "/run/buildkit/buildkitd.sock",
    "k3s": "/run/k3s/containerd/containerd.sock",
    "k0s": "/run/k0s/containerd.sock.ttrpc",
    "cri-dockerd": "/run/k3s/cri-dockerd/cri-dockerd.sock",
    "microk8s": "/var/snap/microk8s/common/run/containerd.sock",
    "rootless-docker": "/run/user/65533/docker.sock",
    "desktop": "/root/.docker/run/docker.sock",
    "swarm": "/run/docker/swarm/control.sock",
    "abstract-shim": "@/containerd-shim/moby/0123456789abcdef/shim.sock",
    # No runtime's.
    "decoy": "/run/decoyy.sock",
    "abstract-namesake": "@/run/docker.sock",
    "abstract-basename": "@docker.sock",
}
HARDLINK = Path("/run/sockwarden-test-link.sock")
ABANDONED, FULL, ABSENT = "/run/balena-engine.sock", "/run/balena.sock", "/run/cri-dockerd.sock"
REUSED, REUSING = "/run/dockershim.sock", "/run/host-services/docker.proxy.sock"
TCP = "127.0.0.1:2375"
CONNECT = "import socket,sys;socket.socket(1).connect(sys.argv[1])"
LEAVE_CGROUPS = (
    'for procs in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do [ ! -e "$procs" ] || '
    'echo $$ >"$procs"; done; exec "$0" "$@"'
)
FLOOD = '"$0" flood "$1" flooding & "$0" connect "$1" "$2"; got=$?; wait; exit $got'
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execvp(sys.argv[2], sys.argv[2:])
"""
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc")


class Setting:
    """Names for the commands and the ids of the containers that stay.

    names       what stands for each name in braces
    containers  the container that a row's `where` means, by runtime and id
    """

    def __init__(self, docker: Runtime, containerd: Runtime, client: Path, receiver: Path, folder: Path) -> None:
        self.docker, self.containerd, self.folder = docker, containerd, folder
        self.containers: dict[str, tuple[Runtime, str]] = {}
        self.activated: socket.socket | None = None
        containerd_of_docker = docker.folder / "exec/containerd/containerd.sock"
        self.names: dict[str, object] = {
            **NAME_ONLY,
            "abandoned": ABANDONED,
            "full": FULL,
            "absent": ABSENT,
            "reused": REUSED,
            "reusing": REUSING,
            "tcp": TCP,
            "client": client,
            "receiver": receiver,
            "folder": folder,
            "hardlink": HARDLINK,
            "docker": WELL_KNOWN,
            "private": docker.socket,
            "docker-containerd": containerd_of_docker,
            "docker-ttrpc": f"{containerd_of_docker}.ttrpc",
            "containerd": containerd.socket,
            "ttrpc": f"{containerd.socket}.ttrpc",
            "activated": folder / "activated.sock",
            "renamable": folder / "srv/docker.sock",
            "podman": "/run/podman/podman.sock",
            "podman-rootless": f"/run/user/{ROOTLESS}/podman/podman.sock",
            "podman-as-docker": folder / "podman/docker.sock",
            "docker-cli": docker.command[0],
            "ctr-cli": containerd.command[0],
            "python": "/usr/bin/python3",
            "connect-in-python": CONNECT,
            "leave-cgroups": LEAVE_CGROUPS,
            "flood": FLOOD,
        }

    def expand(self, text: str) -> str:
        return text.format_map(self.names)

    def id_of(self, container: str) -> str | None:
        return self.containers[container][1] if container != "-" else None


@contextmanager
def set_up(setting: Setting, bystander: int) -> Iterator[None]:
    """Everything that is there before a watch begins."""
    setting.names["bystander"] = bystander
    with ExitStack() as undo:
        undo.enter_context(listeners(setting))
        undo.enter_context(files_made(setting))
        undo.enter_context(_podman(setting.folder, "/run/podman/podman.sock"))
        undo.enter_context(_podman(setting.folder, f"{setting.folder}/podman/docker.sock"))
        undo.enter_context(_podman_of_a_user(setting.folder, Path(str(setting.names["podman-rootless"]))))
        undo.enter_context(_containers(setting))
        yield


@contextmanager
def listeners(setting: Setting) -> Iterator[None]:
    """Those that are a name only, each served; one whose queue is full; and one that nobody listens on any more."""
    with ExitStack() as undo:
        served = [undo.enter_context(bound(path)) for path in NAME_ONLY.values()]
        for listener in served:
            listener.listen(4096)
        full, waiting = undo.enter_context(bound(FULL)), undo.enter_context(socket.socket(socket.AF_UNIX))
        full.listen(0)
        waiting.connect(FULL)
        abandoned = undo.enter_context(bound(ABANDONED))
        abandoned.close()
        setting.activated = undo.enter_context(bound(str(setting.names["activated"])))
        setting.activated.listen(128)
        end = os.pipe()
        server = threading.Thread(target=_serve, args=(served, end[0]))
        server.start()
        undo.callback(server.join)
        undo.callback(os.close, end[1])
        yield


@contextmanager
def bound(address: str) -> Iterator[socket.socket]:
    with ExitStack() as undo:
        one = undo.enter_context(socket.socket(socket.AF_UNIX))
        if address.startswith("@"):
            one.bind(b"\0" + address[1:].encode())
        else:
            undo.enter_context(made(Path(address).parent))
            one.bind(address)
            undo.callback(Path(address).unlink, missing_ok=True)
        yield one


def _serve(listeners: list[socket.socket], end: int) -> None:
    """Accepts and closes, until the pipe's other end is closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        for one in listeners:
            selector.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == end:
                    os.close(end)
                    return
                for listener in listeners:
                    if listener is key.fileobj:
                        listener.accept()[0].close()


@contextmanager
def files_made(setting: Setting) -> Iterator[None]:
    """Aliases on the host that are there before the watch, and what the ways need to make others."""
    folder = setting.folder
    (folder / "link.sock").symlink_to(WELL_KNOWN)
    for name in ("mounted", "later"):
        (folder / name).touch()
    for name in ("mounted-folder", "pivot"):
        (folder / name).mkdir()
    with ExitStack() as undo:
        undo.enter_context(made(Path(REUSING).parent))
        for path in (REUSED, REUSING, "/run/host-services/other.sock", "/run/sockwarden-test-other.sock"):
            undo.callback(Path(path).unlink, missing_ok=True)
        undo.callback(HARDLINK.unlink)
        HARDLINK.hardlink_to(WELL_KNOWN)
        undo.callback(run, "busybox", "umount", folder / "mounted")
        run("busybox", "mount", "--bind", WELL_KNOWN, folder / "mounted")
        undo.callback(run, "busybox", "umount", folder / "mounted-folder")
        run("busybox", "mount", "--bind", WELL_KNOWN.parent, folder / "mounted-folder")
        yield


_PODMAN = ["podman", "--cgroup-manager=cgroupfs", "--events-backend=none", "--storage-driver=vfs"]


@contextmanager
def _podman(folder: Path, address: str) -> Iterator[None]:
    """Podman's service, which speaks Docker's API as well."""
    with ExitStack() as undo:
        for path in ("/run/crun", "/run/containers/networks", "/run/libpod", "/var/lib/cni", "/etc/cni/net.d"):
            undo.enter_context(made(Path(path)))
        undo.enter_context(made(Path(address).parent))
        home = folder / f"podman-of-{Path(address).name}"
        home.mkdir()
        command = [*_PODMAN, f"--root={home}/root", f"--runroot={home}/run", f"--tmpdir={home}/own"]
        command += ["system", "service", "--time=0", f"unix://{address}"]
        undo.callback(Path(address).unlink, missing_ok=True)
        undo.enter_context(running(command, home / "log", Path(address).is_socket))
        yield


@contextmanager
def _podman_of_a_user(folder: Path, address: Path) -> Iterator[None]:
    """Rootless, in a user and a mount namespace of its own, which a process of its own keeps."""
    home, run_folder = folder / "rootless", address.parent.parent
    with ExitStack() as undo:
        undo.enter_context(_emptied(run_folder))
        for path in (home, address.parent):
            path.mkdir()
        folder.chmod(0o711)
        for path in (home, address.parent, run_folder):
            os.chown(path, ROOTLESS, ROOTLESS)
        # setpriv keeps the process id, as `running` takes no user.
        command = ["setpriv", f"--reuid={ROOTLESS}", f"--regid={ROOTLESS}", "--clear-groups", "env", f"HOME={home}"]
        command += [f"XDG_RUNTIME_DIR={run_folder}", *_PODMAN, "system", "service", "--time=0", f"unix://{address}"]
        pid = undo.enter_context(running(command, folder / "rootless.log", address.is_socket))
        # Both outlive the command: who serves, and who keeps the namespaces.
        of_threads = Path(f"/proc/{pid}/task").glob("*/children")
        others = [child for thread in of_threads for child in thread.read_text(encoding="ascii").split()]
        others.append((run_folder / "libpod/tmp/pause.pid").read_text(encoding="ascii"))
        for other in others:
            undo.callback(os.kill, int(other), signal.SIGKILL)
        yield


@contextmanager
def _containers(setting: Setting) -> Iterator[None]:
    """`mounted` has sockets mounted, `escaped` may leave its namespaces, `dind` runs a dockerd of its own."""
    docker, containerd, names = setting.docker, setting.containerd, setting.names
    shims = Path("/run/containerd/s")
    with ExitStack() as undo:

        def start(name: str, *options: str) -> None:
            undo.callback(docker, "rm", "--force", name)
            made = docker("run", "--detach", "--network=none", f"--name={name}", *options)
            setting.containers[name] = (docker, made.strip())

        mounts = [f"--volume={names['docker']}:/var/run/docker.sock", f"--volume={names['private']}:/x.sock"]
        known = set(shims.iterdir()) if shims.exists() else set()
        start("mounted", *mounts, "--volume=/run:/host/run", IMAGE, "sleep", "999")
        names["docker-shim"] = next(iter(set(shims.iterdir()) - known))
        rights = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=SYS_CHROOT")
        unconfined = ("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined")
        start("escaped", "--pid=host", *rights, *unconfined, "--volume=/:/host", IMAGE, "sleep", "999")
        known = set(shims.iterdir())
        mount = f"type=bind,src={containerd.socket},dst=/x,options=rbind:rw"
        undo.callback(containerd, "container", "rm", "ctr")
        undo.callback(containerd, "task", "rm", "--force", "ctr")
        containerd("run", "--detach", "--mount", mount, f"docker.io/{IMAGE}", "ctr", "sleep", "999")
        setting.containers["ctr"] = (containerd, "ctr")
        names["shim"] = next(iter(set(shims.iterdir()) - known))
        system = [f"--volume={path}:{path}:ro" for path in _SYSTEM]
        own = [f"--tmpfs={path}" for path in ("/run", "/data", "/var")]
        daemon = ["/usr/sbin/dockerd", "--data-root=/data", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        daemon += ["--storage-driver=vfs", "--host=unix:///run/docker.sock", "--ip-forward=false"]
        more = ("--volume=/sys/fs/cgroup:/sys/fs/cgroup", "--cap-add=NET_ADMIN")
        start("dind", *rights, *unconfined, *more, *system, *own, IMAGE, *daemon)
        until(lambda: "API listen" in run("sh", "-c", '"$@" 2>&1', "", *docker.command, "logs", "dind"), "dind starts")
        names["dind-pid"] = docker("inspect", "--format={{.State.Pid}}", "dind").strip()
        yield


@contextmanager
def activated(setting: Setting, require: Callable[..., str]) -> Iterator[None]:
    """A dockerd to which another process gives its listening socket, as systemd does; it has others beside."""
    folder = setting.folder
    assert setting.activated is not None
    hosts = ("fd://", f"unix://{setting.names['renamable']}", f"tcp://{TCP}")
    with ExitStack() as undo:
        home = Path(undo.enter_context(_emptied(folder / "activated")))
        undo.enter_context(made(Path(str(setting.names["renamable"])).parent))
        other = undo.enter_context(bound(f"{folder}/srv/other.sock"))
        other.listen(128)
        command = [require("dockerd", root=True), *(f"--host={host}" for host in hosts), "--tls=false"]
        command += [f"--config-file={setting.docker.folder}/daemon.json", f"--data-root={home}/data", "--bridge=none"]
        command += [f"--exec-root={home}/exec", f"--pidfile={home}/pid", "--iptables=false", "--ip6tables=false"]
        command += ["--ip-forward=false", f"--containerd={setting.containerd.socket}"]
        undo.callback(Path(str(setting.names["renamable"])).unlink, missing_ok=True)
        log, listener = home / "log", setting.activated.fileno()
        with log.open("w") as output:
            process = subprocess.Popen(
                ["/usr/bin/python3", "-c", ACTIVATE, str(listener), *command],
                stdout=output,
                stderr=output,
                pass_fds=[listener],
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )
        try:
            listens = "API listen on"
            until(lambda: process.poll() is not None or log.read_text().count(listens) == len(hosts), "it listens")
            assert process.poll() is None, log.read_text()[-2000:]
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    try:
        yield folder
    finally:
        run("rm", "-r", "--one-file-system", folder)
