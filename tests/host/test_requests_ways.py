"""Ways to ask unnoticed, each done for real while a watch looks: nothing is taken for cleaner than it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import RISKS, containers, field_of, requests_of, settled
from request_ways import Asking, Done, asking, begin_older, do_all, told_of
from runtimes import IMAGE, Runtime
from watching import watching

from sockwarden.document import Document, get

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "asking_fixtures"]


@pytest.fixture
def setting(docker: Runtime, cri: Runtime, client: Path, tmp_path: Path) -> Iterator[Asking]:
    folder = tmp_path / "requests"
    folder.mkdir()
    before = containers(docker)
    docker("run", "--detach", "--interactive", "--network=none", "--name=idle", IMAGE, "sleep", "9999")
    try:
        with asking(folder, client, cri) as setting:
            yield setting
    finally:
        docker("rm", "--force", *(containers(docker) - before))


def test_ways_to_ask(setting: Asking, docker: Runtime, tmp_path: Path, subtests: pytest.Subtests) -> None:
    older = begin_older(setting)
    try:
        with watching(tmp_path, "--sensor=ebpf") as watch:
            done = do_all(setting, older)
            settled(watch, docker)
            truth = privileged(docker)
        requests = requests_of(watch)
    finally:
        for one in older:
            one.process.kill()
    for one in done:
        with subtests.test(one.way.way):
            told = told_of(one, requests)
            assert not problems(one, told, setting), json.dumps([one["sockwarden"]["request"] for one in told])
    with subtests.test("as the daemon says"):
        made = {str(field_of(one, "returned_id")): reasons(one) for one in requests if field_of(one, "returned_id")}
        found = {container: said for container, said in made.items() if container in truth}
        assert len(found) > len(done) / 2
        for container, said in found.items():
            assert "content-unknown" in said or ("privileged" in said) == truth[container], container


def reasons(request: Document) -> set[str]:
    return set(get(request, "sockwarden.request.reasons") or ())


def privileged(docker: Runtime) -> dict[str, bool]:
    """Of each container whether the daemon takes it for privileged."""
    lines = docker("inspect", "--format={{.Id}} {{.HostConfig.Privileged}}", *containers(docker)).splitlines()
    return {container: said == "true" for container, said in map(str.split, lines)}


def problems(done: Done, told: list[Document], setting: Asking) -> list[str]:
    """What is told of a way otherwise than its row says. Nothing more may be told than was asked."""
    way, found = done.way, []
    operations = [str(field_of(one, "operation")) for one in told]
    if operations != way.operations.split():
        found.append(f"it asked {way.operations}, not {operations}")
    risks = [str(field_of(one, "risk")) for one in told]
    if way.risk not in ("-", max(risks, key=RISKS.index, default="-")):
        found.append(f"its risk is {way.risk}: {risks}")
    if way.reason != "-" and not any(way.reason in reasons(one) for one in told):
        found.append(f"{way.reason} is no reason")
    who = {get(one, "process.executable") for one in told}
    if who - {setting.executable(way)}:
        found.append(f"{setting.executable(way)} asked, not {who}")
    return found
