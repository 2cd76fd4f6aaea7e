"""NETLINK_AUDIT's requests: status and rules (struct audit_status, include/uapi/linux/audit.h; kernel/audit.c).

A Control asks the kernel and waits for its answer. Status and rules change only here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from sockwarden import netlink
from sockwarden.sensors.audit.privilege import open_socket, refused
from sockwarden.sensors.audit.rule import Rule, decode, encode

_GET, _SET, _ADD_RULE, _DEL_RULE, _LIST_RULES = 1000, 1001, 1011, 1012, 1013

_PATIENCE = 5.0
"""Seconds to wait for an answer. The kernel answers at once unless another program holds audit's control lock."""
_LARGEST = 65536
"""Bytes of one answer: a rule has at most 64 fields, each string at most PATH_MAX, and auditctl's are far below."""

_STATUS = struct.Struct("=11I")
_MASKS = {"enabled": 1, "failure": 2, "pid": 4, "rate_limit": 8, "backlog_limit": 16, "backlog_wait_time": 32}
"""AUDIT_STATUS_*: which members of an AUDIT_SET count."""


class Status(msgspec.Struct, frozen=True):
    """struct audit_status. enabled 0, 1, or 2 (locked until reboot); failure 0 silent, 1 printk, 2 panic; pid of the
    auditd that owns the unicast side, 0 for none; lost counts records since boot; backlog_wait_time in jiffies.
    """

    enabled: int
    failure: int
    pid: int
    rate_limit: int
    backlog_limit: int
    lost: int
    backlog: int
    features: int
    backlog_wait_time: int


class Control:
    """One open NETLINK_AUDIT socket for requests. Opening raises InputError where audit cannot be used at all; a
    request raises OSError where the kernel refuses it, and its TimeoutError where no answer comes.
    """

    def __init__(self) -> None:
        self._socket = open_socket()
        self._socket.settimeout(_PATIENCE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def close(self) -> None:
        self._socket.close()

    def status(self) -> Status:
        """AUDIT_GET."""
        self._send(_GET, b"", netlink.REQUEST)
        for answer in self._answers():
            if answer.kind == _GET:
                members = _STATUS.unpack(answer.payload[: _STATUS.size].ljust(_STATUS.size, b"\0"))
                return Status(*members[1:10])
        raise AssertionError("answers end only by an error")

    def set_status(self, **members: int) -> None:
        """AUDIT_SET of these members alone, one after the other, so that a refusal names one."""
        for name, value in members.items():
            self._order(_SET, _setting(name, value))

    def rules(self) -> list[Rule]:
        """AUDIT_LIST_RULES: list by list, each in the order in which its rules count."""
        self._send(_LIST_RULES, b"", netlink.REQUEST)
        found = []
        for answer in self._answers():
            if answer.kind == netlink.NLMSG_DONE:
                break
            if answer.kind == _LIST_RULES:
                found.append(decode(answer.payload))
        return found

    def add(self, rule: Rule) -> None:
        """AUDIT_ADD_RULE. OSError: EEXIST it is there; ENOENT the path's parent is not; EINVAL not known here."""
        self._order(_ADD_RULE, encode(rule))

    def delete(self, rule: Rule) -> None:
        """AUDIT_DEL_RULE. OSError ENOENT: no such rule.

        The kernel waits for an RCU grace period with each, within the request and under a lock: 8 to 16 ms measured on
        Linux 6.18. Neither requests without acknowledgement nor several sockets at once make it faster.
        """
        self._order(_DEL_RULE, encode(rule))

    def _order(self, kind: int, payload: bytes) -> None:
        self._send(kind, payload, netlink.REQUEST | netlink.ACK)
        next(iter(self._answers()), None)

    def _send(self, kind: int, payload: bytes, flags: int) -> None:
        self._sequence += 1
        self._socket.sendto(netlink.message(kind, payload, flags=flags, sequence=self._sequence), (0, 0))

    def _answers(self) -> Iterator[netlink.Message]:
        """The answers to the latest request; the last is an acknowledgement, which has an NLMSG_ERROR without error.

        The kernel makes the list of rules in a thread of its own, so answers to an earlier request may come in between.
        """
        while True:
            datagram, sender = self._socket.recvfrom(_LARGEST)
            if sender[0] != 0:
                continue
            for answer in netlink.messages(datagram):
                if answer.sequence != self._sequence:
                    continue
                if answer.kind == netlink.NLMSG_ERROR and (error := netlink.error_of(answer.payload)):
                    raise error
                yield answer


def read_status() -> Status:
    """Audit's status, read only. InputError where it cannot be read."""
    with Control() as control:
        try:
            return control.status()
        except OSError as error:
            raise refused(error) from None


def list_rules() -> list[Rule]:
    """All audit rules, list by list in their order; str() of one is what auditctl prints. InputError as above."""
    with Control() as control:
        try:
            return control.rules()
        except OSError as error:
            raise refused(error) from None


def registration(pid: int) -> bytes:
    """The message by which the socket that sends it becomes the one that the kernel sends records to: AUDIT_SET of pid,
    without an acknowledgement, which would stand among the records.
    """
    return netlink.message(_SET, _setting("pid", pid))


def _setting(name: str, value: int) -> bytes:
    row = dict.fromkeys(Status.__struct_fields__, 0) | {name: value}
    return _STATUS.pack(_MASKS[name], *row.values(), 0)
