"""How somebody got in, by lineage and cgroup."""

from __future__ import annotations

import pytest

from sockwarden.enrich.containers import Container
from sockwarden.enrich.process import Image, Place, Process
from sockwarden.enrich.procfs import Surroundings
from sockwarden.enrich.session import entry_of, session_of

HOST = Surroundings("0::/", 1, 2)


def line(*executables: str, mount: int = 1, cgroup: str = "0::/") -> Process:
    """A process whose ancestors run these, outermost first and pid 1 above them."""
    process = Process(1, 0, image=Image(0, "/sbin/init"), place=Place("0::/", 1, 2))
    for pid, executable in enumerate(executables, 100):
        place = Place(cgroup, mount, 2)
        process = Process(pid, pid, parent=process, image=Image(pid, executable), place=place)
    return process


@pytest.mark.parametrize(
    ("process", "session", "entry"),
    [
        (line("/usr/sbin/sshd", "/usr/sbin/sshd", "/bin/bash", "/usr/bin/curl"), ("ssh", None, None), (102, "sshd")),
        (line("/usr/sbin/sshd", "/bin/bash", "/usr/bin/sudo", "/bin/ls"), ("ssh", "sudo", None), (101, "sshd")),
        (line("/bin/login", "/bin/bash"), ("terminal", None, None), (101, "console")),
        (line("/usr/sbin/cron", "/usr/sbin/cron", "/bin/sh"), ("cron", None, None), (100, "init")),
        (
            line("/usr/bin/agent", cgroup="0::/system.slice/agent.service"),
            ("service", None, "agent.service"),
            (100, "init"),
        ),
        (line("/usr/bin/kubelet", "/bin/probe"), (None, None, None), (101, "kubelet")),
        (line("/home/eve/sshd", "/bin/sh"), (None, None, None), (100, "init")),
        (line("/usr/sbin/sshd", "/bin/sh", mount=9), (None, None, None), (100, "init")),
    ],
)
def test_ways_in(process: Process, session: tuple[str | None, str | None, str | None], entry: tuple[int, str]) -> None:
    assert tuple(session_of(process, HOST)) == session
    found = entry_of(process, HOST)
    assert found
    assert (found.process.pid, found.type) == entry


def test_the_outermost_in_the_container() -> None:
    shim = line("/usr/bin/containerd-shim-runc-v2")
    container = Container("c1")
    first = Process(200, 0, parent=shim, container=container, inside=0)
    second = Process(201, 0, parent=first, container=Container("c1"), inside=0)
    found = entry_of(second, HOST)
    assert found
    assert (found.process, found.type) == (first, "container")


def test_a_cut_lineage_has_no_entry() -> None:
    assert entry_of(Process(300, 0), HOST) is None
