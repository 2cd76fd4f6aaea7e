"""The runtimes of runtimes.py as fixtures, each started once for all tests that ask for it."""

from __future__ import annotations

import fcntl
import io
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from runtimes import CLIENTS, IMAGE, WELL_KNOWN, Runtime, kept_clean, run, started_containerd, started_docker

LOCK = Path("/tmp/sockwarden-runtimes.lock")  # noqa: S108 - one lock for all runs on this machine
_APPLETS = ("sh", "chroot", "nsenter", "sleep")


@pytest.fixture(scope="session")
def client(require: Callable[..., str]) -> Iterator[Path]:
    """The client, built static, so that it runs on the host, by any user, and in any container."""
    with TemporaryDirectory(prefix="sw-") as folder:
        Path(folder).chmod(0o755)
        sources = [path for path in sorted(CLIENTS.glob("*.c")) if path.name != "receiver.c"]
        yield _built(require("gcc"), Path(folder) / "client", sources)


@pytest.fixture(scope="session")
def receiver(require: Callable[..., str], client: Path) -> Path:
    """The program that comes by the client's descriptors, built likewise, beside it."""
    sources = [CLIENTS / name for name in ("receiver.c", "address.c", "rings.c")]
    return _built(require("gcc"), client.with_name("receiver"), sources)


def _built(compiler: str, program: Path, sources: list[Path]) -> Path:
    options = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-no-pie", "-pthread")
    run(compiler, *options, "-o", program, *sources)
    return program


@pytest.fixture(scope="session")
def image(require: Callable[..., str], client: Path) -> bytes:
    """A root file system as a tar archive: busybox, the client as /bin/client, and again as /usr/bin/kubelet."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(require("busybox"), "bin/busybox")
        for name in ("bin/client", "usr/bin/kubelet"):
            tar.add(client, name)
        for name in _APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()


@pytest.fixture(scope="session")
def docker(require: Callable[..., str], image: bytes) -> Iterator[Runtime]:
    """A dockerd that listens on a path of its own and on /run/docker.sock, with the image in it."""
    daemon = require("dockerd", root=True)
    require("docker")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(WELL_KNOWN)) == 0:
                pytest.skip(f"another daemon has {WELL_KNOWN}")
        with (
            kept_clean("sockwarden-dockerd-") as folder,
            started_docker(daemon, folder, WELL_KNOWN, debug=True) as docker,
        ):
            subprocess.run([*docker.command, "import", "-", IMAGE], input=image, check=True, stdout=-3, timeout=60)
            yield docker


@pytest.fixture(scope="session")
def containerd(require: Callable[..., str], docker: Runtime) -> Iterator[Runtime]:
    """A containerd that listens on a path of its own, with the same image in it."""
    daemon, ctr = require("containerd", root=True), require("ctr")
    with kept_clean("sockwarden-containerd-") as folder, started_containerd(daemon, ctr, folder) as containerd:
        docker("save", f"--output={folder}/image.tar", IMAGE)
        containerd("image", "import", folder / "image.tar")
        yield containerd


@pytest.fixture(scope="session")
def bystander() -> Iterator[int]:
    """The process id of a host process, whose namespaces are the host's."""
    process = subprocess.Popen(["sleep", "infinity"])
    yield process.pid
    process.kill()
    process.wait()
