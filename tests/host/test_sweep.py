"""Who holds a connection to a runtime socket, however he came by it: real sockets, real processes, this kernel."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeping import Actor, address_of, bound, found, of, runtime, until

from sockwarden.sensors.sweep import Sweep

pytest_plugins = ["sweep_fixtures"]
pytestmark = pytest.mark.host

OTHER = ("unshare", "--net")
CONNECT = "one = connected(); ready(inode(one), one.fileno())"
HAND_OVER = """\
one = connected()
way = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
way.connect(bytes.fromhex(sys.argv[2]))
way.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.fileno()]))])
client = inode(one)
one.close()
ready(client)
"""
RECEIVE = """\
way = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
way.bind(bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
_, ((_, _, data),), _, _ = way.recvmsg(1, socket.CMSG_SPACE(4))
sys.stdin.read()
"""


def test_a_connection_that_was_there_before(listener: socket.socket, act: Callable[..., Actor]) -> None:
    client = act(CONNECT, address_of(listener))
    accepted, _ = listener.accept()
    sweep = Sweep()
    with accepted:
        (one,) = sweep.look([runtime(listener)])
        status = Path(os.fsdecode(address_of(listener))).stat()
        assert (one.client, one.descriptor, one.pid) == (*client.said, client.pid)
        assert (one.accepted, one.connected_by, one.new) == (True, client.pid, True)
        assert (one.listener, one.name) == (os.fstat(listener.fileno()).st_ino, address_of(listener))
        assert one.inode == status.st_ino
        assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - one.start / 1e9) < 10
        (again,) = sweep.look([runtime(listener)])
        assert not again.new
        client.end()
        assert sweep.look([runtime(listener)]) == []
    assert (sweep.limits, sweep.untold) == ([], 0)


def test_one_that_the_daemon_has_not_accepted(listener: socket.socket, act: Callable[..., Actor]) -> None:
    client = act(CONNECT, address_of(listener))
    sweep = Sweep()
    (one,) = sweep.look([runtime(listener)])
    assert (one.client, one.pid, one.accepted, one.connected_by) == (client.said[0], client.pid, False, None)
    with listener.accept()[0]:
        (one,) = sweep.look([runtime(listener)])
        assert (one.accepted, one.connected_by, one.new) == (True, client.pid, False)


def test_a_descriptor_that_was_passed(listener: socket.socket, act: Callable[..., Actor], tmp_path: Path) -> None:
    way = bytes(tmp_path / "way").hex()
    receiver = act(RECEIVE, address_of(listener), way)
    sender = act(HAND_OVER, address_of(listener), way)
    with listener.accept()[0]:
        held = until(Sweep(), runtime(listener), bool)
        one = of(held, receiver.pid)
        assert (one.client, one.connected_by) == (sender.said[0], sender.pid)
        sender.end()
        (one,) = Sweep().look([runtime(listener)])
        assert (one.pid, one.connected_by) == (receiver.pid, sender.pid)


def test_a_descriptor_on_its_way(listener: socket.socket, act: Callable[..., Actor], tmp_path: Path) -> None:
    """Nobody holds it; that a connection lasts is told, and who made it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.bind(bytes(tmp_path / "way"))
        sender = act(HAND_OVER, address_of(listener), bytes(tmp_path / "way").hex())
        with listener.accept()[0]:
            sweep = Sweep()
            assert sweep.look([runtime(listener)]) == []
            (one,) = sweep.look([runtime(listener)])
            assert (one.client, one.pid, one.start) == (sender.said[0], None, 0)
            assert (one.connected_by, one.new) == (sender.pid, True)
            assert [one.new for one in sweep.look([runtime(listener)])] == [False]


def test_a_descriptor_that_was_duplicated(listener: socket.socket, act: Callable[..., Actor]) -> None:
    client = act(CONNECT, address_of(listener))
    thief = act(
        "process = os.pidfd_open(int(sys.argv[2]))\n"
        "stolen = libc.syscall(438, process, int(sys.argv[3]), 0)\n"
        "ready(stolen)",
        b"",
        client.pid,
        client.said[1],
    )
    with listener.accept()[0]:
        held = Sweep().look([runtime(listener)])
        assert {(one.pid, one.descriptor) for one in held} == {
            (client.pid, client.said[1]),
            (thief.pid, thief.said[0]),
        }
        assert {one.connected_by for one in held} == {client.pid}


@pytest.mark.parametrize(
    ("how", "program"),
    [
        ("if not (child := os.fork()): signal.pause()", None),
        ("one.set_inheritable(True); child = subprocess.Popen(['sleep', '60'], close_fds=False).pid", "/usr/bin/sleep"),
    ],
    ids=["fork", "fork and exec"],
)
def test_a_descriptor_that_was_inherited(
    how: str, program: str | None, listener: socket.socket, act: Callable[..., Actor]
) -> None:
    client = act(f"one = connected()\n{how}\nready(inode(one), child)", address_of(listener))
    _, child = client.said
    with listener.accept()[0]:
        sweep = Sweep()
        held = sweep.look([runtime(listener)])
        assert {one.pid for one in held} == {client.pid, child}
        assert of(held, child).connected_by == client.pid
        client.end()
        (one,) = sweep.look([runtime(listener)])
        assert (one.pid, one.new) == (child, False)
        assert program is None or Path(f"/proc/{child}/exe").samefile(program)


def test_a_program_that_execs_another(listener: socket.socket, act: Callable[..., Actor]) -> None:
    act(
        "one = connected(); one.set_inheritable(True)\nprint('ready', flush=True)\nos.execlp('cat', 'cat')",
        address_of(listener),
    )
    with listener.accept()[0]:
        (one,) = Sweep().look([runtime(listener)])
        assert one.pid == one.connected_by


def test_a_thread_with_descriptors_of_its_own(listener: socket.socket, act: Callable[..., Actor]) -> None:
    client = act(
        "def hide():\n"
        "    assert libc.unshare(0x400) == 0  # CLONE_FILES\n"
        "    global one\n"
        "    one = connected()\n"
        "    done.set()\n"
        "    signal.pause()\n"
        "done = threading.Event()\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "threading.Thread(target=hide, daemon=True).start()\n"
        "done.wait()\n"
        "ready()",
        address_of(listener),
    )
    with listener.accept()[0]:
        sweep = Sweep()
        assert sweep.look([runtime(listener)]) == []
        (one,) = sweep.look([runtime(listener)])
        assert (one.pid, one.connected_by, one.new) == (client.pid, client.pid, True)
        assert [one.new for one in sweep.look([runtime(listener)])] == [False]


def test_a_descriptor_that_an_io_uring_keeps(listener: socket.socket, act: Callable[..., Actor]) -> None:
    if Path("/proc/sys/kernel/io_uring_disabled").read_text().strip() != "0":
        pytest.skip("this kernel has io_uring switched off")
    client = act(
        "ring = libc.syscall(425, 4, ctypes.create_string_buffer(120))\n"
        "one = connected()\n"
        "client = inode(one)\n"
        "files = (ctypes.c_int * 3)(0, one.fileno(), 1)\n"
        "assert libc.syscall(427, ring, 2, files, 3) == 0  # IORING_REGISTER_FILES\n"
        "one.close()\n"
        "ready(client)",
        address_of(listener),
    )
    with listener.accept()[0]:
        (one,) = Sweep().look([runtime(listener)])
        assert (one.client, one.pid, one.descriptor) == (client.said[0], client.pid, None)


def test_an_abstract_socket_and_another_of_its_name(act: Callable[..., Actor]) -> None:
    """A name is taken for each kind of socket by itself."""
    name = b"\0sockwarden-test\n\xff/%d" % os.getpid()
    with bound(name) as listener, bound(name, socket.SOCK_SEQPACKET) as other:
        client = act(CONNECT, name)
        act("one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); one.connect(ADDRESS); ready()", name)
        with listener.accept()[0], other.accept()[0]:
            (one,) = Sweep().look([found(os.fstat(listener.fileno()).st_ino, os.getpid(), "abstract")])
            assert (one.pid, one.name, one.inode, one.device) == (client.pid, name, 0, "")


def test_a_name_of_any_bytes(tmp_path: Path, act: Callable[..., Actor]) -> None:
    name = bytes(tmp_path) + b"/a\n\xff\x1b[2J.sock"
    with bound(name) as listener:
        client = act(CONNECT, name)
        (one,) = Sweep().look([runtime(listener)])
        assert (one.pid, one.name) == (client.pid, name)


def test_other_sockets_are_nobody_s(listener: socket.socket, tmp_path: Path, act: Callable[..., Actor]) -> None:
    with bound(bytes(tmp_path / "other.sock")) as other:
        act(CONNECT, bytes(tmp_path / "other.sock"))
        assert Sweep().look([runtime(listener)]) == []
        assert Sweep().look([]) == []
        assert len(Sweep().look([runtime(other), runtime(listener)])) == 1


def test_what_we_hold_ourselves_is_not_told(listener: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address_of(listener))
        sweep = Sweep()
        assert [sweep.look([runtime(listener)]) for _ in range(3)] == [[], [], []]


def test_a_client_in_another_network_namespace(listener: socket.socket, act: Callable[..., Actor]) -> None:
    """Its connection is there with both ends, though the daemon is here."""
    client, waiting = (act(CONNECT, address_of(listener), by=OTHER) for _ in range(2))
    with listener.accept()[0]:
        sweep = Sweep()
        held = sweep.look([runtime(listener)])
        assert {(one.client, one.accepted) for one in held} == {(client.said[0], True), (waiting.said[0], False)}
        assert of(held, client.pid).connected_by == client.pid
        assert [one.new for one in sweep.look([runtime(listener)])] == [False, False]
        assert sweep.limits == []


def test_a_network_namespace_that_nobody_is_in(
    listener: socket.socket, act: Callable[..., Actor], tmp_path: Path
) -> None:
    way = bytes(tmp_path / "way").hex()
    receiver = act(RECEIVE, address_of(listener), way)
    sender = act(HAND_OVER, address_of(listener), way, by=OTHER)
    with listener.accept()[0]:
        until(Sweep(), runtime(listener), lambda held: receiver.pid in [one.pid for one in held])
        sender.end()
        (one,) = Sweep().look([runtime(listener)])
        assert (one.client, one.pid, one.connected_by) == (sender.said[0], receiver.pid, sender.pid)


def test_a_daemon_in_another_network_namespace(act: Callable[..., Actor], tmp_path: Path) -> None:
    name = bytes(tmp_path / "inside.sock")
    serve = (
        "one = socket.socket(socket.AF_UNIX); one.bind(ADDRESS); one.listen()\n"
        "kept = []\n"
        "threading.Thread(target=lambda: kept.append(one.accept()), daemon=True).start()\n"
        "ready(inode(one))"
    )
    daemon = act(serve, name, by=OTHER)
    accepted, waiting = act(CONNECT, name), act(CONNECT, name)
    inside = found(daemon.said[0], daemon.pid)
    held = until(Sweep(), inside, lambda held: any(one.accepted for one in held))
    assert {one.pid: one.accepted for one in held} == {accepted.pid: True, waiting.pid: False}
    assert of(held, accepted.pid).connected_by == accepted.pid

    hidden = b"\0sockwarden-test/inside/%d" % os.getpid()
    daemon = act(serve, hidden, by=OTHER)
    into = ("nsenter", "--net", "--target", str(daemon.pid))
    client = act(CONNECT, hidden, by=into)
    with bound(hidden) as same_name_here:
        act(CONNECT, hidden)
        with same_name_here.accept()[0]:
            (one,) = Sweep().look([found(daemon.said[0], daemon.pid, "abstract")])
    assert one.pid == client.pid
