"""Runtimes that are asked by other protocols than Docker's: a containerd with its CRI socket, Podman's service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runtimes import IMAGE, Runtime, made, running

PAUSE = "sockwarden-test/pause:1"
"""What a pod's sandbox runs: the image with a command of its own."""
_NETWORK = {"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "pretends"}]}
_PRETENDS = """\
#!/bin/sh
# A network plugin that makes nothing (CNI 0.4.0): pods get an address that nobody uses.
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.4.0"]}'
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}],
  "ips": [{"version": "4", "interface": 0, "address": "192.0.2.2/24"}]}'
exit 0
"""
_CONFIG = """\
version = 2
root = "{0}/root"
state = "{0}/state"
[grpc]
address = "{0}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/{1}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{0}/cni"
conf_dir = "{0}/cni"
"""


@contextmanager
def started_cri(daemon: str, ctr: str, folder: Path) -> Iterator[Runtime]:
    """A containerd that serves CRI as well, with a network for pods that is none. Its images are to be imported."""
    plugins, address = folder / "cni", folder / "containerd.sock"
    plugins.mkdir()
    (plugins / "none.conflist").write_text(json.dumps(_NETWORK), encoding="ascii")
    for name in ("pretends", "loopback"):
        (plugins / name).write_text(_PRETENDS, encoding="ascii")
        (plugins / name).chmod(0o755)
    (folder / "config.toml").write_text(_CONFIG.format(folder, PAUSE), encoding="ascii")
    # Of pods' network namespaces, and of what the plugins keep.
    with ExitStack() as undo:
        for path in ("/run/netns", "/var/lib/cni/results"):
            undo.enter_context(made(Path(path)))
        command = [daemon, f"--config={folder}/config.toml"]
        pid = undo.enter_context(running(command, folder / "log", address.is_socket))
        yield Runtime(folder, address, [ctr, f"--address={address}"], pid)


@contextmanager
def started_podman(program: str, folder: Path, archive: Path) -> Iterator[Runtime]:
    """Podman's service with everything in a folder, and the image of a `docker save` in it; the command is Podman's
    remote client.
    """
    address = folder / "podman.sock"
    with ExitStack() as undo:
        for path in ("/run/crun", "/run/containers/networks", "/run/libpod", "/var/lib/cni", "/etc/cni/net.d"):
            undo.enter_context(made(Path(path)))
        # A virtual machine may not raise its containers' limits; to lower them is allowed everywhere.
        limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        (folder / "containers.conf").write_text(limits, encoding="ascii")
        command = ["env", f"CONTAINERS_CONF={folder}/containers.conf", program]
        command += ["--cgroup-manager=cgroupfs", "--events-backend=file", "--storage-driver=vfs", "--runtime=runc"]
        command += [f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/own"]
        command += ["system", "service", "--time=0", f"unix://{address}"]
        pid = undo.enter_context(running(command, folder / "log", address.is_socket))
        podman = Runtime(folder, address, [program, "--remote", f"--url=unix://{address}"], pid)
        podman("load", f"--input={archive}")
        podman("tag", IMAGE, "localhost/short:1")
        yield podman
