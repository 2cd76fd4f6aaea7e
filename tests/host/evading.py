"""Ways to reach a runtime socket unnoticed, as data: what is done, and what each sensor must say of it.

evasions.tsv           one way a row: where it is done, by which command, and the errno that it gives
evasions_expected.tsv  one access a row that a way makes, with a verdict for each sensor. A way without a row makes no
                       access, and nothing may be said of it.

A verdict is `seen`; or a reason of REASONS why this sensor cannot see it, and then it must not, so that the table is
right; or `maybe:` and a reason, where it is a race.
"""

from __future__ import annotations

import csv
import errno
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from evasion_setting import NOBODY, Setting
from watching import marked

from sockwarden.document import Document, get

SENSORS: dict[str, tuple[str, ...]] = {"audit": ()}
"""Options of `sockwarden watch`, by sensor: a column of evasions_expected.tsv each."""
REASONS = {
    "abstract": "audit's rules are on files, and an abstract socket has none",
    "inet": "audit's rules are on files, and a port has none",
    "moved": "no call names the socket when its descriptor moves: it takes a look at who holds what",
    "earlier": "the connection was there before the sensor",
    "older-task": "the kernel gives a task no audit context unless audit was enabled at some time before its fork",
    "renamed": "audit's rule goes by the name, and lets go of the file when that is moved away",
    "absent": "there is no file, and so no rule that could be on it",
    "unfound": "by name it is no runtime's, and its daemon came to listen only after the access",
    "handle": "an opened handle has no path that audit could compare",
    "kernel-thread": "what the ring's own thread does, audit does not see as this process's",
    "named-only": "an O_PATH descriptor is no opening, in the view of the kernel's hooks",
}
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
        return str(self._asdict()[sensor])


@dataclass
class Done:
    """A scenario as it was done. started: what runs on since before the watch."""

    scenario: Scenario
    mark: str = field(default_factory=lambda: f"m{secrets.token_hex(6)}")
    container: str | None = None
    started: subprocess.Popen[bytes] | None = None


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
def begun(setting: Setting) -> Iterator[list[Done]]:
    """Those that are older than the watch. They are ended by their own ids."""
    done = [Done(one) for one in scenarios() if one.where in ("before", "held")]
    with ExitStack() as undo:
        for one in done:
            command = [*_words(setting, one.scenario), one.mark]
            one.started = undo.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/"))
            undo.callback(one.started.kill)
            assert one.started.stdout
            assert one.started.stdout.readline() == b"ready\n", one.scenario.scenario
        yield done


def go_on(done: list[Done]) -> None:
    """Lets those that wait connect."""
    for one in done:
        if one.scenario.where == "before" and one.started:
            one.started.send_signal(signal.SIGUSR1)
    for one in done:
        if one.scenario.where == "before" and one.started:
            _check(one.scenario, one.started.wait(timeout=30), b"")


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
        command = [*runtime.command, "exec", "--workdir", directory, done.container, *words]
        if scenario.where == "ctr":
            command = [*runtime.command, "task", "exec", "--exec-id", done.mark, done.container, *words]
    cwd = directory if scenario.where in ("host", "nobody") else "/"
    result = subprocess.run(command, cwd=cwd, user=user, capture_output=True, timeout=60, check=False)
    _check(scenario, result.returncode, result.stdout + result.stderr)
    if scenario.where == "run":
        done.container = cidfile.read_text(encoding="ascii")
    return done


def _words(setting: Setting, scenario: Scenario) -> list[str]:
    return [setting.expand(word) for word in scenario.command.split()]


def _check(scenario: Scenario, status: int, said: bytes) -> None:
    wanted = 0 if scenario.errno == "0" else getattr(errno, scenario.errno)
    assert status == wanted, f"{scenario.scenario}: {os.strerror(status)} ({status}) {said!r}"


def belongs(document: Document, done: Done, setting: Setting) -> bool:
    """Whether the scenario's own program did it: by its mark, and not as the tool that starts something elsewhere."""
    return marked(document, done.mark) and not (
        done.scenario.where in ("run", *setting.containers)
        and get(document, "sockwarden.actor.origin") != "container"
        and get(document, "process.executable")
        in [_real(str(setting.names[name])) for name in ("docker-cli", "ctr-cli")]
    )


def lacks(done: Done, documents: list[Document], wanted: list[Expected], sensor: str) -> bool:
    """Whether an access is missing that this sensor sees, or was seen without its argv."""
    if any(get(one, "process.args") is None for one in documents):
        return True
    return len(documents) < sum(one.verdict(sensor) == "seen" for one in wanted)


def judge(done: Done, documents: list[Document], wanted: list[Expected], sensor: str, setting: Setting) -> None:
    """Every access of the table is found once or not at all, as it says, and nothing else is."""
    left = list(documents)
    problems = []
    for one in wanted:
        verdict = one.verdict(sensor)
        fields = _expect(one, done, setting)
        found = [document for document in left if not differences(document, fields)]
        if found:
            left.remove(found[0])
        if verdict == "seen" and not found:
            problems.append(f"not seen: {fields}")
        if found and verdict != "seen" and not verdict.startswith("maybe:"):
            problems.append(f"seen, though {REASONS[verdict]}: {fields}")
        problems += [f"{name} is empty: {fields}" for document in found[:1] for name in _named(document)]
    problems += [f"not to be seen: {describe(document)}" for document in left]
    assert not problems, "\n".join(problems)


def _named(document: Document) -> list[str]:
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
        "outcome": "success" if one.outcome == "0" else "failure",
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
