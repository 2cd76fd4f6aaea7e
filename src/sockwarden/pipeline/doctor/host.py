"""What the checks look at: read once, so that all speak of the same moment."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from sockwarden.errors import InputError, SockwardenError
from sockwarden.pipeline.running import Running, running
from sockwarden.sensors.audit.protocol import Control, Status
from sockwarden.sensors.audit.rule import ALWAYS, ARCH, DIR, EXIT, KEY, PATH, Rule
from sockwarden.sensors.audit.runtime import Changes, Runtime
from sockwarden.sensors.ebpf import ladder
from sockwarden.sensors.ebpf.ladder import NoRungError, Rung
from sockwarden.settings.load import load_config
from sockwarden.sockets import LiveSocket, packaged
from sockwarden.sockets.discovery import Discovery
from sockwarden.sockets.inventory import Inventory

_CONNECTS = {0xC000003E: 42, 0xC00000B7: 203}
"""connect by AUDIT_ARCH_*, where its number is of use here: x86_64 and aarch64. Elsewhere a rule's calls go unread."""


class Watcher(msgspec.Struct, frozen=True):
    """A watch that runs.

    since         in seconds since the epoch; None: unknown
    sensor, hook  what it runs on, and its rung; empty where it does not say
    """

    pid: int
    since: float | None
    sensor: str = ""
    hook: str = ""


class Survey(NamedTuple):
    """The rungs of the eBPF sensor's ladder, each tried; none where `nothing` says why no try was worth it."""

    rungs: Sequence[Rung] = ()
    nothing: NoRungError | None = None

    def best(self, only: str | None = None) -> str:
        """The best rung that works, of one alone if told; empty for none."""
        usable = (rung.name for rung in self.rungs if rung.usable)
        return next((name for name in usable if only in (None, name)), "")


class Host(msgspec.Struct):
    """This host at one moment.

    status, rules   the kernel's audit; None and empty where `audit_error` says why they could not be read
    sockets         runtime sockets; empty where `sockets_error` is set
    limits          what discovery could not look at
    paths, folders  what has to have rules
    watcher         the watch that runs
    changes         what a watch noted of audit's status; without a watcher it was killed
    use, only       [sensors] use, and [sensors.ebpf] rung: None for the best
    survey          what the eBPF sensor can do here
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
    use: str = "auto"
    only: str | None = None
    survey: Survey = Survey()

    @property
    def sensor(self) -> str:
        """What the running watch is on, else what one would take."""
        if self.watcher:
            return self.watcher.sensor or "audit"
        return "ebpf" if self.use != "audit" and self.survey.best(self.only) else "audit"

    @property
    def hook(self) -> str:
        """The rung of that, where it has one."""
        if self.watcher:
            return self.watcher.hook
        return self.survey.best(self.only) if self.sensor == "ebpf" else ""

    @property
    def by(self) -> str:
        """Both, for a person."""
        return f"{self.sensor} ({self.hook})" if self.hook else self.sensor

    @property
    def watched_by_ebpf(self) -> bool:
        """Whether the watch that runs needs no audit."""
        return self.watcher is not None and self.sensor == "ebpf"

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
    with suppress(SockwardenError):
        # A broken file has a finding of its own.
        sensors = load_config().sensors
        host.use, host.only = sensors.use, sensors.ebpf.rung or None
    host.survey = survey_of(ladder.packaged())
    catalogue = packaged()
    discovery, inventory = Discovery(catalogue), Inventory(catalogue)
    try:
        inventory.refresh(discovery.discover(), time.time())
    except InputError as error:
        host.sockets_error = error
    host.sockets, host.limits = inventory.live(), discovery.limits
    host.paths, host.folders = inventory.paths(), inventory.folders()
    return host


def survey_of(binary: bytes) -> Survey:
    """Tries every rung with an object."""
    try:
        return Survey(ladder.survey(binary))
    except NoRungError as error:
        return Survey((), error)


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
            pid, said = int(columns[4]), running(runtime)
            known = said if said and said.pid == pid else Running(pid, "")
            return Watcher(pid, _started(pid), known.sensor, known.hook)
    return None


def _started(pid: int) -> float | None:
    """When a process started, in seconds since the epoch."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
