"""What lasts: within the time that is given for an access, a log tells the same of its inodes."""

from __future__ import annotations

import random

import pytest

from sockwarden.document import Document
from sockwarden.sockets import Lessons, lesson_in, packaged

NAMES = ["/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/other.sock"]


def document(serial: int, name: str, nametype: str = "NORMAL", action: str = "connected-to") -> Document:
    """A call at a moment, on the one inode that there is."""
    path = {"name": name, "inode": "7", "dev": "00:18", "mode": "0140660", "nametype": nametype}
    return {
        "@timestamp": f"2026-11-21T10:{serial // 60:02d}:{serial % 60:02d}.000Z",
        "event": {"action": action, "outcome": "success", "sequence": serial},
        "auditd": {"paths": [path]} if action != "booted-system" else {},
    }


def taught(documents: list[Document]) -> Lessons:
    lessons = Lessons()
    for each in documents:
        lessons.learn(lesson_in(each, packaged()))
    return lessons


@pytest.mark.parametrize("seed", range(40))
def test_within_what_lasts_the_same_sockets_are_told(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    documents = []
    for serial in range(10, 900, 10):
        name, kind = chance.choice(NAMES[: 2 + seed % 3]), chance.random()
        if kind < 0.5:
            documents.append(document(serial, name, "CREATE", "bound-socket"))
        elif kind < 0.6:
            documents.append(document(serial, name, "DELETE", "deleted"))
        elif kind < 0.65 and seed % 2:
            documents.append(document(serial, name, action="booted-system"))
        else:
            documents.append(document(serial, name))
    lessons = taught(documents)
    answers = {serial: lessons.sockets_of(document(serial, "alias")) for serial in range(5, 905)}
    known = 0
    for serial in range(5, 905, 7):
        lasting = lessons.lasting(document(serial, "alias"))
        if lasting is None:
            continue
        moments = {at: (document(at, "")["@timestamp"], at) for at in answers}
        within = [answers[at] for at, moment in moments.items() if lasting[0] <= moment < lasting[1]]
        assert answers[serial] in within
        assert all(each == answers[serial] for each in within)
        known += 1
    assert known > 20


def test_a_daemon_that_is_started_again_is_no_end() -> None:
    lessons = taught(
        [document(serial, "/run/docker.sock", "CREATE", "bound-socket") for serial in range(10, 60, 10)]
        + [document(60, "/run/containerd/containerd.sock", "CREATE", "bound-socket")]
    )
    first, second = document(35, "alias"), document(65, "alias")
    assert lessons.lasting(first) == (("", -1), ("2026-11-21T10:01:00.000Z", 60))
    assert lessons.lasting(second) == (("2026-11-21T10:01:00.000Z", 60), ("\U0010ffff", 0))
