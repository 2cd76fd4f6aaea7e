"""Every way to a runtime socket that watch_scenarios.tsv lists, done for real while a watch runs.

A row is one access by a client that exits at once: where it is done, by which command, and what the watch must say of
it. Names in braces are `setting`'s; every command gets a mark of its own as its last argument.
"""

from __future__ import annotations

import csv
import errno
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from runtimes import IMAGE, WELL_KNOWN, Runtime, made, run
from watching import SENSORS, Watch, marked, recording, rule_of, watching

from sockwarden.document import Document, get

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

TABLE = Path(__file__).with_name("watch_scenarios.tsv")
ABANDONED = Path("/run/podman/podman.sock")
HARDLINK = Path("/run/sockwarden-test-link.sock")
LOOKALIKE = Path("/var/lib/sockwarden-test/usr/bin/dockerd")
NOBODY = 65534
NETCONN = ("always,exit", "-F", "arch=b64", "-S", "connect", "-k", "netconn")
CONNECT = "import socket,sys;socket.socket(1).connect(sys.argv[1])"
LEAVE_CGROUPS = (
    'for procs in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do [ ! -e "$procs" ] || '
    'echo $$ >"$procs"; done; exec "$0" "$@"'
)
DETECTORS = {
    "370ef41f-cd05-430f-860a-01b91e046c95": "published",
    "919466d8-1e27-49cd-9325-19641e01f7bc": "ours",
}


class Scenario(NamedTuple):
    """A row. `directory` is the working directory; `errno` what the access gives, 0 for success. `executable` and
    `given` stand where they are not the command's first and last word; `canonical` is - for what is no access.
    """

    scenario: str
    where: str
    options: str
    directory: str
    command: str
    errno: str
    executable: str
    given: str
    alias: str
    canonical: str
    origin: str
    detectors: str


class Access(NamedTuple):
    """A scenario as it was done: its words, its mark, and its container's id ("" on the host)."""

    scenario: Scenario
    words: list[str]
    mark: str
    container: str
    name: str


def scenarios() -> list[Scenario]:
    with TABLE.open(encoding="utf-8", newline="") as rows:
        return [Scenario(**row) for row in csv.DictReader(rows, delimiter="\t")]


class Setting:
    """What the commands speak of, and the two containers that stay."""

    def __init__(self, docker: Runtime, containerd: Runtime, client: Path, bystander: int, folder: Path) -> None:
        self.docker, self.containerd, self.folder = docker, containerd, folder
        self.idle = {"docker-exec": "", "ctr-exec": ""}
        self.names = {
            "client": client,
            "bystander": bystander,
            "docker": WELL_KNOWN,
            "private": docker.socket,
            "docker-containerd": docker.folder / "exec/containerd/containerd.sock",
            "containerd": containerd.socket,
            "abandoned": ABANDONED,
            "unrelated": folder / "unrelated.sock",
            "symlink": folder / "link.sock",
            "mounted": folder / "mounted",
            "hardlink": HARDLINK,
            "lookalike": LOOKALIKE,
            "docker-cli": docker.command[0],
            "python": "/usr/bin/python3",
            "curl": "curl",
            "connect-in-python": CONNECT,
            "leave-cgroups": LEAVE_CGROUPS,
        }

    def expand(self, text: str) -> str:
        return text.format_map(self.names)

    def do(self, scenario: Scenario) -> Access:
        """Carries a scenario out; what it gave must be what the row says, or nothing was tested."""
        mark = f"m{secrets.token_hex(6)}"
        words = [self.expand(word) for word in scenario.command.split()]
        options = [self.expand(option) for option in scenario.options.split() if option != "-"]
        user = NOBODY if scenario.where == "nobody" else None
        command, directory, container = [*words, mark], "/", self.idle.get(scenario.where, "")
        cidfile = self.folder / mark
        match scenario.where:
            case "docker":
                command = [*self.docker.command, "run", "--rm", "--network=none", f"--name={mark}", *options]
                command += [f"--cidfile={cidfile}", f"--workdir={scenario.directory}", IMAGE, *words, mark]
            case "docker-exec":
                command = [*self.docker.command, "exec", "--workdir", scenario.directory, container, *words, mark]
            case "ctr":
                container = mark
                command = [*self.containerd.command, "run", "--rm", "--cwd", scenario.directory, *options]
                command += [f"docker.io/{IMAGE}", mark, *words, mark]
            case "ctr-exec":
                command = [*self.containerd.command, "task", "exec", "--exec-id", mark, container, *words, mark]
            case _:
                directory = scenario.directory
        done = subprocess.run(command, cwd=directory, user=user, capture_output=True, timeout=60, check=False)
        expected = 0 if scenario.errno == "0" else getattr(errno, scenario.errno)
        assert done.returncode == expected, f"{scenario.scenario}: {done.returncode} {done.stdout!r} {done.stderr!r}"
        if scenario.where == "docker":
            container = cidfile.read_text(encoding="ascii")
        return Access(scenario, words, mark, container, mark if scenario.where == "docker" else "idle")


@contextmanager
def names_made(folder: Path, client: Path) -> Iterator[None]:
    """The aliases on the host, a socket that nobody listens on any more, and one that is no runtime's."""
    with ExitStack() as undo:
        for path in (folder / "unrelated.sock", ABANDONED):
            undo.enter_context(made(path.parent))
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                undo.callback(path.unlink)
                if path != ABANDONED:
                    listener.listen()
                    undo.callback(listener.dup().close)
        (folder / "link.sock").symlink_to(WELL_KNOWN)
        (folder / "mounted").touch()
        run("busybox", "mount", "--bind", WELL_KNOWN, folder / "mounted")
        undo.callback(run, "busybox", "umount", folder / "mounted")
        HARDLINK.hardlink_to(WELL_KNOWN)
        undo.callback(HARDLINK.unlink)
        undo.enter_context(made(LOOKALIKE.parent))
        shutil.copy(client, LOOKALIKE)
        undo.callback(LOOKALIKE.unlink)
        yield


@pytest.fixture
def setting(
    docker: Runtime, containerd: Runtime, client: Path, bystander: int, require: Callable[..., str]
) -> Iterator[Setting]:
    require("curl")
    require("/usr/bin/python3")
    # A short path: of a client that is gone at once the kernel's record keeps 128 bytes of arguments.
    with TemporaryDirectory(prefix="sw-") as name, names_made(Path(name), client), ExitStack() as undo:
        setting = Setting(docker, containerd, client, bystander, Path(name))
        idle = docker(
            "run", "--detach", "--network=none", "--name=idle", "--volume=/run:/host/run", IMAGE, "sleep", "999"
        )
        undo.callback(docker, "rm", "--force", "idle")
        mount = f"type=bind,src={containerd.socket},dst=/x,options=rbind:rw"
        containerd("run", "--detach", "--mount", mount, f"docker.io/{IMAGE}", "idle", "sleep", "999")
        undo.callback(containerd, "container", "rm", "idle")
        undo.callback(containerd, "task", "rm", "--force", "idle")
        setting.idle = {"docker-exec": idle.strip(), "ctr-exec": "idle"}
        yield setting


@contextmanager
def surroundings(kind: str, folder: Path, require: Callable[..., str]) -> Iterator[Path | None]:
    """What else is on the host: nothing, the published rule loaded before ours, or an auditd, whose log is given."""
    if kind == "auditd":
        with recording(require("auditd"), folder) as log:
            yield log
    elif kind == "netconn-first":
        run("auditctl", "-a", *NETCONN)
        try:
            yield None
        finally:
            run("auditctl", "-d", *NETCONN)
    else:
        yield None


@pytest.mark.parametrize("kind", ["ebpf", "alone", "netconn-first", "auditd"])
def test_every_scenario_is_seen_for_what_it_is(
    kind: str, setting: Setting, audit: None, tmp_path: Path, require: Callable[..., str], subtests: pytest.Subtests
) -> None:
    """A client that is gone before a busy machine could look at it has no argv or no origin, which is said and never
    guessed; such a scenario is done again.
    """
    options = SENSORS["ebpf" if kind == "ebpf" else "audit"]
    with surroundings(kind, tmp_path, require) as log, watching(tmp_path, *options) as watch:
        done = {scenario: setting.do(scenario) for scenario in scenarios()}
        for _ in range(3):
            last = setting.do(next(scenario for scenario in scenarios() if scenario.scenario == "host-client"))
            watch.until_marked(last.mark)
            watch.until_stored(last.mark)
            accesses = watch.accesses()
            done |= {scenario: setting.do(scenario) for scenario, one in done.items() if is_unclear(one, accesses)}
    for access in done.values():
        with subtests.test(access.scenario.scenario):
            found = judge(access, setting, [one for one in accesses if belongs(one, access)], watch)
            missed = [serial for serial in found if log and f":{serial}):" not in log.read_text()]
            assert not missed, f"auditd did not get {missed}"
    with subtests.test("preparing a container is not what is done in it"):
        preparing = [one for one in accesses if get(one, "sockwarden.actor.origin") == "container-init"]
        mounted = {one.container for one in done.values() if "--volume={docker}:" in one.scenario.options}
        assert mounted <= {get(one, "container.id") for one in preparing}
        alerts = [one for one in watch.alerts if get(one, "sockwarden.actor.origin") == "container-init"]
        assert not {rule_of(alert) for alert in alerts} & {"TRC-1019", "SWD-0001"}
    with subtests.test("the CLI that starts a container is the host's"):
        commands = [one for one in accesses if get(one, "process.executable") == real(setting.docker.command[0])]
        assert len(commands) > len(done) / 3
        assert {get(one, "sockwarden.actor.origin") for one in commands} == {"host"}


def is_unclear(access: Access, accesses: list[Document]) -> bool:
    """Whether what was seen of it lacks argv or its origin, or lies in argv alone."""
    if access.scenario.canonical == "-":
        return False
    seen = [one for one in accesses if belongs(one, access)]
    unknown = (get(one, "sockwarden.actor.origin") == "unknown" != access.scenario.origin for one in seen)
    return not seen or any(unknown) or any(get(one, "process.args") is None for one in seen)


def belongs(document: Document, access: Access) -> bool:
    """By the mark, or by the container where that is the access's own: who is taken for whom must not hide a miss."""
    own = access.scenario.where in ("docker", "ctr") and get(document, "container.id") == access.container
    return own or marked(document, access.mark)


def judge(access: Access, setting: Setting, accesses: list[Document], watch: Watch) -> list[int]:
    """What was stored and what alerted, beside the row; the kernel's serials of it."""
    row = access.scenario
    first = setting.expand(row.executable) if row.executable != "-" else access.words[0]
    on_host = row.where in ("host", "nobody")
    executable = real(first) if on_host else first
    # An O_PATH open is an access too; here the row is about the connect that follows it.
    action = "opened-file" if " open " in row.command else "connected-to"
    found = [one for one in accesses if get(one, "event.action") == action and runs(one, executable, row)]
    if row.canonical == "-":
        assert not found
        return []
    assert found, f"not seen; of this mark: {[describe(one) for one in accesses]}"
    expected = {
        "outcome": "success" if row.errno == "0" else "failure",
        "args": [*access.words[access.words.index(first) :], access.mark],
        "given": setting.expand(row.given) if row.given != "-" else access.words[-1],
        "alias": None if row.alias == "-" else row.alias,
        "canonical": setting.expand(row.canonical),
        "origin": row.origin,
        **container(access),
    }
    for one in found:
        said = describe(one)
        wrong = {name: (said[name], "expected", expected[name]) for name in said if said[name] != expected[name]}
        assert not wrong
    uuids = {one["_id"] for one in found}
    alerts = [one for one in watch.alerts if get(one, "kibana.alert.ancestors")[0]["id"] in uuids]
    assert {DETECTORS.get(rule_of(alert), rule_of(alert)) for alert in alerts} == set(row.detectors.split(","))
    return [get(one, "event.sequence") for one in found]


def runs(document: Document, executable: str, row: Scenario) -> bool:
    """Whether this is its program; the eBPF sensor tells also what of the path is outside of a chroot."""
    said = str(get(document, "process.executable"))
    outside = "chroot" in row.command and get(document, "sockwarden.sensor.name") == "ebpf"
    return said.endswith(f"/host{executable}") if outside else said == executable


def real(program: str) -> str:
    """The file behind a command."""
    return os.path.realpath(shutil.which(program) or program)


def describe(access: Document) -> dict[str, object]:
    return {
        "outcome": get(access, "event.outcome"),
        "args": get(access, "process.args"),
        "given": get(access, "sockwarden.socket.address_as_given"),
        "alias": get(access, "sockwarden.socket.alias"),
        "canonical": get(access, "sockwarden.socket.canonical"),
        "origin": get(access, "sockwarden.actor.origin"),
        "container": get(access, "container.id"),
        "runtime": get(access, "container.runtime"),
        "name": get(access, "container.name"),
        "image": get(access, "container.image.name"),
    }


def container(access: Access) -> dict[str, str | None]:
    """What must be said of the container. ctr's containers have no name beside their id."""
    if not access.container:
        return {"container": None, "runtime": None, "name": None, "image": None}
    if access.scenario.where.startswith("ctr"):
        return {
            "container": access.container,
            "runtime": "containerd",
            "name": access.container,
            "image": f"docker.io/{IMAGE}",
        }
    return {"container": access.container, "runtime": "docker", "name": access.name, "image": IMAGE}
