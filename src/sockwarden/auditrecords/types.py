"""Record types: numbers and names (include/uapi/linux/audit.h; user types from audit userspace's audit-records.h).

Only types that belong to an access, teach a socket's identity or mark a boot need a name here. The wire and dmesg
carry numbers and a log carries names, so both become the name; any other number stays `UNKNOWN[n]`.
"""

from __future__ import annotations

_NAMES = {
    1006: "LOGIN",
    1127: "SYSTEM_BOOT",
    1128: "SYSTEM_SHUTDOWN",
    1200: "DAEMON_START",
    1300: "SYSCALL",
    1302: "PATH",
    1303: "IPC",
    1304: "SOCKETCALL",
    1305: "CONFIG_CHANGE",
    1306: "SOCKADDR",
    1307: "CWD",
    1309: "EXECVE",
    1317: "FD_PAIR",
    1318: "OBJ_PID",
    1320: "EOE",
    1323: "MMAP",
    1326: "SECCOMP",
    1327: "PROCTITLE",
    1334: "BPF",
    1336: "URINGOP",
    1337: "OPENAT2",
    1400: "AVC",
    1700: "ANOM_PROMISCUOUS",
    1702: "ANOM_LINK",
    1703: "ANOM_CREAT",
    2000: "KERNEL",
}
_UNKNOWN = {f"UNKNOWN[{number}]": name for number, name in _NAMES.items()}

COMPANIONS = frozenset(
    {
        "SYSCALL",
        "PATH",
        "IPC",
        "SOCKETCALL",
        "SOCKADDR",
        "CWD",
        "EXECVE",
        "FD_PAIR",
        "OBJ_PID",
        "MMAP",
        "SECCOMP",
    }
    | {"PROCTITLE", "BPF", "URINGOP", "OPENAT2", "AVC", "ANOM_PROMISCUOUS", "ANOM_LINK", "ANOM_CREAT", "EOE"}
    | {"CONFIG_CHANGE", "LOGIN"}
)
"""Types that may share their event with other records; every other type is an event of its own."""


def name_of(number: int) -> str:
    """The name that auditd writes for a type number."""
    return _NAMES.get(number) or f"UNKNOWN[{number}]"


def canonical(name: str) -> str:
    """A type as a log names it, with `UNKNOWN[1336]` of an older auditd read as what it is."""
    return _UNKNOWN.get(name, name)


def stands_alone(name: str) -> bool:
    """Whether a record of this type is a whole event."""
    return name not in COMPANIONS
