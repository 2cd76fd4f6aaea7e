"""Forks, execs, exits and renames of all processes, from the kernel's process connector (include/uapi/linux/cn_proc.h,
drivers/connector/cn_proc.c).

It takes the initial user, pid and network namespaces, and before Linux 6.6 CAP_NET_ADMIN. The kernel sends what it can
queue: what it could not is counted in `lost`, and a cache that lives on these events must then look at /proc again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time

from sockwarden import netlink
from sockwarden.enrich import ProcessEvent
from sockwarden.errors import InputError

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_LISTEN, _IGNORE = 1, 2
_CONNECTOR = struct.Struct("=IIIIHH")
"""struct cn_msg: idx, val, seq, ack, len, flags."""
_HEADER = struct.Struct("=IIQ")
"""struct proc_event: what, cpu, timestamp_ns; what follows depends on `what`."""
_IDS = struct.Struct("=II")
"""process_pid (the thread), process_tgid."""
_FORK = struct.Struct("=IIII")
"""parent_pid, parent_tgid, child_pid, child_tgid."""
_ACKNOWLEDGED, _FORKED, _EXECUTED, _NAMED, _EXITED = 0, 0x1, 0x2, 0x200, 0x80000000
_EVENT_AT = netlink.HEADER.size + _CONNECTOR.size
_DATA_AT = _EVENT_AT + _HEADER.size
_MOST_BYTES = 4096
_SO_RCVBUFFORCE = 33
"""include/uapi/asm-generic/socket.h; the module socket does not name it."""
_BUFFER = 16 << 20
"""Bytes of receive buffer. A queued event takes about 1 KiB of it: some 16,000 events."""
_PATIENCE = 2.0
"""Seconds in which the kernel acknowledges; it does so before the request returns, or never."""


class ProcConnector:
    """The process connector. `open`, then `receive` whenever `fileno` is readable, then `close`.

    lost  how many times events were dropped because nobody had read the earlier ones
    """

    def __init__(self) -> None:
        self.lost = 0
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Starts to listen. Raises InputError where the kernel or the privilege for it is missing."""
        if self._socket:
            return
        sock = None
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_CONNECTOR)
            self._widen(sock)
            sock.bind((0, _CN_IDX_PROC))
            sock.setblocking(False)
            self._listen(sock)
        except OSError as error:
            if sock:
                sock.close()
            raise _refused(error) from error
        self._socket = sock

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._socket is not None

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._opened().fileno()

    def receive(self, most: int = 1000) -> list[ProcessEvent]:
        """What has come, up to so many datagrams; empty when there is nothing. Never blocks."""
        sock, events = self._opened(), []
        for _ in range(most):
            try:
                datagram, (sender, _) = sock.recvfrom(_MOST_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1
                continue
            # Only the kernel has port 0: whoever else sends to the group is not believed.
            if sender == 0 and (event := _event(datagram)):
                events.append(event)
        return events

    def close(self) -> None:
        """Stops listening; a second call does nothing."""
        if self._socket:
            # Kernels before 6.6 count listeners by these requests and not by open sockets.
            with contextlib.suppress(OSError):
                self._socket.send(_request(_IGNORE, 0))
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("ProcConnector is used outside open and close")
        return self._socket

    @staticmethod
    def _widen(sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)

    @staticmethod
    def _listen(sock: socket.socket) -> None:
        """Asks for events and waits for the acknowledgement: outside the initial user and pid namespaces the kernel
        passes the request over in silence.
        """
        number = int.from_bytes(os.urandom(4), "little") >> 1
        sock.send(_request(_LISTEN, number))
        end = time.monotonic() + _PATIENCE
        while (left := end - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                break
            try:
                datagram, (sender, _) = sock.recvfrom(_MOST_BYTES)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue
                raise
            code = _acknowledgement(datagram, number) if sender == 0 else None
            if code:
                raise OSError(code, os.strerror(code))
            if code == 0:
                return
        raise OSError(errno.ETIMEDOUT, "the kernel did not acknowledge the request")


def _request(operation: int, number: int) -> bytes:
    payload = struct.pack("=I", operation)
    connector = _CONNECTOR.pack(_CN_IDX_PROC, _CN_VAL_PROC, number, number, len(payload), 0)
    return netlink.message(netlink.NLMSG_DONE, connector + payload, flags=0)


def _proc_event(datagram: bytes) -> bool:
    """Whether it is long enough, and of the process connector."""
    if len(datagram) < _DATA_AT + _FORK.size:
        return False
    index, value, *_ = _CONNECTOR.unpack_from(datagram, netlink.HEADER.size)
    return (index, value) == (_CN_IDX_PROC, _CN_VAL_PROC)


def _acknowledgement(datagram: bytes, number: int) -> int | None:
    """The errno (0 for success) that answers our request; None for any other datagram."""
    if not _proc_event(datagram) or _HEADER.unpack_from(datagram, _EVENT_AT)[0] != _ACKNOWLEDGED:
        return None
    # The sequence is the request's on some kernels and the sender's own on others.
    if _CONNECTOR.unpack_from(datagram, netlink.HEADER.size)[3] != number + 1:
        return None
    return int(_IDS.unpack_from(datagram, _DATA_AT)[0])


def _event(datagram: bytes) -> ProcessEvent | None:
    """The event in a datagram; None for threads and for kinds that nobody here asks about."""
    if not _proc_event(datagram):
        return None
    what, _, stamp = _HEADER.unpack_from(datagram, _EVENT_AT)
    if what == _FORKED:
        _, parent, thread, pid = _FORK.unpack_from(datagram, _DATA_AT)
        return ProcessEvent("fork", pid, stamp, parent=parent) if thread == pid else None
    thread, pid = _IDS.unpack_from(datagram, _DATA_AT)
    if thread != pid:
        return None
    if what == _EXECUTED:
        return ProcessEvent("exec", pid, stamp)
    if what == _EXITED:
        return ProcessEvent("exit", pid, stamp)
    if what == _NAMED:
        name = datagram[_DATA_AT + _IDS.size :][:16].split(b"\0", 1)[0]
        return ProcessEvent("comm", pid, stamp, name=name.decode("utf-8", "backslashreplace"))
    return None


def _refused(error: OSError) -> InputError:
    reasons = {
        errno.EPERM: ("it takes CAP_NET_ADMIN", "run as root"),
        errno.EPROTONOSUPPORT: (
            "the kernel was built without CONFIG_CONNECTOR",
            "use a kernel with CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y",
        ),
        errno.ECONNREFUSED: (
            "the kernel offers it in the initial network namespace only",
            "run in the host's network namespace",
        ),
        errno.ETIMEDOUT: (
            "the kernel does not answer: without CONFIG_PROC_EVENTS, or this is not the host's user and pid namespace",
            "use a kernel with CONFIG_PROC_EVENTS=y and run outside of any container",
        ),
    }
    why, todo = reasons.get(error.errno or 0, (error.strerror or str(error), "look for the cause in the kernel's log"))
    return InputError("process events cannot be followed", where="process connector", why=why, todo=todo)
