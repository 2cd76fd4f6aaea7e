"""Machines that lack something: shell commands for a mount namespace, in which it is then hidden."""

from __future__ import annotations

HIDDEN_LIBBPF = (
    """ldconfig -p | sed -n 's/.*libbpf.so.1 .*=> //p' | while read at; do mount --bind /dev/null "$at"; done"""
)
HIDDEN_TYPES = "mount -t tmpfs none /sys/kernel/btf"


def without(hidden: str) -> list[str]:
    """What to put before a command, which then runs where something is hidden, as the same process."""
    return ["unshare", "-m", "sh", "-ec", f'{hidden}; exec "$@"', "sh"]


def securityfs(file: str, content: str) -> str:
    """Puts a file into the place of securityfs's."""
    at = "/sys/kernel/security"
    return f"mount -t tmpfs none {at} && echo '{content}' >{at}/{file} && echo '[none]' >>{at}/lockdown"
