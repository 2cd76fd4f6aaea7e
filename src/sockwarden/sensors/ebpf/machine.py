"""What a machine must have before any BPF program of ours can be loaded, and before those of a rung can.

What can be told without trying is told here, with the mend; the rest the kernel says when it is tried (`ladder`).
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from sockwarden.errors import InputError
from sockwarden.sensors.ebpf import kernelfs
from sockwarden.sensors.ebpf.libbpf import Library, load

ARCHITECTURE = "x86_64"
"""The one that the object is compiled for."""

_CAPABILITIES = {"CAP_PERFMON": 38, "CAP_BPF": 39}
_SYS_ADMIN = 21
"""Stands for both, and before Linux 5.8 is the only one."""
_FIRST_USER_NAMESPACE = 0xEFFFFFFD
"""Inode of the initial one (include/linux/proc_ns.h): what another one grants does not count for BPF."""
_BTF = Path("/sys/kernel/btf/vmlinux")
_KPROBES = Path("/sys/bus/event_source/devices/kprobe")
_AUDIT = "watch by the kernel's audit instead: `sockwarden watch --sensor audit`"


def ready() -> Library:
    """libbpf, where nothing stands in the way of BPF as such. Raises InputError."""
    if (here := platform.machine()) != ARCHITECTURE:
        raise InputError(
            f"there are no BPF programs for {here}", why=f"they are compiled for {ARCHITECTURE} alone", todo=_AUDIT
        )
    if lacking := _privilege():
        raise lacking
    library = load()
    if trouble := _btf() or _lockdown():
        raise trouble
    return library


def trouble_of(rung: str) -> InputError | None:
    """What keeps the programs of a rung from working, though they might load; None: try."""
    if rung == "lsm":
        return _lsm()
    if rung == "kprobe" and not _KPROBES.exists():
        return InputError(
            "the kernel has no kprobes",
            where=str(_KPROBES),
            why="it was built without CONFIG_KPROBE_EVENTS, or /sys is hidden from this process",
            todo="use a kernel with CONFIG_KPROBE_EVENTS=y, as every major distribution's is",
        )
    return None


def _btf() -> InputError | None:
    if os.access(_BTF, os.R_OK):
        return None
    return InputError(
        "the kernel's types cannot be read",
        where=str(_BTF),
        why="it was built without CONFIG_DEBUG_INFO_BTF, or /sys is hidden from this process",
        todo=f"use a kernel with CONFIG_DEBUG_INFO_BTF=y, as every major distribution's is since 2021; {_AUDIT}",
    )


def _lockdown() -> InputError | None:
    if "[confidentiality]" not in _security("lockdown"):
        return None
    return InputError(
        "the kernel is locked down",
        where="/sys/kernel/security/lockdown",
        why="lockdown=confidentiality forbids BPF programs to read the kernel's memory",
        todo=f"boot with lockdown=integrity; {_AUDIT}",
    )


def _lsm() -> InputError | None:
    active = _security("lsm")
    # Programs of this kind load without it too, and are then never called.
    if not active or "bpf" in active.split(","):
        return None
    return InputError(
        "the security module bpf is not active",
        where="/sys/kernel/security/lsm",
        why=f"active are {active}",
        todo=f"boot with lsm={active},bpf (needs CONFIG_BPF_LSM=y)",
    )


def _privilege() -> InputError | None:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(found[1], 16) if found else -1
    lacking = [] if effective >> _SYS_ADMIN & 1 else [n for n, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if lacking:
        names = " and ".join(lacking)
        return InputError(
            f"this process lacks {names}" if os.geteuid() == 0 else f"BPF programs need root ({names})",
            why="only a process with both capabilities can load programs that look into the kernel",
            todo="run it as root: `sudo sockwarden watch`"
            if os.geteuid()
            else f"give the service {names} (CapabilityBoundingSet=, --cap-add)",
        )
    if Path("/proc/self/ns/user").stat().st_ino != _FIRST_USER_NAMESPACE:
        return InputError(
            "this process is in a user namespace of its own",
            where="/proc/self/ns/user",
            why="the kernel takes such programs from the host's user namespace alone",
            todo="run it on the host itself as root: `sudo sockwarden watch`",
        )
    return None


def _security(file: str) -> str:
    """A file of securityfs; empty where the kernel does not tell, so that loading decides."""
    try:
        return kernelfs.read("securityfs", file)
    except OSError:
        return ""
