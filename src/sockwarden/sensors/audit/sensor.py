"""The kernel audit sensor: subscribes to records, keeps rules on sockets, and puts everything back."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.sensors.audit.blind import Audit, blind_spots
from sockwarden.sensors.audit.changes import BACKLOG, planned, refuse, undo
from sockwarden.sensors.audit.losses import Loss, Losses
from sockwarden.sensors.audit.placement import Placement
from sockwarden.sensors.audit.privilege import open_socket, refused
from sockwarden.sensors.audit.protocol import Control, Status, registration
from sockwarden.sensors.audit.rule import Rule
from sockwarden.sensors.audit.runtime import DEFAULT, Changes, Runtime
from sockwarden.sensors.audit.tamper import harmful, shadows
from sockwarden.sensors.audit.targets import architectures, ours
from sockwarden.sensors.limits import BlindSpot, Unwatched

_READLOG = 1
"""AUDIT_NLGRP_READLOG, the multicast group to which the kernel sends every record."""
_BUFFER = 64 << 20
"""Receive buffer, which the kernel doubles and fills only as needed: an access is about seven records of 1 KiB with
their bookkeeping, so that at 2,000 accesses a second a pause of eight seconds is bridged."""
_SO_RCVBUFFORCE = 33
_LARGEST = 16384
"""Bytes of a datagram: AUDIT_MESSAGE_TEXT_MAX is 8560."""


class Leftover(msgspec.Struct, frozen=True):
    """What a killed run had left.

    rules       those that have been in place all along, as auditctl prints them
    pid         of that run; None where its audit.json is gone
    seen_alive  when it was last seen alive, in seconds since the epoch
    """

    rules: list[str]
    pid: int | None
    seen_alive: float | None


class AuditSensor:
    """Live audit records. One object serves one run, in one thread.

    unicast  takes the place of auditd: a later auditd is kept out, and a slow reader stalls every audited call
    backlog  records that the kernel may queue, at least
    """

    def __init__(self, runtime: Path = DEFAULT, *, unicast: bool = False, backlog: int = BACKLOG) -> None:
        self.leftover: Leftover | None = None
        self._unicast = unicast
        self._backlog = backlog
        self._runtime = Runtime(runtime)
        self._control: Control | None = None
        self._records: socket.socket | None = None
        self._changes: Changes | None = None
        self._placement = Placement()
        self._noticed: list[Trouble] = []
        self._standing: list[Trouble] = []
        self._listed: list[Rule] = []
        self._shadows: list[Trouble] = []
        self._loss = Loss()

    def open(self) -> Leftover | None:
        """Takes the lock, subscribes, and switches audit on. Nothing is changed where InputError is raised."""
        with ExitStack() as undoing:
            architectures()
            control = undoing.enter_context(Control())
            self._runtime.lock()
            undoing.callback(self._runtime.release)
            try:
                status, listed = control.status(), control.rules()
            except OSError as error:
                raise refused(error) from None
            refuse(status)
            if self._unicast and status.pid:
                raise _owned(status.pid)
            earlier = self._runtime.read()
            self.leftover = _leftover(self._runtime, earlier, listed)
            records = undoing.enter_context(open_socket(nonblocking=True))
            _subscribe(records, multicast=not self._unicast)
            self._changes = planned(status, earlier, enabled_at=self._runtime.enabled_at(), backlog=self._backlog)
            self._runtime.write(self._changes)
            undoing.callback(self._put_back, control)
            try:
                control.set_status(**self._changes.ours)
                owner = _own(records, control) if self._unicast else os.getpid()
            except OSError as error:
                raise refused(error) from None
            if owner != os.getpid():
                raise _owned(owner)
            self._loss.start(status)
            self._control, self._records = control, records
            undoing.pop_all()
        return self.leftover

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._opened()[1].fileno()

    def follow(self, paths: Collection[str], folders: Collection[str] = ()) -> list[Unwatched]:
        """Makes our rules fit these sockets and these folders with all below: those that could not be watched, and why.

        A rule holds for a socket that is made again under the same name. It goes when its folder goes; the next call
        with the folder there again puts it back.
        """
        control, _ = self._opened()
        self._placement.want(paths, folders)
        try:
            self._fit(control)
        except OSError as error:
            raise refused(error) from None
        return self._placement.unwatched()

    def unwatched(self) -> list[Unwatched]:
        """What `follow` was asked to watch and has no rule as of the last look."""
        return self._placement.unwatched()

    def receive(self, most: int) -> list[bytes]:
        """The datagrams that are there, at most so many; empty where none is. Only the kernel's are taken: whoever has
        CAP_NET_ADMIN can send to this socket too.
        """
        _, records = self._opened()
        datagrams = []
        for _ in range(most):
            try:
                datagram, sender = records.recvfrom(_LARGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise refused(error) from None
                self._loss.overruns += 1
                continue
            if sender[0] == 0:
                datagrams.append(datagram)
            else:
                self._loss.foreign += 1
        return datagrams

    def check(self, now: float) -> list[Trouble]:
        """Looks at rules, status and losses, mends what can be mended, and tells what is new since the last look.

        now: seconds of any clock that does not go back. Call it every two seconds and on a CONFIG_CHANGE record.
        """
        control, records = self._opened()
        self._runtime.alive()
        standing: list[Trouble] = []
        try:
            status = control.status()
            standing += self._enable(control, status)
            standing += self._owner(control, records, status)
            listed = self._fit(control)
            if listed != self._listed:
                self._listed, self._shadows = listed, shadows(listed)
            standing += self._shadows
            standing += harmful(status, self._backlog)
            self._loss.count(status, records)
            lost = self._loss.tell(now, status)
        except OSError as error:
            why = f"the kernel's audit does not answer the watch: {error.strerror or error}"
            silent = Trouble("sensor-not-watching", why, "NETLINK_AUDIT")
            standing, lost = [*(trouble for trouble in self._standing if trouble != silent), silent], []
        new = [trouble for trouble in standing if trouble not in self._standing]
        noticed, self._noticed, self._standing = self._noticed, [], standing
        return [*noticed, *new, *lost]

    def losses(self) -> Losses:
        """What has been lost so far; after `close`, in all."""
        if self._control and self._records:
            with suppress(OSError):
                self._loss.count(self._control.status(), self._records)
        return self._loss.losses

    def blind_spots(
        self, gids: Collection[int] = (), *, has_tcp: bool = False, has_abstract: bool = False
    ) -> list[BlindSpot]:
        """What this sensor cannot see on this host; gids: groups that may write to a socket.

        To be asked after `follow`, which finds out what the kernel knows.
        """
        control, _ = self._opened()
        try:
            rules = control.rules()
        except OSError as error:
            raise refused(error) from None
        changes = self._changes
        audit = Audit(
            changes.enabled_at if changes else None,
            changes.auditd if changes else 0,
            rules,
            self._placement.io_uring,
        )
        return blind_spots(audit, gids, has_tcp=has_tcp, has_abstract=has_abstract)

    def status(self) -> Status:
        """Audit's status now."""
        control, _ = self._opened()
        try:
            return control.status()
        except OSError as error:
            raise refused(error) from None

    def close(self) -> list[str]:
        """Puts rules and status back and gives the lock back: what could not be put back, each with its reason."""
        if self._control is None or self._records is None:
            return []
        control, records = self._control, self._records
        self.losses()
        self._control = self._records = None
        failed = self._put_back(control)
        records.close()
        control.close()
        self._runtime.release()
        return failed

    def _opened(self) -> tuple[Control, socket.socket]:
        if self._control is None or self._records is None:
            raise InputError("the audit sensor is not open")
        return self._control, self._records

    def _put_back(self, control: Control) -> list[str]:
        failed = []
        if self._unicast:
            try:
                if control.status().pid == os.getpid():
                    control.set_status(pid=0)
            except OSError as error:
                failed.append(f"audit's unicast side ({error.strerror or error})")
        failed += undo(control, self._changes)[1]
        if not failed:
            self._runtime.clear()
        return failed

    def _fit(self, control: Control) -> list[Rule]:
        """Makes the rules fit, and notices what had happened to them: all rules as they are then."""
        fit = self._placement.fit(control)
        if fit.by_others:
            self._noticed.append(
                Trouble(
                    "audit-rules-removed",
                    f"{len(fit.by_others)} audit rules of the watch had been removed, and accesses were not recorded "
                    "until they were put back",
                    _some(fit.by_others),
                )
            )
        if fit.with_folder:
            self._noticed.append(
                Trouble(
                    "socket-out-of-sight",
                    "the folder of a watched socket was replaced, and accesses below it were not recorded until its "
                    "rules were put back",
                    _some(fit.with_folder),
                )
            )
        return fit.listed

    def _enable(self, control: Control, status: Status) -> list[Trouble]:
        if status.enabled:
            return []
        try:
            control.set_status(enabled=1)
        except OSError as error:
            why = f"audit has been switched off, and could not be switched on again: {error.strerror or error}"
            return [Trouble("audit-disabled", why, "enabled 0")]
        why = "audit had been switched off, and accesses were not recorded until it was switched on again"
        self._noticed.append(Trouble("audit-disabled", why, "enabled 0"))
        return []

    def _owner(self, control: Control, records: socket.socket, status: Status) -> list[Trouble]:
        """With unicast: whether the kernel still sends here; it turns away from a reader that does not read."""
        if not self._unicast or status.pid == os.getpid():
            return []
        owner = status.pid or _own(records, control)
        if owner != os.getpid():
            return [Trouble("sensor-not-watching", _owned(owner).what, f"pid {owner}")]
        why = "the kernel had given up sending records to the watch, and sends them again"
        self._noticed.append(Trouble("sensor-not-watching", why, "pid 0"))
        return []


def _subscribe(records: socket.socket, *, multicast: bool) -> None:
    try:
        try:
            records.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:  # without CAP_NET_ADMIN the buffer is as large as net.core.rmem_max allows
            records.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        records.bind((0, _READLOG if multicast else 0))
    except OSError as error:
        raise refused(error) from None


def _own(records: socket.socket, control: Control) -> int:
    """Makes this socket the one that the kernel sends records to: the pid that owns audit then; another was faster, or
    0: nobody, the kernel refused.
    """
    records.sendto(registration(os.getpid()), (0, 0))
    return control.status().pid


def _owned(pid: int) -> InputError:
    return InputError(
        f"another process owns audit (pid {pid})" if pid else "the kernel does not send audit's records to the watch",
        why="the kernel sends records to one owner alone, auditd or one in its place",
        todo="leave out --audit-unicast: the watch then gets every record beside it",
    )


def _leftover(runtime: Runtime, earlier: Changes | None, listed: list[Rule]) -> Leftover | None:
    rules = [str(rule) for rule in listed if ours(rule)]
    if not rules:
        return None
    return Leftover(rules, earlier.pid if earlier else None, runtime.seen_alive() if earlier else None)


def _some(rules: list[Rule]) -> str:
    """The first few: a trouble is read by people."""
    return "; ".join(map(str, rules[:3])) + (f"; and {len(rules) - 3} more" if len(rules) > 3 else "")
