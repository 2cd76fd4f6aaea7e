"""The ways of evasions.tsv inside the guest, done once while a watch on each rung of the ladder looks: what each said.

    python3 rungs_in_guest.py     one line of JSON a way and rung: what it said, and what was wrong with it

Real are dockerd with its containerd, their containers, and containers that runc and crun made themselves. As all
watches see the same accesses, what they say can be compared one by one.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asking import Asked, Clients, problems, rows, settled, told_of
from evading import (
    OCI,
    OLDER,
    Done,
    Expected,
    Scenario,
    begun,
    belongs,
    describe,
    do,
    expected,
    go_on,
    judge,
    scenarios,
)
from evasion_setting import Setting, bound, files_made, listeners
from request_files import write_requests
from runtimes import IMAGE, WELL_KNOWN, Patience, Runtime, made, run, started_docker
from watching import Watch

from sockwarden.document import Document, get
from sockwarden.sensors.ebpf.ladder import RUNGS

ROOT = Path("/image")
SHIMS = Path("/run/containerd/s")
LEFT_OUT = {
    "activation": "a daemon more",
    "dind": "a daemon more",
    "escape": "of container and host, not of the hook",
    "flood": "in an emulated machine the watches would be busy with it for minutes",
    "older-connection": "the sweep's",
    "other-runtimes": "of names, not of the hook",
    "reused-inode": "of time, not of the hook",
    "silent-request": "where no hook sees it the outcome is not told",
    "tcp": "of the address, not of the hook",
}
"""Techniques that are done beside one rung only, by test_evasions.py."""
HOLDING_SECONDS = 9
"""For longer than receiver.c holds what it came by."""
BY_DOCKER = ("container", "container-gone")
"""Of the ways in a container, those done in one of Docker's: a start takes seconds here. All are done in runc's and
crun's.
"""
NAMESPACES = ("pid", "mount", "ipc", "uts", "network", "cgroup")


def main() -> None:
    Patience.factor = 10
    with ExitStack() as undo:
        setting = undo.enter_context(_setting())
        ways, table = _ways(setting)
        older = undo.enter_context(begun(setting, ways))
        watches = {rung: _watch(rung) for rung in RUNGS}
        for watch in watches.values():
            undo.callback(watch.process.kill)
            watch.until_watching()
        _tell("watching", {rung: watch.messages for rung, watch in watches.items()})
        done = [do(setting, one) for one in ways if one.where not in OLDER]
        go_on(older)
        time.sleep(HOLDING_SECONDS)
        clients = _clients(setting)
        asked = [clients.do(row) for row in rows("requests_in_guest.tsv")]
        last = do(setting, next(one for one in ways if one.scenario == "plain"))
        for rung, watch in watches.items():
            watch.until_stored(last.mark)
            _report(rung, watch.accesses(), [*older, *done], table, setting)
            _report_requests(rung, settled(watch, setting.docker), asked, clients)
            _tell("ended", {"rung": rung, "status": watch.stop(), "messages": watch.messages})


def _tell(word: str, what: object) -> None:
    print(word, json.dumps(what), flush=True)  # noqa: T201 - that is how a guest speaks


def _watch(rung: str) -> Watch:
    folder = Path("/watch", rung)
    folder.mkdir(parents=True)
    config = folder / "config.toml"
    config.touch(mode=0o600)
    # Only what the hooks themselves bring is compared.
    config.write_text(f'[sensors.ebpf]\nrung = "{rung}"\n[sensors.sweep]\nenabled = false\n', encoding="ascii")
    return Watch(folder, "--sensor=ebpf")


def _report(
    rung: str, accesses: list[Document], done: list[Done], table: dict[str, list[Expected]], setting: Setting
) -> None:
    by = "ebpf" if rung == "tracepoint" else "hooked"
    for one in done:
        documents = [document for document in accesses if belongs(document, one, setting)]
        problem = ""
        try:
            judge(one, documents, table.get(one.scenario.scenario, []), by, setting)
        except AssertionError as error:
            problem = str(error)
        said = sorted((_said(document) for document in documents), key=json.dumps)
        _tell("way", {"rung": rung, "way": one.scenario.scenario, "said": said, "problem": problem})


def _clients(setting: Setting) -> Clients:
    folder = setting.folder / "asked"
    folder.mkdir()
    write_requests(folder)
    return Clients(folder, setting.docker, setting.containerd, client=Path(str(setting.names["client"])))


def _report_requests(rung: str, requests: list[Document], done: list[Asked], clients: Clients) -> None:
    for asked in done:
        found = problems(asked, told_of(asked, requests), clients)
        _tell("asked", {"rung": rung, "command": asked.row.name, "problems": found})


def _said(document: Document) -> dict[str, object]:
    return {
        **describe(document),
        "args": get(document, "process.args"),
        "pid": get(document, "process.pid"),
        "ancestors": [one.get("executable") for one in get(document, "sockwarden.process.ancestors") or ()],
    }


def _ways(setting: Setting) -> tuple[list[Scenario], dict[str, list[Expected]]]:
    """The ways that can be done here, and what comes of them; those in a container once for each of its runtimes."""
    ways = []
    table = {way: [one for one in rows if one.action != "held-connection"] for way, rows in expected().items()}
    for one in scenarios():
        if one.technique in LEFT_OUT or "{podman" in one.command:
            continue
        if one.where != "mounted" or one.scenario in BY_DOCKER:
            ways.append(one)
        if one.where == "mounted":
            for runtime in OCI:
                name = f"{one.scenario}-of-{runtime}"
                ways.append(one._replace(scenario=name, where=runtime))
                table[name] = [access._replace(container=runtime) for access in table.get(one.scenario, [])]
    return [one for one in ways if one.where not in ("held", "dind", "escaped")], table


@contextmanager
def _setting() -> Iterator[Setting]:
    folder = Path("/sw")
    folder.mkdir()
    Path("/var/run").symlink_to("/run")
    later = folder / "srv/docker.sock"
    with ExitStack() as undo:
        undo.enter_context(made(later.parent))
        home = folder / "docker"
        home.mkdir()
        docker = undo.enter_context(started_docker("/usr/sbin/dockerd", home, WELL_KNOWN, later))
        containerd = home / "exec/containerd/containerd.sock"
        ctr = Runtime(home, containerd, ["ctr", f"--address={containerd}"], docker.pid)
        setting = Setting(docker, ctr, Path("/bin/client"), Path("/bin/receiver"), folder)
        setting.names |= {"python": sys.executable, "bystander": os.getppid()}
        undo.enter_context(listeners(setting))
        undo.enter_context(bound(f"{later.parent}/other.sock")).listen(128)
        undo.enter_context(files_made(setting))
        _containers(setting)
        yield setting


def _containers(setting: Setting) -> None:
    """One that stays of each runtime. They end with the machine."""
    docker, ctr, names = setting.docker, setting.containerd, setting.names
    docker("import", "/image.tar", IMAGE)
    run("mkdir", ROOT)
    run("tar", "-x", "-f", "/image.tar", "-C", ROOT)
    sources = {"/var/run/docker.sock": names["docker"], "/x.sock": names["private"], "/host/run": "/run"}
    volumes = [f"--volume={source}:{target}" for target, source in sources.items()]
    mounted = docker("run", "--detach", "--network=none", *volumes, IMAGE, "sleep", "9999").strip()
    setting.containers["mounted"] = (docker, mounted)
    names["docker-shim"] = str(next(SHIMS.iterdir()))
    mount = f"type=bind,src={ctr.socket},dst=/x,options=rbind:rw"
    ctr("run", "--detach", "--rootfs", "--mount", mount, ROOT, "ctr", "/bin/sleep", "9999")
    setting.containers["ctr"] = (ctr, "ctr")
    names["shim"] = str(next(path for path in SHIMS.iterdir() if str(path) != names["docker-shim"]))
    for runtime in OCI:
        bundle, identity = Path("/bundles", runtime), secrets.token_hex(32)
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(_bundle(f"/{runtime}/{identity}", sources)), encoding="ascii")
        with (bundle / "log").open("wb") as log:
            # Its streams are the container's from now on.
            command = [runtime, "run", "--detach", f"--bundle={bundle}", identity]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
        setting.containers[runtime] = (Runtime(bundle, bundle, [runtime], 0), identity)


def _bundle(cgroup: str, sources: dict[str, object]) -> dict[str, object]:
    """A container as the OCI's runtime specification has it, with sockets of the host mounted."""
    binds = [
        {"destination": target, "source": str(source), "type": "bind", "options": ["rbind", "rw"]}
        for target, source in sources.items()
    ]
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "9999"], "cwd": "/", "env": ["PATH=/bin"]},
        "root": {"path": str(ROOT)},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            *binds,
        ],
        "linux": {"cgroupsPath": cgroup, "namespaces": [{"type": kind} for kind in NAMESPACES]},
    }


if __name__ == "__main__":
    main()
