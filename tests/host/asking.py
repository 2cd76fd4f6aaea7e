"""The commands of requests.tsv: real clients that ask real daemons, and what a watch must tell of what they asked.

A row's command has `$names` of the setting; `$other_row` is the id that another row was given. Rows build on each
other, so they are done in order.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from string import Template
from typing import NamedTuple

from runtimes import IMAGE, WELL_KNOWN, Patience, Runtime
from watching import Watch

from sockwarden.document import Document, get
from sockwarden.store import Store

HERE = Path(__file__).parent
SECRET = "hunter2-5f1e0c7d9b"  # noqa: S105 - it is to be found nowhere
IDENTITY = re.compile(r"\b[0-9a-f]{64}\b")
RISKS = ("low", "medium", "high", "critical")
_MOST_NEWEST = 500
LARGE = 200 << 10
"""Bytes of a body that is longer than what is kept of one."""


class Row(NamedTuple):
    """A command.

    status      its exit status; * where the machine decides
    operations  what a watch must tell of it, in this order, beside whatever else the client asks; - for nothing
    returned    the operation for which the daemon gave the id that the command printed last; ONE=OTHER: what ONE gave
                is what OTHER is done to; or -
    object      what the first operation is done to, or -
    risk        the highest of the command's requests, or - where any is right
    reason      a reason that one of them has, or -
    """

    name: str
    client: str
    command: str
    status: str
    operations: str
    returned: str
    object: str
    risk: str
    reason: str


@dataclass
class Asked:
    """A row as it was done: the client's process id, when, what it printed."""

    row: Row
    pid: int
    printed: str
    began: float
    ended: float = field(default_factory=time.time)

    @property
    def identity(self) -> str:
        """The id in what it printed: of a container, an image or a network."""
        found = IDENTITY.findall(self.printed)
        return found[-1] if found else ""


def rows(table: str = "requests.tsv") -> list[Row]:
    with (HERE / table).open(encoding="utf-8", newline="") as lines:
        return [Row(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)]


class Clients:
    """Who asks, and what the commands speak of."""

    def __init__(
        self,
        folder: Path,
        docker: Runtime,
        containerd: Runtime,
        *,
        client: Path,
        podman: Runtime | None = None,
        crictl: str = "",
    ) -> None:
        self.folder = folder
        self.names: dict[str, object] = {
            "image": IMAGE,
            "folder": folder,
            "secret": SECRET,
            "docker": WELL_KNOWN,
        }
        own = [docker.command[0], f"--host=unix://{WELL_KNOWN}"]
        config = {**os.environ, "DOCKER_CONFIG": str(folder / "config")}
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {
            "docker": (own, config),
            "legacy": (own, {**config, "DOCKER_BUILDKIT": "0"}),
            "sdk": ([sys.executable, str(HERE / "by_sdk.py"), str(WELL_KNOWN)], {}),
            "client": ([str(client)], {}),
            "ctr": (containerd.command, {}),
            "crictl": ([crictl, f"--config={folder}/crictl.yaml"], {}),
            "curl": (["curl", "--silent", "--show-error", "--unix-socket", str(WELL_KNOWN)], {}),
        }
        at = f"unix://{containerd.socket}"
        (folder / "crictl.yaml").write_text(f"runtime-endpoint: {at}\nimage-endpoint: {at}\n", encoding="ascii")
        if podman:
            self._commands["podman"] = (podman.command, {})
            self._commands["docker-of-podman"] = ([docker.command[0], f"--host=unix://{podman.socket}"], config)
        write_files(folder)

    def built_by(self, cli: str) -> None:
        """The CLI that speaks BuildKit."""
        _, config = self._commands["docker"]
        self._commands["buildkit"] = ([cli, f"--host=unix://{WELL_KNOWN}"], {**config, "DOCKER_BUILDKIT": "1"})

    def expand(self, text: str) -> str:
        return Template(text).substitute(self.names)

    def do(self, row: Row) -> Asked:
        """Carries a row out; its exit status must be the row's, or nothing was tested."""
        command, environment = self._commands[row.client]
        text = self.expand(row.command)
        words = [text] if row.client == "sdk" else shlex.split(text)
        began = time.time()
        with subprocess.Popen(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            cwd="/",
        ) as process:
            printed, complained = process.communicate(timeout=60 * Patience.factor)
        said = f"{row.name}: {process.returncode} {printed[-2000:]!r} {complained[-2000:]!r}"
        assert row.status in ("*", str(process.returncode)), said
        asked = Asked(row, process.pid, printed.decode("utf-8", "replace"), began)
        assert row.returned == "-" or "=" in row.returned or asked.identity or row.status == "*", said
        self.names[row.name.replace("-", "_")] = asked.identity
        return asked


def write_files(folder: Path) -> None:
    """What commands read: pods, bodies, a build, something secret, and where a registry's password is kept."""
    (folder / "secret").write_text(SECRET, encoding="ascii")
    with tarfile.open(folder / "secret.tar", "w") as archive:
        member = tarfile.TarInfo("put-there")
        member.size = len(SECRET)
        archive.addfile(member, io.BytesIO(SECRET.encode()))
    for name, more in (("build", "RUN --mount=type=secret,id=s /bin/busybox cat /run/secrets/s\n"), ("legacy", "")):
        (folder / name).mkdir()
        dockerfile = f"FROM {IMAGE}\nARG X=1\n{more}RUN /bin/busybox test $X\nCOPY Dockerfile /\n"
        (folder / name / "Dockerfile").write_text(dockerfile, encoding="ascii")
    pod = {"metadata": {"name": "pod", "uid": "1", "namespace": "default"}, "linux": {}, "log_directory": str(folder)}
    everything = {"privileged": True, "namespace_options": {"network": 2, "pid": 2}}
    container = {
        "metadata": {"name": "asked"},
        "image": {"image": f"docker.io/{IMAGE}"},
        "command": ["/bin/sleep", "999"],
        "envs": [{"key": "TOKEN", "value": SECRET}],
        "log_path": "pod.log",
        "mounts": [{"host_path": "/", "container_path": "/host"}],
        "linux": {},
    }
    label = {"why": "x" * LARGE}
    large = {"Image": IMAGE, "Cmd": ["sleep"], "Labels": label}
    dangerous = {"HostConfig": {"Privileged": True}}
    bodies = {
        "pod": pod,
        "pod-host": {
            **pod,
            "metadata": {"name": "host", "uid": "2", "namespace": "default"},
            "linux": {"security_context": everything},
        },
        "container": container,
        "large": {**dangerous, **large},
        "large-late": {**large, **dangerous},
    }
    for name, body in bodies.items():
        (folder / f"{name}.json").write_text(json.dumps(body), encoding="ascii")


def write_config(folder: Path, registry: int) -> None:
    """Docker's configuration with a password for a registry on this machine."""
    (folder / "config").mkdir()
    # base64 of a name and the secret, as `docker login` keeps it (config.json's `auths`)
    keep = {"auths": {f"127.0.0.1:{registry}": {"username": "someone", "password": SECRET}}}
    (folder / "config/config.json").write_text(json.dumps(keep), encoding="ascii")


def containers(docker: Runtime) -> set[str]:
    """The ids of all containers."""
    return set(docker("ps", "--all", "--quiet", "--no-trunc").split())


def told_of(asked: Asked, requests: list[Document]) -> list[Document]:
    """The requests of a command's process, in their order."""
    return [one for one in requests if get(one, "process.pid") == asked.pid and _in_time(one, asked)]


def requests_of(watch: Watch) -> list[Document]:
    """Every request in a watch's store, the oldest first."""
    found = watch.requests()
    # The store gives the newest first; those of one millisecond stay as they were told.
    found.reverse()
    return sorted(found, key=lambda one: str(one["@timestamp"]))


def settled(watch: Watch, docker: Runtime) -> list[Document]:
    """Every request, once those that came before now are stored: one more is asked, and waited for."""
    mark = f"settled-{os.urandom(4).hex()}"
    subprocess.run([*docker.command, "inspect", "--type=container", mark], capture_output=True, check=False)
    watch.until(lambda: any(field_of(one, "object") == mark for one in _newest(watch)), "requests are told", 30)
    return requests_of(watch)


def _newest(watch: Watch) -> list[Document]:
    """The last of what is stored: all of it is slow to read again and again."""
    with Store(watch.state, create=False) as store:
        return list(store.newest_accesses(_MOST_NEWEST))


def until_quiet(watch: Watch) -> None:
    """Waits until nothing more has come into the store for two seconds."""
    counts = [-1, -2]
    while counts[-1] != counts[-2]:
        time.sleep(2)
        with Store(watch.state, create=False) as store:
            counts.append(store.count_accesses())


def seeded() -> list[bytes]:
    """The secret as it may be found: as it is, and within base64, wherever in its groups of three bytes it begins."""
    inside = [base64.b64encode(bytes(shift) + SECRET.encode())[4:-4] for shift in range(3)]
    return [SECRET.encode(), *inside]


def lost_by(watch: Watch) -> int:
    """How many requests an ended watch said were lost."""
    found = re.search(r"([\d,]+) lost", watch.messages[-1])
    return int(found[1].replace(",", "")) if found else 0


def _in_time(document: Document, asked: Asked) -> bool:
    seconds = datetime.fromisoformat(str(document["@timestamp"])).timestamp()
    return asked.began - 1 <= seconds <= asked.ended + 1


def problems(asked: Asked, told: list[Document], clients: Clients) -> list[str]:
    """What is told of a command otherwise than its row says."""
    row, left = asked.row, [field_of(one, "operation") for one in told]
    found = []
    for operation in row.operations.split() if row.operations != "-" else ():
        if operation not in left:
            found.append(f"{operation} is not told, or not in this order")
            continue
        left = left[left.index(operation) + 1 :]
    giving, _, taking = row.returned.partition("=")
    wanted = _of(told, taking, "object")[0] if taking else asked.identity
    if wanted and giving != "-" and wanted not in (ids := _of(told, giving, "returned_id")):
        found.append(f"{giving} gave {wanted}, not {ids}")
    if row.object != "-" and (done_to := clients.expand(row.object)) not in [field_of(one, "object") for one in told]:
        found.append(f"it was done to {done_to}")
    highest = max((RISKS.index(str(field_of(one, "risk"))) for one in told), default=0)
    if row.risk not in ("-", RISKS[highest]):
        found.append(f"its risk is {row.risk}, not {RISKS[highest]}")
    reasons = {reason for one in told for reason in get(one, "sockwarden.request.reasons") or ()}
    if row.reason != "-" and row.reason not in reasons:
        found.append(f"{row.reason} is no reason of {sorted(map(str, reasons))}")
    return found


def _of(told: list[Document], operation: str, name: str) -> list[str]:
    """A field of each request with this operation."""
    values = [str(field_of(one, name)) for one in told if field_of(one, "operation") == operation]
    return [value.removeprefix("sha256:") for value in values] or [f"nothing: {operation} is not told"]


def field_of(document: Document, name: str) -> object:
    return get(document, f"sockwarden.request.{name}")
