"""Which container it was, by what the kernel tells of a runtime's work, and nothing read of it."""

from __future__ import annotations

import pytest
from told_events import ID, INNER_MOUNT, INNER_PIDS, NOBODY, Kernel, runtime

from sockwarden.document import get
from sockwarden.enrich.procfs import Surroundings

SHIM, COMMAND, STAGE_0, STAGE_1, INIT, CHILD = range(NOBODY, NOBODY + 6)
FLAGS = ("--root", "/run/docker/runtime-runc/moby", "--log", "/run/log.json")

both_layouts = pytest.mark.parametrize("unified", [True, False], ids=["v2", "v1"])


def shim(kernel: Kernel) -> None:
    kernel.fork(SHIM, 0)
    kernel.exec(SHIM, "/usr/bin/containerd-shim-runc-v2", "containerd-shim-runc-v2", "-namespace", "moby")


def runc_create(kernel: Kernel, entry: tuple[str, ...] = ("/bin/web", "-v")) -> list[str]:
    """As recorded; the origins that the init process would have had on its way."""
    runc = runtime("runc")
    kernel.fork(COMMAND, SHIM)
    kernel.exec(COMMAND, runc, "runc", *FLAGS, "create", "--bundle", "/run/bundle", ID)
    kernel.fork(STAGE_0, COMMAND)
    kernel.exec(STAGE_0, runc, "runc", "init")
    kernel.exec(STAGE_0, "/", "runc", "init")
    seen = [kernel.origin(STAGE_0)]
    kernel.move(STAGE_0)
    seen.append(kernel.origin(STAGE_0))
    kernel.comm(STAGE_0, "runc:[0:PARENT]")
    moved = Surroundings(kernel.moves[-1], kernel.host.mount, kernel.host.pids)
    kernel.fork(STAGE_1, COMMAND, moved, caller=STAGE_0)
    kernel.comm(STAGE_1, "runc:[1:CHILD]")
    kernel.fork(INIT, COMMAND, kernel.inside, caller=STAGE_1)
    seen.append(kernel.origin(INIT))
    kernel.comm(INIT, "runc:[2:INIT]")
    for pid in (STAGE_1, STAGE_0, COMMAND):
        kernel.exit(pid)
    seen.append(kernel.origin(INIT))
    kernel.comm(INIT, entry[0].rpartition("/")[2])
    kernel.exec(INIT, entry[0], *entry, around=kernel.inside)
    return [*seen, kernel.origin(INIT)]


STARTING = f"container-init cgroup {ID}"
RUNNING = f"container cgroup {ID}"


@both_layouts
def test_runc_creates_a_container(unified: bool) -> None:
    kernel = Kernel(unified=unified)
    shim(kernel)
    assert runc_create(kernel) == ["host cgroup", STARTING, STARTING, STARTING, RUNNING]
    kernel.fork(CHILD, INIT, kernel.inside)
    assert kernel.origin(CHILD) == RUNNING
    kernel.exec(CHILD, "/bin/client", "client", "open", around=kernel.inside)
    kernel.exit(CHILD)
    document = kernel.access(CHILD)
    assert get(document, "process.args") == ["client", "open"]
    assert get(document, "process.executable") == "/bin/client"
    assert get(document, "process.entry_leader.args") == ["/bin/web", "-v"]
    assert [each["pid"] for each in get(document, "sockwarden.process.ancestors")] == [INIT, COMMAND, SHIM]
    assert (kernel.cache.unread, kernel.cache.adopted) == (0, 0)


@both_layouts
def test_a_runc_that_puts_its_child_at_once_into_the_cgroup(unified: bool) -> None:
    """By clone3's CLONE_INTO_CGROUP, which is no move: the fork itself tells it."""
    kernel = Kernel(unified=unified)
    runc = runtime("runc")
    shim(kernel)
    kernel.fork(COMMAND, SHIM)
    kernel.exec(COMMAND, runc, "runc", *FLAGS, "create", ID)
    kernel.fork(STAGE_0, COMMAND, Surroundings(kernel.moves[-1], kernel.host.mount, kernel.host.pids))
    assert kernel.origin(STAGE_0) == STARTING
    kernel.exec(STAGE_0, runc, "runc", "init", around=Surroundings(kernel.moves[-1]))
    assert kernel.origin(STAGE_0) == STARTING


@both_layouts
def test_runc_executes_in_a_container(unified: bool) -> None:
    """The child is moved to the cgroup after it has its name and its namespaces."""
    kernel = Kernel(unified=unified)
    shim(kernel)
    runc_create(kernel)
    runc, command, stage_0, stage_1, child = runtime("runc"), *range(NOBODY + 10, NOBODY + 14)
    kernel.fork(command, SHIM)
    kernel.exec(command, runc, "runc", *FLAGS, "exec", "--process", "/tmp/p", "--detach", ID)  # noqa: S108
    kernel.fork(stage_0, command)
    kernel.exec(stage_0, runc, "runc", "init")
    kernel.exec(stage_0, "/memfd:runc_cloned:/proc/self/exe (deleted)", "runc", "init")
    kernel.comm(stage_0, "runc:[0:PARENT]")
    kernel.fork(stage_1, command, caller=stage_0)
    kernel.comm(stage_1, "runc:[1:CHILD]")
    entered = Surroundings(kernel.host.cgroup, INNER_MOUNT, INNER_PIDS)
    kernel.fork(child, command, entered, caller=stage_1)
    kernel.comm(child, "runc:[2:INIT]")
    assert kernel.origin(child) == f"container-init namespaces {ID}"
    kernel.move(child)
    assert kernel.origin(child) == STARTING
    kernel.exec(child, "/bin/sh", "sh", "-c", "exit", around=kernel.inside)
    assert kernel.origin(child) == RUNNING
    assert kernel.origin(stage_1) == "host cgroup"


@both_layouts
def test_who_has_the_runtime_for_a_parent_is_still_inside(unified: bool) -> None:
    """What `docker exec` runs may fork with CLONE_PARENT, and call the child as runc calls its own."""
    kernel = Kernel(unified=unified)
    shim(kernel)
    runc_create(kernel)
    runc, command, inner, child = runtime("runc"), *range(NOBODY + 10, NOBODY + 13)
    kernel.fork(command, SHIM)
    kernel.exec(command, runc, "runc", *FLAGS, "exec", "--process", "/tmp/p", ID)  # noqa: S108
    kernel.fork(inner, command, kernel.inside)
    kernel.exec(inner, "/bin/evil", "evil", around=kernel.inside)
    kernel.fork(child, command, kernel.inside, caller=inner)
    kernel.comm(child, "runc:[2:INIT]")
    assert kernel.origin(child) == RUNNING
    assert get(kernel.access(child), "process.executable") == "/bin/evil"


@pytest.mark.parametrize("known", [True, False])
@both_layouts
def test_crun_creates_a_container(unified: bool, known: bool) -> None:
    """One fork into namespaces of its own, then the moves; no new name, no exec but the entry's. conmon gives the id
    as the last argument; another caller may give a name, and then the cgroup alone tells.
    """
    kernel = Kernel(unified=unified)
    crun = runtime("crun")
    kernel.fork(COMMAND, 0)
    kernel.exec(COMMAND, crun, "crun", "create", "--bundle", "/b", ID if known else "web")
    kernel.exec(COMMAND, "/memfd:crun_cloned:/proc/self/exe (deleted)", "crun", "create", ID if known else "web")
    kernel.fork(INIT, COMMAND, Surroundings(kernel.host.cgroup, INNER_MOUNT, INNER_PIDS))
    assert kernel.origin(INIT) == (f"container-init lineage {ID}" if known else "unknown pid-namespace")
    kernel.move(INIT)
    assert kernel.origin(INIT) == STARTING
    kernel.exit(COMMAND)
    kernel.comm(INIT, "web")
    kernel.exec(INIT, "/bin/web", "web", around=kernel.inside)
    assert kernel.origin(INIT) == RUNNING


@both_layouts
def test_crun_executes_in_a_container(unified: bool) -> None:
    """It enters the mount namespace after its last fork, which is before the moves."""
    kernel = Kernel(unified=unified)
    crun = runtime("crun")
    kernel.fork(COMMAND, 0)
    kernel.exec(COMMAND, crun, "crun", "exec", ID, "sh")
    kernel.exec(COMMAND, "/memfd:crun_cloned:/proc/self/exe (deleted)", "crun", "exec", ID, "sh")
    kernel.fork(STAGE_1, COMMAND)
    kernel.fork(CHILD, STAGE_1, Surroundings(kernel.host.cgroup, kernel.host.mount, INNER_PIDS))
    kernel.exit(STAGE_1)
    kernel.move(CHILD)
    assert kernel.origin(CHILD) == STARTING
    kernel.exec(CHILD, "/bin/sh", "sh", around=kernel.inside)
    assert kernel.origin(CHILD) == RUNNING


def test_nsenter_into_a_container() -> None:
    kernel = Kernel()
    shim(kernel)
    runc_create(kernel)
    nsenter, child = NOBODY + 10, NOBODY + 11
    kernel.fork(nsenter, 0)
    kernel.exec(nsenter, "/usr/bin/nsenter", "nsenter", "-t", "1", "-m", "-p", "sh")
    assert kernel.origin(nsenter) == "host cgroup"
    entered = Surroundings(kernel.host.cgroup, INNER_MOUNT, INNER_PIDS)
    kernel.fork(child, nsenter, entered)
    kernel.exec(child, "/bin/sh", "sh", around=entered)
    assert kernel.origin(child) == f"container namespaces {ID}"


@both_layouts
def test_nsenter_out_of_a_container(unified: bool) -> None:
    """Into the host's mount namespace, then its cgroups: it stays a container's."""
    kernel = Kernel(unified=unified)
    shim(kernel)
    runc_create(kernel)
    kernel.fork(CHILD, INIT, kernel.inside)
    out = Surroundings(kernel.inside.cgroup, kernel.host.mount, kernel.host.pids)
    kernel.exec(CHILD, "/usr/bin/docker", "docker", "ps", around=out)
    assert kernel.origin(CHILD) == RUNNING
    assert kernel.host.cgroup
    kernel.move(CHILD, *kernel.host.cgroup.split("\n"))
    assert kernel.origin(CHILD) == f"container lineage {ID}"
    kernel.fork(NOBODY + 10, CHILD)
    assert kernel.origin(NOBODY + 10) == f"container lineage {ID}"


def test_an_access_tells_of_a_move_that_no_event_told() -> None:
    """setns and unshare have no event of their own."""
    kernel = Kernel()
    shim(kernel)
    runc_create(kernel)
    kernel.fork(CHILD, 0)
    kernel.exec(CHILD, "/usr/bin/python3", "python3", "enter.py")
    assert kernel.origin(CHILD) == "host cgroup"
    namespaces = {"mount": INNER_MOUNT, "pid": kernel.host.pids, "user": 1, "net": 1}
    document = kernel.access(CHILD, cgroup=kernel.host.cgroup, namespaces=namespaces)
    assert get(document, "sockwarden.actor.evidence") == "namespaces"
    assert get(document, "container.id") == ID
    # and of one that no event ever told of
    kernel.starts[NOBODY + 10] = kernel.now
    namespaces = {"mount": INNER_MOUNT, "pid": INNER_PIDS}
    document = kernel.access(NOBODY + 10, cgroup=kernel.inside.cgroup, namespaces=namespaces)
    assert get(document, "sockwarden.actor") == {"origin": "container", "evidence": "cgroup"}
    kernel.starts[NOBODY + 11] = kernel.now
    document = kernel.access(NOBODY + 11, cgroup=kernel.host.cgroup, namespaces={"mount": kernel.host.mount})
    assert get(document, "sockwarden.actor.origin") in ("host", "unknown")


def test_a_move_into_a_cgroup_with_a_containers_name_is_a_claim() -> None:
    kernel = Kernel()
    kernel.fork(CHILD, 0)
    kernel.exec(CHILD, "/usr/bin/docker", "docker", "ps")
    kernel.move(CHILD)
    assert kernel.origin(CHILD) == "unknown cgroup"
    kernel.move(CHILD, "0::/user.slice")
    assert kernel.origin(CHILD) == "host cgroup"
