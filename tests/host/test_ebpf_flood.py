"""Floods, by eBPF: nobody hides behind one, and every access of it is told, counted, or said to be lost.

SOCKWARDEN_FLOOD_SECONDS makes them longer: 30 is what was promised.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runtimes import made, run
from watching import SENSORS, Watch, marked, stored, watching

from sockwarden.document import Document, get
from sockwarden.store import Store

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

FOLDER = Path("/run/user/sockwarden-flood")
"""A folder whose docker.sock the catalogue knows, as a rootless daemon's."""
SECONDS = int(os.environ.get("SOCKWARDEN_FLOOD_SECONDS", "6"))
FAST, BEARABLE = 20_000, 2_000
"""Connects a second: what is counted for the most part, and what is told whole."""
FLOODER, OTHER = "flooder", "other"
PATIENCE = 60 + 3 * SECONDS


class Door:
    """A runtime's socket that accepts whoever comes, and lets go of them at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(4096)
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.path.unlink()


@pytest.fixture
def doors() -> Iterator[list[Door]]:
    """Two of them."""
    with made(FOLDER):
        doors = []
        try:
            for name in ("docker.sock", "podman/podman.sock"):
                (FOLDER / name).parent.mkdir(exist_ok=True)
                doors.append(Door(FOLDER / name))
            yield doors
        finally:
            for door in doors:
                door.close()
            (FOLDER / "podman").rmdir()


class Flooded:
    """A watch by eBPF whose alerts go to a file, which takes them as fast as they come."""

    def __init__(self, watch: Watch, output: Path) -> None:
        self.watch, self._output = watch, output
        self._read = 0
        self._kept: list[str] = []

    def alerts(self, text: str) -> list[Document]:
        """Those whose line has a text in it, but for the many that tell of one access of a flooder's."""
        with self._output.open("rb") as output:
            output.seek(self._read)
            new = output.read().rpartition(b"\n")[0]
        self._read += len(new) + 1 if new else 0
        lines = new.decode().split("\n")
        self._kept += [line for line in lines if '"folded"' in line or f'"{FLOODER}"' not in line]
        return [json.loads(line) for line in self._kept if text in line]

    def until_alert(self, text: str, condition: Callable[[Document], object] = bool) -> Document:
        """The first with a text in its line that meets a condition, waited for."""

        def found() -> Document | None:
            return next(filter(condition, self.alerts(text)), None)

        self.watch.until(found, f"an alert with {text}", PATIENCE)
        return found() or {}

    def end(self) -> list[Document]:
        """Ends the watch; the flooders' accesses that it stored."""
        assert self.watch.stop() == 0
        return [access for access in stored(self.watch.state) if marked(access, FLOODER)]

    def told(self) -> Counter[str]:
        """How many accesses were counted only, and lost, by alerts on the watch's health."""
        numbers: Counter[str] = Counter()
        for alert in self.alerts("events-lost"):
            found = re.match(r"([\d,]+) accesses were (counted only|lost)", str(get(alert, "message")))
            assert found, alert
            numbers[found[2]] += int(found[1].replace(",", ""))
        return numbers

    def said(self) -> Counter[str]:
        """The same by the last word of the watch."""
        found = re.findall(r"([\d,]+) (counted only|lost)", self.watch.messages[-1])
        return Counter({kind: int(number.replace(",", "")) for number, kind in found})


@pytest.fixture
def flooded(doors: list[Door], tmp_path: Path) -> Iterator[Flooded]:
    output = tmp_path / "alerts"
    with output.open("wb") as file, watching(tmp_path, *SENSORS["ebpf"], stdout=file) as watch:
        yield Flooded(watch, output)


def flooding(client: Path, door: Door, rate: int) -> subprocess.Popen[bytes]:
    """A process that connects so often a second, and says at its end how often it was."""
    command = [str(client), "rate", str(door.path), str(rate), str(SECONDS), FLOODER]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def connects_of(flooder: subprocess.Popen[bytes]) -> int:
    said = flooder.communicate()[0]
    assert flooder.returncode == 0
    return int(said)


def folded(access: Document) -> int:
    return int(get(access, "sockwarden.loss.folded") or 0)


def is_whole(alert: Document, canonical: str, *arguments: str) -> bool:
    """Whether it tells of one access to a socket, by a program with these arguments."""
    reached, args = get(alert, "sockwarden.socket.canonical"), get(alert, "process.args")
    return (reached, args, folded(alert)) == (canonical, list(arguments), 0)


def test_a_flood_hides_nobody_and_every_access_is_accounted_for(
    client: Path, doors: list[Door], flooded: Flooded
) -> None:
    """Given a process that connects 20,000 times a second, when another connects once, then that is an alert that says
    who it was; what was told of the flood, what was counted, and what was lost are what the flooder counted.
    """
    address = str(doors[0].path)
    flooder = flooding(client, doors[0], FAST)
    flooded.until_alert("folded", folded)
    run(client, "connect", address, OTHER)
    alert = flooded.until_alert(f'"{OTHER}"')
    assert get(alert, "process.executable") == str(client)
    assert is_whole(alert, address, str(client), "connect", address, OTHER)
    connects = connects_of(flooder)
    flood = flooded.end()
    whole, counted = sum(not folded(access) for access in flood), sum(map(folded, flood))
    lost = flooded.told()["lost"]
    assert whole + counted + lost == connects, flooded.watch.messages
    assert flooded.told() == flooded.said() == Counter({"counted only": counted, "lost": lost})
    assert all(get(access, "process.executable") == str(client) for access in flood)


def test_who_floods_one_socket_does_not_reach_another_unseen(client: Path, doors: list[Door], flooded: Flooded) -> None:
    """Given a process that floods a socket, when the same process connects to another, or runs another program that
    connects to the same, then both are told whole, as what they are.
    """
    first, second = (str(door.path) for door in doors)
    run(client, "flood-and-go", first, second, OTHER)
    flooded.until_alert(
        "flood-and-go", lambda alert: is_whole(alert, second, str(client), "flood-and-go", first, second, OTHER)
    )
    flooded.until_alert(OTHER, lambda alert: is_whole(alert, first, str(client), "connect", first, OTHER))


@pytest.mark.parametrize("processes", [1, 10])
def test_what_can_be_borne_is_told_one_by_one(
    processes: int, client: Path, doors: list[Door], flooded: Flooded
) -> None:
    """Given 2,000 connects a second, of one process or of several, when the watch has gone through them, then each is
    stored, and nothing was lost or only counted.
    """
    flooders = [flooding(client, doors[0], BEARABLE // processes) for _ in range(processes)]
    connects = sum(map(connects_of, flooders))

    def are_stored() -> bool:
        time.sleep(0.5)  # to count them takes from what the watch may have
        with Store(flooded.watch.state, create=False) as store:
            return store.count_accesses() >= connects

    flooded.watch.until(are_stored, "every access is stored", PATIENCE)
    flood = flooded.end()
    assert len(flood) == connects
    assert not any(map(folded, flood))
    assert not flooded.told()
    assert not flooded.said()
