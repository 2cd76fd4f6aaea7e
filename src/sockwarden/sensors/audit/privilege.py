"""What it takes to speak to the kernel's audit, and which part of it is missing.

The kernel (kernel/audit.c, audit_netlink_ok and audit_multicast_bind) takes requests only from the initial user and pid
namespaces with CAP_AUDIT_CONTROL, lets CAP_AUDIT_READ listen, and sends records to the initial network namespace only.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from sockwarden.errors import InputError

NETLINK_AUDIT = 9

_NAMESPACES = {"user": 0xEFFFFFFD, "pid": 0xEFFFFFFC}
"""Inodes of the initial namespaces (include/linux/proc_ns.h). The network's has no fixed one in older
kernels; kthreadd, pid 2, is in it."""
_CAPABILITIES = {"CAP_AUDIT_CONTROL": 30, "CAP_AUDIT_READ": 37}
_WAY_ON = "run it on the host itself as root: `sudo sockwarden watch`"


def open_socket(*, nonblocking: bool = False) -> socket.socket:
    """A NETLINK_AUDIT socket. InputError where this process could not use one."""
    flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | (socket.SOCK_NONBLOCK if nonblocking else 0)
    try:
        opened = socket.socket(socket.AF_NETLINK, flags, NETLINK_AUDIT)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
            raise _absent() from None
        raise InputError(f"no socket for the kernel's audit: {error.strerror}", todo=_WAY_ON) from None
    if missing := _missing():
        opened.close()
        raise missing
    return opened


def boot_parameters() -> dict[str, str]:
    """The kernel's command line; of a parameter given twice the last. Empty where /proc does not tell."""
    try:
        words = Path("/proc/cmdline").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return {}
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def refused(error: OSError) -> InputError:
    """Why the kernel refused a request of one who is allowed to make it."""
    if isinstance(error, TimeoutError):
        return InputError(
            "the kernel's audit does not answer",
            why="another program may be holding it: a large rule set being loaded, or a stopped auditd",
            todo="try again; `auditctl -s` shows whether it answers others",
        )
    return InputError(
        f"the kernel's audit refused a request: {error.strerror}",
        why="its configuration is locked until the next boot (`auditctl -s` says enabled 2), or a security module or "
        "seccomp filter forbids it"
        if error.errno in (errno.EPERM, errno.EACCES, errno.ECONNREFUSED)
        else "",
        todo="look at `auditctl -s`, at the kernel's messages (`dmesg`) and at what confines this process",
    )


def _absent() -> InputError:
    if boot_parameters().get("audit") in ("0", "off"):
        return InputError(
            "the kernel's audit is switched off",
            where="/proc/cmdline",
            why="the boot parameter audit=0 is set, and nothing can undo it while the system runs",
            todo="boot without audit=0; audit=1 also covers every process from the first",
        )
    return InputError(
        "the kernel has no audit",
        why="it was built without CONFIG_AUDIT",
        todo="use a kernel with CONFIG_AUDITSYSCALL=y, as every major distribution's is",
    )


def _missing() -> InputError | None:
    for name, initial in _NAMESPACES.items():
        if _inode(f"/proc/self/ns/{name}") not in (None, initial):
            return InputError(
                f"this process is in a {name} namespace of its own",
                where=f"/proc/self/ns/{name}",
                why="the kernel's audit serves the host alone, not a container",
                todo=f"{_WAY_ON}; in a container, start it with the host's {name} namespace",
            )
    here, host = _inode("/proc/self/ns/net"), _inode("/proc/2/ns/net")
    if None not in (here, host) and here != host:
        return InputError(
            "this process is in a network namespace of its own",
            where="/proc/self/ns/net",
            why="the kernel sends audit records to the host's network namespace alone",
            todo=f"{_WAY_ON}; in a container, start it with the host's network namespace",
        )
    if lacking := [name for name, bit in _CAPABILITIES.items() if not _effective() >> bit & 1]:
        names = " and ".join(lacking)
        return InputError(
            f"this process lacks {names}" if os.geteuid() == 0 else f"reading the kernel's audit needs root ({names})",
            why="only a process with both capabilities can set audit rules and read records",
            todo=_WAY_ON if os.geteuid() else f"give the service {names} (CapabilityBoundingSet=, --cap-add)",
        )
    return None


def _inode(link: str) -> int | None:
    try:
        return Path(link).stat().st_ino
    except OSError:
        return None


def _effective() -> int:
    """The effective capabilities as a bit mask; all bits where /proc does not tell, so that the kernel decides."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return -1
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), -1)
