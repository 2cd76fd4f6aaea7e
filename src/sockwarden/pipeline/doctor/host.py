"""What the checks look at: read once, so that all speak of the same moment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from sockwarden.errors import InputError
from sockwarden.sensors.audit.protocol import Control, Status
from sockwarden.sensors.audit.rule import ALWAYS, ARCH, DIR, EXIT, KEY, PATH, Rule
from sockwarden.sensors.audit.runtime import Changes, Runtime
from sockwarden.sockets import Discovery, Inventory, LiveSocket, packaged

_CONNECTS = {0xC000003E: 42, 0xC00000B7: 203}
"""connect by AUDIT_ARCH_*, where its number is of use here: x86_64 and aarch64. Elsewhere a rule's calls go unread."""


class Watcher(msgspec.Struct, frozen=True):
    """A watch that runs: its pid, and since when in seconds since the epoch (None: unknown)."""

    pid: int
    since: float | None


class Host(msgspec.Struct):
    """This host at one moment.

    status, rules   the kernel's audit; None and empty where `audit_error` says why they could not be read
    sockets         runtime sockets; empty where `sockets_error` is set
    limits          what discovery could not look at
    paths, folders  what has to have rules
    watcher         the watch that runs
    changes         what a watch noted of audit's status; without a watcher it was killed
    """

    runtime: Path
    status: Status | None = None
    rules: list[Rule] = []
    audit_error: InputError | None = None
    sockets: list[LiveSocket] = []
    sockets_error: InputError | None = None
    limits: list[str] = []
    paths: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    watcher: Watcher | None = None
    changes: Changes | None = None

    def covering(self, path: str) -> list[Rule]:
        """The rules that record a connect to this path, the first of which gets the record."""
        return [rule for rule in self.rules if covers(rule, path)]


def look(runtime: Path) -> Host:
    """Reads everything that the checks need."""
    host = Host(runtime, watcher=watcher(runtime), changes=Runtime(runtime).read())
    try:
        with Control() as control:
            host.status, host.rules = control.status(), control.rules()
    except InputError as error:
        host.audit_error = error
    except OSError as error:
        host.audit_error = InputError("the kernel's audit refused a request", why=error.strerror or str(error))
    catalogue = packaged()
    discovery, inventory = Discovery(catalogue), Inventory(catalogue)
    try:
        inventory.refresh(discovery.discover(), time.time())
    except InputError as error:
        host.sockets_error = error
    host.sockets, host.limits = inventory.live(), discovery.limits
    host.paths, host.folders = inventory.paths(), inventory.folders()
    return host


def covers(rule: Rule, path: str) -> bool:
    """Whether a rule records connects to a path, as far as its list, calls, path and folder tell: a further condition,
    on a user say, may still pass them over.
    """
    if (rule.filter, rule.action) != (EXIT, ALWAYS):
        return False
    arch = rule.value(ARCH)
    if isinstance(arch, int) and arch in _CONNECTS and not rule.names_call(_CONNECTS[arch]):
        return False
    if isinstance(arch, int) and not arch & 0x80000000:
        return False
    named, folder, target = rule.value(PATH), rule.value(DIR), os.fsencode(path)
    if isinstance(folder, bytes):
        return target.startswith(os.path.realpath(folder).rstrip(b"/") + b"/")
    if isinstance(named, bytes):
        # As the kernel takes it: links on the way are followed, one at the end is not.
        above, _, last = named.rpartition(b"/")
        same = last == target.rpartition(b"/")[2]
        return same and target == os.path.realpath(above or b"/").rstrip(b"/") + b"/" + last
    return {field.kind for field in rule.fields} <= {ARCH, KEY}


def watcher(runtime: Path) -> Watcher | None:
    """The watch that holds the lock: found in /proc/locks, since to try the lock could keep a watch from starting."""
    try:
        place = (runtime / "lock").stat()
        locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    # `1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF`, the device in hexadecimal (proc(5))
    file = f"{os.major(place.st_dev):02x}:{os.minor(place.st_dev):02x}:{place.st_ino}"
    for columns in map(str.split, locks):
        if len(columns) > 5 and columns[1] == "FLOCK" and columns[5] == file and columns[4].isdigit():
            return Watcher(int(columns[4]), _started(int(columns[4])))
    return None


def _started(pid: int) -> float | None:
    """When a process started, in seconds since the epoch."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
