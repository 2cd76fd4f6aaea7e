"""A sweep among crowds, in a hurry, and with less than it wants: real sockets, real processes, this kernel."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sweeping import Actor, address_of, bound, found, of, runtime, until

from sockwarden.sensors.sweep import Sweep
from sockwarden.sockets import diag

pytest_plugins = ["sweep_fixtures"]
pytestmark = pytest.mark.host

OTHER = ("unshare", "--net")
CONNECT = "one = connected(); ready(inode(one), one.fileno())"


@pytest.mark.parametrize("own_table", [False, True])
def test_descriptors_that_move_all_the_time(
    own_table: bool, listener: socket.socket, act: Callable[..., Actor]
) -> None:
    """In a process's table, or in one that a thread has for itself: who moves them is met."""
    client = act(
        "def move():\n"
        "    if int(sys.argv[2]): assert libc.unshare(0x400) == 0  # CLONE_FILES\n"
        "    at = connected().detach()\n"
        "    while True:\n"
        "        for next in range(20, 40):\n"
        "            os.dup2(at, next); os.close(at); at = next\n"
        "threading.Thread(target=move, daemon=True).start()\n"
        "ready()",
        address_of(listener),
        int(own_table),
    )
    with listener.accept()[0]:
        sweep = Sweep()
        held = until(sweep, runtime(listener), lambda held: client.pid in [one.pid for one in held])
        assert of(held, client.pid).connected_by == client.pid


def test_processes_that_come_and_go(listener: socket.socket, act: Callable[..., Actor]) -> None:
    client = act(
        "one = connected()\n"
        "def crowd():\n"
        "    while True:\n"
        "        if not (child := os.fork()): os._exit(0)\n"
        "        os.waitpid(child, 0)\n"
        "for _ in range(2):\n"
        "    if not os.fork(): crowd()\n"
        "ready()",
        address_of(listener),
    )
    with listener.accept()[0]:
        sweep = Sweep()
        for _ in range(100):
            held = sweep.look([runtime(listener)])
            assert client.pid in [one.pid for one in held]
            assert {one.connected_by for one in held} == {client.pid}
            assert len({(one.pid, one.start) for one in held}) == len(held)


def test_a_crowd_of_connections_of_one_process(tmp_path: Path, act: Callable[..., Actor]) -> None:
    """It is told, and does not keep another's from being told."""
    name = bytes(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as accepted:
        listener.bind(name)
        listener.listen(4096)
        many = act(
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
            "ones = [connected() for _ in range(3000)]\n"
            "ready()",
            name,
        )
        other = act(CONNECT, name)
        sweep = Sweep()
        held = sweep.look([runtime(listener)])
        assert sum(one.pid == many.pid for one in held) == 64
        assert of(held, other.pid).new
        assert sweep.untold == 3000 - 64
        for _ in range(500):
            accepted.enter_context(listener.accept()[0])
        again = sweep.look([runtime(listener)])
        assert {(one.client, one.pid) for one in again} == {(one.client, one.pid) for one in held}
        assert not any(one.new for one in again)


def test_a_crowd_of_holders_of_one_connection(listener: socket.socket, act: Callable[..., Actor]) -> None:
    act(
        "one = connected()\nfor _ in range(99):\n    if not os.fork(): signal.pause()\nready()",
        address_of(listener),
    )
    late = act(CONNECT, address_of(listener))
    sweep = Sweep()
    held = sweep.look([runtime(listener)])
    assert len(held) == 65 and sweep.untold == 36
    assert of(held, late.pid).new
    assert not any(one.new for one in sweep.look([runtime(listener)]))


def test_without_pidfd_getfd(listener: socket.socket, act: Callable[..., Actor]) -> None:
    """The namespaces of processes are looked at instead, and what is not seen so is said."""
    client = act(CONNECT, address_of(listener), by=OTHER)
    with listener.accept()[0]:
        told = act(
            "import struct\n"
            "from sockwarden.sensors.sweep import Sweep\n"
            "from sweeping import found\n"
            "rules = struct.pack('=HBBIHBBIHBBIHBBI', 0x20, 0, 0, 0, 0x15, 0, 1, 438,\n"
            "                    0x06, 0, 0, 0x50001, 0x06, 0, 0, 0x7FFF0000)\n"
            "program = ctypes.create_string_buffer(rules)\n"
            "filter = struct.pack('=HxxxxxxQ', 4, ctypes.addressof(program))\n"
            "assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter) == 0\n"
            "sweep = Sweep()\n"
            "held = sweep.look([found(int(sys.argv[2]), int(sys.argv[3]))])\n"
            "assert sweep.limits == ['connections from network namespaces without any process are not looked for '\n"
            "                        '(Operation not permitted)'], sweep.limits\n"
            "assert [one.connected_by for one in held] == [None]\n"
            "ready(*(one.pid for one in held))",
            b"",
            os.fstat(listener.fileno()).st_ino,
            os.getpid(),
            by=("env", f"PYTHONPATH={Path(__file__).parent}"),
        )
        assert told.said == [client.pid]


def test_a_listener_with_more_waiting_than_the_kernel_can_tell(act: Callable[..., Actor], tmp_path: Path) -> None:
    """The kernel ends its list there without a word; whoever waits at another listener is found all the same."""
    name, crowded = (bytes(tmp_path / name) for name in ("docker.sock", "crowded.sock"))
    daemon = act(
        "open('/proc/sys/net/core/somaxconn', 'w').write('20000')\n"
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (12000, 12000))\n"
        "one, many = (socket.socket(socket.AF_UNIX) for _ in range(2))\n"
        "one.bind(ADDRESS); one.listen()\n"
        "ADDRESS = bytes.fromhex(sys.argv[2])\n"
        "many.bind(ADDRESS); many.listen(20000)\n"
        "kept = [connected() for _ in range(9000)]\n"
        "ready(inode(one), inode(many))",
        name,
        crowded.hex(),
        by=OTHER,
    )
    client = act(CONNECT, name)
    namespace = Path(f"/proc/{daemon.pid}/ns/net")
    assert daemon.said[1] not in diag.unix_connections(namespace).waiting
    sweep = Sweep()
    (one,) = sweep.look([found(daemon.said[0], daemon.pid)])
    assert (one.pid, one.accepted, sweep.limits) == (client.pid, False, [])
    sweep.look([found(daemon.said[1], daemon.pid)])
    assert sweep.limits == ["a socket has more connections waiting to be accepted than the kernel lists"]


@pytest.mark.parametrize(
    ("without", "seen", "limits"),
    [
        ("kill", 3, []),
        (
            "sys_ptrace",
            0,
            ["the descriptors of a daemon cannot be read", "the descriptors of some processes cannot be read"],
        ),
        (
            "net_admin",
            3,
            ["connections from network namespaces without any process are not looked for (Operation not permitted)"],
        ),
        (
            "sys_admin",
            2,
            ["the kernel does not list its sockets in another network namespace (Operation not permitted)"],
        ),
        ("dac_read_search", 2, ["the descriptors of some processes cannot be read"]),
    ],
)
def test_what_a_missing_capability_hides_is_said(
    without: str, seen: int, limits: list[str], tmp_path: Path, act: Callable[..., Actor], require: Callable[..., str]
) -> None:
    """And of what it may not look at, it does not say that nobody holds it."""
    require("setpriv")
    address = bytes(tmp_path / "docker.sock")
    with bound(address) as listener:
        act(CONNECT, address)
        act(CONNECT, address, by=OTHER)
        act(
            "one = connected()\n"
            "os.setgroups([]); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3)\n"
            "assert libc.prctl(4, 1, 0, 0, 0) == 0  # PR_SET_DUMPABLE\n"
            "ready()",
            address,
        )
        with listener.accept()[0], listener.accept()[0], listener.accept()[0]:
            kept = {"kill", "sys_ptrace", "net_admin", "sys_admin", "dac_read_search"} - {without}
            bounding = ",".join(["-all", *(f"+{one}" for one in sorted(kept))])
            told = act(
                "from sockwarden.sensors.sweep import Sweep\n"
                "from sweeping import found\n"
                "sweep = Sweep()\n"
                "for _ in range(2): held = sweep.look([found(int(sys.argv[2]), int(sys.argv[3]))])\n"
                "assert sweep.limits == sys.argv[4:], sweep.limits\n"
                "ready(len(held))",
                b"",
                os.fstat(listener.fileno()).st_ino,
                os.getpid(),
                *limits,
                by=(
                    *("env", f"PYTHONPATH={Path(__file__).parent}"),
                    *("setpriv", "--inh-caps=-all", f"--bounding-set={bounding}"),
                ),
            )
            assert told.said == [seen]
