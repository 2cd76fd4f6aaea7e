"""Clients and what they ask, as fixtures: a containerd with CRI, Podman, a registry that refuses, crictl."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from asking import Clients, containers, write_config
from cri import PAUSE, started_cri, started_podman
from runtimes import IMAGE, Runtime, builds, kept_clean

ROOT = Path(__file__).parents[2]


class _Refusing(BaseHTTPRequestHandler):
    """A registry that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="asked"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="session")
def registry() -> Iterator[int]:
    """The port of a registry on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def crictl(require: Callable[..., str]) -> str:
    """crictl, built out of its module where that was not done before."""
    require("make")
    done = subprocess.run(["make", "-s", ".crictl/crictl"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        require(f"a crictl that can be built ({done.stderr[-300:]})")
    return str(ROOT / ".crictl/crictl")


@pytest.fixture(scope="session")
def images(docker: Runtime, image: bytes) -> Iterator[Path]:
    """The images of the tests as an archive of `docker save`."""
    command = [*docker.command, "import", "--change", 'CMD ["/bin/sleep", "99999"]', "-", PAUSE]
    subprocess.run(command, input=image, check=True, stdout=-3, timeout=60)
    with TemporaryDirectory(prefix="sw-") as folder:
        docker("save", f"--output={folder}/images.tar", IMAGE, PAUSE)
        yield Path(folder) / "images.tar"


@pytest.fixture(scope="session")
def cri(require: Callable[..., str], images: Path) -> Iterator[Runtime]:
    """A containerd with its CRI socket, and the images for both of its kinds of clients."""
    daemon, ctr = require("containerd", root=True), require("ctr")
    with kept_clean("sockwarden-cri-") as folder, started_cri(daemon, ctr, folder) as cri:
        for namespace in ("default", "k8s.io"):
            cri(f"--namespace={namespace}", "image", "import", images)
        yield cri


@pytest.fixture(scope="session")
def podman(require: Callable[..., str], images: Path) -> Iterator[Runtime]:
    require("runc")
    with (
        kept_clean("sockwarden-podman-") as folder,
        started_podman(require("podman", root=True), folder, images) as podman,
    ):
        yield podman


@pytest.fixture(scope="session")
def building(require: Callable[..., str]) -> str:
    """A Docker CLI that speaks BuildKit without a plugin (before version 23), or has the plugin."""
    return next(one for one in ("docker", require("/usr/bin/docker")) if builds(one))


@pytest.fixture
def clients(
    docker: Runtime,
    cri: Runtime,
    podman: Runtime,
    client: Path,
    crictl: str,
    registry: int,
    building: str,
    require: Callable[..., str],
) -> Iterator[Clients]:
    """Everybody who asks, and a container that is there all the time."""
    require("curl")
    with TemporaryDirectory(prefix="sw-") as name:
        folder = Path(name)
        clients = Clients(folder, docker, cri, client=client, podman=podman, crictl=crictl)
        clients.names["registry"] = registry
        clients.built_by(building)
        write_config(folder, registry)
        before = containers(docker)
        docker("run", "--detach", "--network=none", "--name=idle", "--volume=/data", IMAGE, "sleep", "9999")
        docker("tag", IMAGE, f"127.0.0.1:{registry}/idle:1")
        try:
            yield clients
        finally:
            docker("rm", "--force", "--volumes", *(containers(docker) - before))
            docker("image", "rm", f"127.0.0.1:{registry}/idle:1")
