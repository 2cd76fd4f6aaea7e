"""Sockets that listen now, and connections between unix sockets, as the kernel tells over NETLINK_SOCK_DIAG.

Requests and answers follow include/uapi/linux/{sock_diag,unix_diag,inet_diag}.h. A dump shows one network namespace,
which is that of the netlink socket; a socket made in another namespace stays there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sockwarden import netlink
from sockwarden.errors import InputError

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_ESTABLISHED, _LISTEN = 1 << 1, 1 << 10
"""TCP_ESTABLISHED, TCP_LISTEN of include/net/tcp_states.h, which unix sockets use too, in a mask of states."""
_SHOW_NAME, _SHOW_VFS, _SHOW_PEER, _SHOW_ICONS, _SHOW_UID = 0x1, 0x2, 0x4, 0x8, 0x40
_UNIX_DIAG_NAME, _UNIX_DIAG_VFS, _UNIX_DIAG_PEER, _UNIX_DIAG_ICONS, _UNIX_DIAG_UID = 0, 1, 2, 3, 7
_ANY = b"\xff" * 8
"""A cookie that fits every socket (INET_DIAG_NOCOOKIE)."""

_UNIX_REQUEST = struct.Struct("=BBHIII8s")
"""struct unix_diag_req: family, protocol, pad, states, inode, show, cookie."""
_UNIX_ANSWER = struct.Struct("=BBBBI8s")
"""struct unix_diag_msg: family, type, state, pad, inode, cookie."""
_VFS = struct.Struct("=II")
"""struct unix_diag_vfs: inode, device."""
_INET_REQUEST = struct.Struct("=BBBBI48s")
"""struct inet_diag_req_v2: family, protocol, extensions, pad, states, and an inet_diag_sockid that is not used."""
_INET_ANSWER = struct.Struct("=BBBB2sH16s16sI8sIIIII")
"""struct inet_diag_msg: family, state, timer, retransmits; of the inet_diag_sockid: source port, destination port,
source, destination, interface, cookie; then expires, two queues, uid and inode.
"""

_CLONE_NEWNET = 0x40000000
_SECONDS = 10
_BUFFER = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


class UnixListener(msgspec.Struct, frozen=True, gc=False):
    """A unix socket that listens.

    sockfs   the socket's own inode, as `/proc/PID/fd` shows it
    name     the bytes of the address that it was bound to; a leading NUL marks an abstract one
    inode    of the socket file, 0 where there is none, and device: its file system as printed by `device_text`
    uid      of who made the socket; None before Linux 5.3
    kind     SOCK_STREAM or SOCK_SEQPACKET: two sockets of different kinds may have one abstract name
    """

    sockfs: int
    name: bytes
    inode: int = 0
    device: str = ""
    uid: int | None = None
    kind: int = 0


class UnixConnection(msgspec.Struct, frozen=True, gc=False):
    """One end of a connection between unix sockets. The end that was accepted has kind, name, inode and device of the
    listener; the one that connected has its own name, which is mostly none.

    sockfs  its own inode, and peer: that of the other end; 0 where that was not accepted yet, or is closed
    """

    sockfs: int
    peer: int
    kind: int
    name: bytes
    inode: int
    device: str


class UnixConnections(msgspec.Struct, frozen=True):
    """The unix sockets of a network namespace that listen or are connected. A connection is in the namespace of who
    made it, whichever its listener is in.

    waiting  of each listener the sockfs inodes of those who connected and were not accepted yet; a listener is not in
             it where the kernel could not list them
    """

    listeners: list[UnixListener]
    connections: list[UnixConnection]
    waiting: dict[int, tuple[int, ...]]


class InetListener(msgspec.Struct, frozen=True, gc=False):
    """A TCP socket that listens: its own inode, the address that it was bound to, that with its port as text, and the
    uid of who made the socket.
    """

    sockfs: int
    ip: str
    port: int
    address: str
    uid: int | None = None


def device_text(device: int) -> str:
    """A device number in the kernel's own encoding (include/linux/kdev_t.h), printed as audit prints it: "00:18"."""
    return f"{device >> 20:02x}:{device & 0xFFFFF:02x}"


def unix_listeners(namespace: Path | None = None) -> list[UnixListener]:
    """Every listening unix socket of our network namespace, or of that of a `/proc/PID/ns/net`.

    Raises InputError where the kernel does not answer or the namespace cannot be entered.
    """
    (answers,) = _dumps([_unix_request(_LISTEN, _SHOW_NAME | _SHOW_VFS | _SHOW_UID)], namespace)
    return list(map(_unix, answers))


def unix_connections(namespace: Path | None = None) -> UnixConnections:
    """Every connection between unix sockets, and who listens; see unix_listeners."""
    # Who waits comes last and from the same socket: the kernel then gives room for 8,000 who wait at one listener.
    # It ends a dump, without a word, at one that it has no room for; so nothing else is asked for with them.
    requests = [
        _unix_request(_LISTEN, _SHOW_NAME | _SHOW_VFS | _SHOW_UID),
        _unix_request(_ESTABLISHED, _SHOW_NAME | _SHOW_VFS | _SHOW_PEER),
        _unix_request(_LISTEN, _SHOW_ICONS),
    ]
    listeners, connections, waiting = _dumps(requests, namespace)
    return UnixConnections(
        list(map(_unix, listeners)), list(map(_connection, connections)), dict(map(_waiting, waiting))
    )


def unix_waiting(listener: int, namespace: Path | None = None) -> tuple[int, ...] | None:
    """Who waits at one listener, by its sockfs inode: nobody where it is gone. None where the kernel cannot list them,
    since more than about 1,000 wait.
    """
    try:
        with _open(namespace) as sock:
            sock.settimeout(_SECONDS)
            sock.send(netlink.message(_SOCK_DIAG_BY_FAMILY, _unix_request(0, _SHOW_ICONS, listener)))
            (answer,) = netlink.messages(sock.recv(_BUFFER))
    except (OSError, ValueError):
        return None
    if answer.kind == netlink.NLMSG_ERROR:
        error = netlink.error_of(answer.payload)
        return () if error and error.errno == errno.ENOENT else None
    return _waiting(answer.payload)[1]


def _unix_request(states: int, show: int, sockfs: int = 0) -> bytes:
    return _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, states, sockfs, show, _ANY)


def inet_listeners(namespace: Path | None = None) -> list[InetListener]:
    """Every listening TCP socket, IPv4 and IPv6; see unix_listeners."""
    found: list[InetListener] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = _INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _LISTEN, bytes(40) + _ANY)
        (answers,) = _dumps([request], namespace, _INET_ANSWER.size)
        found += map(_inet, answers)
    return found


def _unix(payload: bytes) -> UnixListener:
    _, kind, _, _, sockfs, _ = _UNIX_ANSWER.unpack_from(payload)
    attributes = dict(netlink.attributes(payload[_UNIX_ANSWER.size :]))
    uid = attributes.get(_UNIX_DIAG_UID, b"")
    made_by = int.from_bytes(uid, sys.byteorder) if uid else None
    return UnixListener(sockfs, *_bound_to(attributes), made_by, kind)


def _connection(payload: bytes) -> UnixConnection:
    _, kind, _, _, sockfs, _ = _UNIX_ANSWER.unpack_from(payload)
    attributes = dict(netlink.attributes(payload[_UNIX_ANSWER.size :]))
    peer = int.from_bytes(attributes.get(_UNIX_DIAG_PEER, b""), sys.byteorder)
    return UnixConnection(sockfs, peer, kind, *_bound_to(attributes))


def _waiting(payload: bytes) -> tuple[int, tuple[int, ...]]:
    """A listener, and who waits at it; who has closed meanwhile has no inode."""
    *_, sockfs, _ = _UNIX_ANSWER.unpack_from(payload)
    inodes = dict(netlink.attributes(payload[_UNIX_ANSWER.size :])).get(_UNIX_DIAG_ICONS, b"")
    return sockfs, tuple(filter(None, struct.unpack(f"={len(inodes) // 4}I", inodes[: len(inodes) // 4 * 4])))


def _bound_to(attributes: dict[int, bytes]) -> tuple[bytes, int, str]:
    """Name, inode and device."""
    name = attributes.get(_UNIX_DIAG_NAME, b"")
    if not name.startswith(b"\0"):
        name = name.partition(b"\0")[0]
    vfs = attributes.get(_UNIX_DIAG_VFS, b"")
    inode, device = _VFS.unpack_from(vfs) if len(vfs) >= _VFS.size else (0, 0)
    return name, inode, device_text(device) if inode else ""


def _inet(payload: bytes) -> InetListener:
    family, _, _, _, port, _, source, *_, uid, sockfs = _INET_ANSWER.unpack_from(payload)
    number = int.from_bytes(port, "big")
    six = family == socket.AF_INET6
    ip = socket.inet_ntop(family, source if six else source[:4])
    return InetListener(sockfs, ip, number, f"[{ip}]:{number}" if six else f"{ip}:{number}", uid)


def _dumps(requests: Sequence[bytes], namespace: Path | None, least: int = _UNIX_ANSWER.size) -> list[list[bytes]]:
    """The payloads, of so many bytes at least, that answer each of the requests."""
    try:
        with _open(namespace) as sock:
            sock.settimeout(_SECONDS)
            return [[each for each in _dump(request, sock) if len(each) >= least] for request in requests]
    except OSError as error:
        raise InputError(
            "the kernel does not list its sockets",
            where=str(namespace or "NETLINK_SOCK_DIAG"),
            why=error.strerror or str(error),
            todo="Run as root; the kernel needs CONFIG_UNIX_DIAG and CONFIG_INET_DIAG (modules unix_diag, tcp_diag).",
        ) from error


def _dump(request: bytes, sock: socket.socket) -> Iterator[bytes]:
    sock.send(netlink.message(_SOCK_DIAG_BY_FAMILY, request, flags=netlink.REQUEST | netlink.DUMP))
    while True:
        for message in netlink.messages(sock.recv(_BUFFER)):
            if message.kind == netlink.NLMSG_DONE:
                return
            if message.kind == netlink.NLMSG_ERROR:
                raise netlink.error_of(message.payload) or OSError("an answer that is none")
            yield message.payload


def _open(namespace: Path | None) -> socket.socket:
    if namespace is None:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    # A network namespace belongs to a thread: one that enters it, makes the socket and ends.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it brings logging, for what few need

    with ThreadPoolExecutor(1) as entering:
        return entering.submit(_open_in, namespace).result()


def _open_in(namespace: Path) -> socket.socket:
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return _open(None)
    finally:
        os.close(descriptor)
