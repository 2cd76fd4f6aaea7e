"""Ways to reach a runtime socket unnoticed, as data: what is done, and what each sensor must say of it.

evasions.tsv           one way a row: where it is done, by which command, and the errno that it gives
evasions_expected.tsv  one access a row that a way makes, with a verdict for each sensor. A way without a row makes no
                       access, and nothing may be said of it.

A verdict is `seen`, and then everything about it is told; or a reason of REASONS why this sensor cannot see it, and
then it must not, so that the table stays right; or `maybe:` and a reason, where it is a race; or `vague:` and a reason,
where it is seen but not all of it is told: of these only the socket, the action and the origin count; or
`maybe-vague:` and a reason. `hooked:` and a reason is seen where the kernel lets the sensor hook its functions, and not
for that reason where there are tracepoints only.
"""

from __future__ import annotations

import csv
import errno
import math
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from evasion_setting import NOBODY, Setting
from watching import marked

from sockwarden.document import Document, get

REASONS = {
    "abstract": "audit's rules are on files, and an abstract socket has none",
    "inet": "audit's rules are on files, and a port has none",
    "told": "a hook told of it already, and the sweep repeats nothing",
    "moved": "no call names the socket when its descriptor moves: it takes a look at who holds what",
    "older-task": "the kernel gives a task no audit context unless audit was enabled at some time before its fork",
    "renamed": "audit's rule goes by the name, and lets go of the file when that is moved away",
    "absent": "there is no file, and so no rule that could be on it",
    "gone": "the record of a process that is gone has no title that goes with its program",
    "worker": "of what a ring's worker does, audit tells neither the address nor the result, and of an open nothing",
    "other": "another socket was reached, by the runtime's name",
    "rooted": "audit tells a program's path from its process's root, eBPF from the root of its mounts",
    "ring-result": "audit has success in the record of every request to a ring, whatever came of it",
    "enter": "only audit tells of the call around a request to a ring",
    "handle": "an opened handle has no path that audit could compare",
    "swapped": "where only the call's exit is seen, another thread may have closed or replaced the descriptor by then",
    "silent": "of a request that leaves no completion it is told that it was made, and not what came of it",
    "replaced": "the process has told the kernel that it ran another program",
    "named-only": "an O_PATH descriptor is no opening, in the view of the kernel's hooks",
}
OCI = ("runc", "crun")
"""Containers made by a runtime itself, with no daemon above it."""
OLDER = ("before", "held")
HERE = Path(__file__).parent


class Scenario(NamedTuple):
    """A way. `where` is host, nobody, a container of the setting, `before` (started before the watch, connects while it
    runs), `held` (connected before the watch, and stays) or `run` (a container of its own).
    """

    scenario: str
    technique: str
    where: str
    directory: str
    command: str
    errno: str


class Expected(NamedTuple):
    """An access. `executable` and `given` may be -: the command's program; whatever was given. `outcome` is an errno or
    0. `container` is the setting's name of it, or -.
    """

    scenario: str
    action: str
    executable: str
    given: str
    canonical: str
    outcome: str
    origin: str
    container: str
    audit: str
    ebpf: str

    def verdict(self, sensor: str) -> str:
        """By a sensor: audit, ebpf (as it is where nothing can be hooked) or hooked (eBPF where that can be)."""
        verdict = str(self._asdict()["audit" if sensor == "audit" else "ebpf"])
        if verdict.startswith("hooked:"):
            return "seen" if sensor == "hooked" else verdict.removeprefix("hooked:")
        return verdict


@dataclass
class Done:
    """A scenario as it was done.

    process  what was started; on the host it is the client itself
    began    when, and when it was over, in seconds since the epoch
    """

    scenario: Scenario
    mark: str = field(default_factory=lambda: f"m{secrets.token_hex(4)}")
    container: str | None = None
    process: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.time)
    ended: float = math.inf


def scenarios() -> list[Scenario]:
    with (HERE / "evasions.tsv").open(encoding="utf-8", newline="") as rows:
        return [Scenario(**row) for row in csv.DictReader(rows, delimiter="\t")]


def expected() -> dict[str, list[Expected]]:
    """The accesses of each scenario that makes any."""
    found: dict[str, list[Expected]] = {}
    with (HERE / "evasions_expected.tsv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            found.setdefault(row["scenario"], []).append(Expected(**row))
    return found


@contextmanager
def begun(setting: Setting, ways: list[Scenario]) -> Iterator[list[Done]]:
    """Those that are older than the watch. They are ended by their own ids."""
    done = [Done(one) for one in ways if one.where in OLDER]
    with ExitStack() as undo:
        for one in done:
            command = [*_words(setting, one.scenario), one.mark]
            one.process = undo.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/"))
            undo.callback(one.process.kill)
            assert one.process.stdout
            assert one.process.stdout.readline() == b"ready\n", one.scenario.scenario
        yield done


def go_on(done: list[Done]) -> None:
    """Lets those that wait connect, in turn: two that want a certain inode would take it from each other."""
    for one in done:
        if one.scenario.where == "before" and one.process:
            one.process.send_signal(signal.SIGUSR1)
            _check(one.scenario, one.process.wait(timeout=30), b"")


def do(setting: Setting, scenario: Scenario) -> Done:
    """Carries a scenario out; what it gave must be what the row says, or nothing was tested."""
    done = Done(scenario)
    words, directory = [*_words(setting, scenario), done.mark], scenario.directory
    command, user = words, NOBODY if scenario.where == "nobody" else None
    if scenario.where == "run":
        cidfile = setting.folder / done.mark
        command = [*setting.docker.command, "run", "--rm", "--network=none", f"--cidfile={cidfile}"]
        command += [f"--volume={setting.names['docker']}:/var/run/docker.sock", f"--workdir={directory}"]
        command += ["sockwarden-test/client:1", *words]
    elif scenario.where in setting.containers:
        runtime, done.container = setting.containers[scenario.where]
        option = "--cwd" if scenario.where in OCI else "--workdir"
        command = [*runtime.command, "exec", option, directory, done.container, *words]
        if scenario.where == "ctr":
            command = [*runtime.command, "task", "exec", "--exec-id", done.mark, done.container, *words]
    cwd = directory if scenario.where in ("host", "nobody") else "/"
    done.process = subprocess.Popen(command, cwd=cwd, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = done.process.communicate(timeout=60)
    done.ended = time.time()
    _check(scenario, done.process.returncode, said)
    if scenario.where == "run":
        done.container = cidfile.read_text(encoding="ascii")
    return done


def _words(setting: Setting, scenario: Scenario) -> list[str]:
    return [setting.expand(word) for word in scenario.command.split()]


def _check(scenario: Scenario, status: int, said: bytes) -> None:
    wanted = 0 if scenario.errno == "0" else getattr(errno, scenario.errno)
    assert status == wanted, f"{scenario.scenario}: {os.strerror(status)} ({status}) {said!r}"


def belongs(document: Document, done: Done, setting: Setting) -> bool:
    """Whether the scenario's own program did it, and not the tool that starts something elsewhere: by its mark, or
    where that is not told by its process id.
    """
    on_host = done.scenario.where not in ("run", *setting.containers)
    if not marked(document, done.mark):
        seconds = datetime.fromisoformat(str(document["@timestamp"])).timestamp()
        in_time = done.began - 0.1 <= seconds <= done.ended + 0.1
        unnamed = get(document, "process.args") is None and done.process is not None
        return on_host and unnamed and in_time and get(document, "process.pid") == done.process.pid  # type: ignore[union-attr]
    tools = [_real(str(setting.names[name])) for name in ("docker-cli", "ctr-cli")]
    is_tool = get(document, "sockwarden.actor.origin") == "host" and get(document, "process.executable") in tools
    return on_host or not is_tool


def lacks(documents: list[Document], wanted: list[Expected], sensor: str) -> bool:
    """Whether an access is missing that this sensor sees, or was seen without its argv or its origin."""
    seen = [one for one in wanted if one.verdict(sensor) == "seen"]
    named = [one for one in documents if get(one, "process.args") and get(one, "sockwarden.actor.origin") != "unknown"]
    return len(named) < len(seen)


def judge(done: Done, documents: list[Document], wanted: list[Expected], sensor: str, setting: Setting) -> None:
    """Every access of the table is found once or not at all, as it says, and nothing else is."""
    left = list(documents)
    problems = []
    for one in wanted:
        verdict, _, reason = one.verdict(sensor).rpartition(":")
        fields = _expect(one, done, setting)
        if verdict.endswith("vague"):
            fields = {name: fields[name] for name in ("action", "canonical", "origin")}
        found = next((document for document in left if not differences(document, fields)), None)
        if found is None:
            problems += [f"not seen: {fields}"] if reason == "seen" or verdict == "vague" else []
            continue
        left.remove(found)
        if not verdict and reason != "seen":
            problems.append(f"seen, though {REASONS[reason]}: {fields}")
        if not verdict.endswith("vague"):
            problems += [f"{name} is empty: {fields}" for name in _untold(found)]
    if done.scenario.scenario == "family-race" and sensor == "ebpf":
        # Attempts that it loses fail, and what the sensor reads at their address may be the name all the same; audit
        # records what the kernel read.
        left = [document for document in left if get(document, "event.outcome") != "failure"]
    problems += [f"not to be seen: {describe(document)}" for document in left]
    assert not problems, "\n".join(problems)


def _untold(document: Document) -> list[str]:
    """What must be told of whoever did it, and is not."""
    return [name for name in ("process.args", "sockwarden.process.ancestors") if not get(document, name)]


def _expect(one: Expected, done: Done, setting: Setting) -> dict[str, object]:
    words = _words(setting, done.scenario)
    program = setting.expand(one.executable) if one.executable != "-" else words[0]
    inside = one.origin == "container" and one.container != "-"
    container = done.container if one.container == "run" else setting.id_of(one.container)
    fields: dict[str, object] = {
        "action": one.action,
        "executable": program if inside else _real(program),
        "canonical": setting.expand(one.canonical),
        "outcome": "success" if one.outcome == "0" else "failure" if one.outcome.isupper() else one.outcome,
        "origin": one.origin,
        "container": container,
    }
    if one.given != "-":
        fields["given"] = setting.expand(one.given)
    return fields


def differences(document: Document, fields: dict[str, object]) -> dict[str, object]:
    said = describe(document)
    return {name: said[name] for name in fields if said[name] != fields[name]}


def describe(document: Document) -> dict[str, object]:
    return {
        "action": get(document, "event.action"),
        "executable": get(document, "process.executable"),
        "canonical": get(document, "sockwarden.socket.canonical"),
        "outcome": get(document, "event.outcome"),
        "origin": get(document, "sockwarden.actor.origin"),
        "container": get(document, "container.id"),
        "given": get(document, "sockwarden.socket.address_as_given"),
    }


def _real(program: str) -> str:
    """The file behind a command."""
    return os.path.realpath(shutil.which(program) or program)
