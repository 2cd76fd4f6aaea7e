"""Who was behind an access: what the sensor's own record leaves open is filled in from the process cache.

What the record says (executable, pid, ids, directory, title) is the truth of the moment and stays.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from sockwarden.auditrecords.record import decode, fields, text
from sockwarden.document import Document, get, put
from sockwarden.enrich import clocks, procfs
from sockwarden.enrich.accounts import Accounts
from sockwarden.enrich.component import name_component
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.event import Moment
from sockwarden.enrich.origin import UNSEEN, Origin, image_at, origin_of
from sockwarden.enrich.process import Image, Process
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.session import Session, entry_of, session_of

_MOST_ANCESTORS = 8
_MOST_BYTES = 4096
"""Of argv; of another process than the actor the quarter."""
_CUT = 124
"""Bytes of a title from which on it may be cut: MAX_PROCTITLE_AUDIT_LEN (kernel/auditsc.c) less what is trimmed."""
_SLACK = 20_000_000
_LONGEST = 1 << 60
"""ns, 36 years: no machine runs so long, and a date can still tell it."""
_MOST_KNOWN = 256
"""Programs and processes whose fields are kept: those that make accesses now, and their ancestors."""
_FRESH_NS = 1_000_000_000
"""How long a lineage is told as it was found, while the cache heard of no change: the clocks may be set meanwhile."""
_ROLES = ("effective", "filesystem", "saved")


class _Lineage(NamedTuple):
    """What accesses of one process share as long as nothing happens to it or its ancestors; not to be changed.

    entity, start  of the process itself
    parent, leader ECS fields of its parent and its entry leader; cut: which of these have their args cut
    """

    entity: str
    start: str
    parent: dict[str, Any] | None
    leader: dict[str, Any] | None
    cut: tuple[str, ...]
    ancestors: list[dict[str, Any]]
    session: Session


class Who:
    """Fills documents in place; never waits for anything."""

    def __init__(self, cache: ProcessCache, containers: Containers, accounts: Accounts | None = None) -> None:
        self._cache = cache
        self._containers = containers
        self._accounts = accounts or Accounts()
        self._boot = procfs.boot()
        self._lineages: dict[Process, _Lineage] = {}
        self._found = (0, 0)

    def enrich(self, document: Document, moment: Moment | None = None) -> None:
        """Process, lineage, container, user, session and `sockwarden.actor` of a document of this host, of just now.

        With the moment that the kernel told, the process is that one and no other, and its program the one that it ran
        right then; else both go by `@timestamp`.
        """
        exact = bool(moment and moment.start)
        moment = moment or _moment(document)
        process = self._cache.find(moment, _around(document)) if moment else None
        origin = UNSEEN
        image = None
        executable = get(document, "process.executable")
        executable = executable if isinstance(executable, str) else None
        if process and moment:
            image = image_at(process, moment.time, executable, 0 if exact else _SLACK)
            origin = origin_of(process, image, self._cache.host)
            self._describe(document, process, image)
            if exact:
                image = _by_its_name_now(image, executable)
        _put_args(document, image, _entry_command(process, image, origin) if process and image else [])
        put(document, "sockwarden.actor.origin", origin.name)
        put(document, "sockwarden.actor.evidence", origin.evidence)
        self._contain(document, origin)
        self._name_users(document, origin)
        name_component(document)
        self._verify(document, image, origin, exact=exact)
        self._name_connector(document, process)
        if process and origin.name == "host":
            for field, value in zip(Session._fields, self._lineage(process).session, strict=True):
                put(document, f"sockwarden.session.{field}", value)

    def _describe(self, document: Document, process: Process, image: Image) -> None:
        place = document["process"]
        line = self._lineage(process)
        if place.get("executable") is None and image.executable:
            place["executable"] = image.executable
        if "name" not in place and process.name:
            place["name"] = process.name
        place["entity_id"], place["start"] = line.entity, line.start
        if "working_directory" not in place and image.directory:
            place["working_directory"] = image.directory
        parent = place.setdefault("parent", {})
        if line.parent and parent.get("pid") in (None, line.parent["pid"]):
            parent |= line.parent
        elif line.parent:
            # The record's parent is the one of now, after a reparenting; who forked it says more.
            place["parent"] = {**line.parent}
        if line.ancestors:
            put(document, "sockwarden.process.ancestors", line.ancestors)
        if line.leader:
            place["entry_leader"] = {**line.leader}
        for name in line.cut:
            put(document, f"sockwarden.process.{name}.args_cut", True)

    def _lineage(self, process: Process) -> _Lineage:
        found = self._cache.changes, time.monotonic_ns() // _FRESH_NS
        if found != self._found:
            self._lineages.clear()
            self._found = found
        line = self._lineages.get(process)
        if line is None:
            line = self._lineages[process] = self._look_up(process)
        return line

    def _look_up(self, process: Process) -> _Lineage:
        ancestors = [
            {"pid": each.pid, **({"executable": each.image.executable} if each.image.executable else {})}
            for each in islice(process.ancestors(), _MOST_ANCESTORS)
        ]
        entry = entry_of(process, self._cache.host)
        others = {"parent": process.parent, "entry_leader": entry.process if entry else None}
        return _Lineage(
            entity=self._entity(process),
            start=_iso(clocks.wall_of_boottime(process.born)),
            parent=self._of(process.parent) if process.parent else None,
            leader={**self._of(entry.process), "entry_meta": {"type": entry.type}} if entry else None,
            cut=tuple(name for name, each in others.items() if each and _argv(each.image, _MOST_BYTES // 4)[1]),
            ancestors=ancestors,
            session=session_of(process, self._cache.host),
        )

    def _of(self, process: Process) -> dict[str, Any]:
        """ECS fields of another process than the actor."""
        fields: dict[str, Any] = {
            "pid": process.pid,
            "entity_id": self._entity(process),
            "start": _iso(clocks.wall_of_boottime(process.born)),
        }
        if process.name:
            fields["name"] = process.name
        if process.image.executable:
            fields["executable"] = process.image.executable
        return fields | _argv(process.image, _MOST_BYTES // 4)[0]

    def _entity(self, process: Process) -> str:
        """Names this process among all of all boots."""
        return _entity_of(self._boot, process.pid, process.born // 10_000_000)

    def _name_connector(self, document: Document, process: Process | None) -> None:
        """Who made the connection that a process holds now, where the sensor told the pid. `start` and `time` (of the
        connect), as the sensor tells them, are ns of CLOCK_MONOTONIC. Without a start the pid may be another's by now:
        then only the process itself and its ancestors are believed to be meant.
        """
        place = get(document, "sockwarden.connection.connector")
        if not isinstance(place, dict) or not isinstance(pid := place.get("pid"), int):
            return
        start, when = place.get("start"), place.get("time")
        if isinstance(start, int):
            found = self._cache.find(Moment(pid, start, start))
        else:
            line = chain((process,), process.ancestors()) if process else ()
            found = next((each for each in line if each.pid == pid), None)
        for name, moment in (("start", start), ("time", when)):
            if isinstance(moment, int):
                place[name] = _iso(clocks.to_wall(moment % _LONGEST))
        if found is None:
            return
        image = image_at(found, when, None, 0) if isinstance(when, int) else found.image
        place["entity_id"] = self._entity(found)
        if image.executable and (found is not process or isinstance(when, int)):
            place.setdefault("executable", image.executable)
        if image is found.image and found.name:
            place.setdefault("name", found.name)

    def _contain(self, document: Document, origin: Origin) -> None:
        container = origin.container
        if container is None:
            return
        put(document, "container.id", container.id)
        put(document, "container.runtime", container.runtime)
        told = container.description
        if told is None:
            self._containers.look_up(container)
            return
        put(document, "container.name", told.name)
        put(document, "container.image.name", told.image)
        if told.pod:
            put(document, "orchestrator.type", "kubernetes")
            put(document, "orchestrator.namespace", told.pod.namespace or None)
            resource = {"type": "pod", "name": told.pod.name, "id": told.pod.uid}
            document["orchestrator"]["resource"] = {key: value for key, value in resource.items() if value}

    def _name_users(self, document: Document, origin: Origin) -> None:
        """A number in a container has a name of the container's own; a login is always the host's."""
        user = document.get("user")
        if not isinstance(user, dict):
            return
        names = self._accounts.names()
        _name(user.get("audit"), names.users)
        if origin.name == "host":
            for place in (user, *map(user.get, _ROLES)):
                _name(place, names.users)
            _name(user.get("group"), names.groups)

    def _verify(self, document: Document, image: Image | None, origin: Origin, *, exact: bool) -> None:
        """Proves a component, or its impersonation, where the process could be read. Those of the system run as root:
        any user may run the host's file, with a library of his own preloaded. It stays unsaid of one who uses it at a
        socket of his own. A process of which an exec told another program than it claims now has had the kernel told
        so (prctl(2), PR_SET_MM), which anybody may in a user namespace of his own.
        """
        component = get(document, "sockwarden.actor.component")
        proven = None
        if image and image.executable:
            same = image.executable == get(document, "process.executable")
            proven = image.installed if same else False if exact else None
        if origin.name == "container":
            proven = False
        if component is None or proven is None:
            return
        address = get(document, "sockwarden.socket.canonical")
        user = get(document, "user.effective.id")
        if proven and (user is None or (isinstance(address, str) and address.startswith(f"/run/user/{user}/"))):
            return
        verified = proven and user == "0"
        put(document, "sockwarden.actor.verified", verified)
        if not verified:
            put(document, "sockwarden.actor.impersonates", component)


def _entry_command(process: Process, image: Image, origin: Origin) -> list[str]:
    """argv of a container's entry point by its runtime's state, where runc made this process for it and it was gone
    before its own could be read.
    """
    told = origin.container.description if origin.container else None
    words = procfs.arguments(process.parent.image.command) if process.parent else []
    if told is None or image.command or process.inside != image.time or not {"create", "run"}.intersection(words[1:-1]):
        return []
    return list(told.command)


def _put_args(document: Document, image: Image | None, entry: list[str]) -> None:
    """argv: of the process, where it ran the program that the record tells or agrees with the record's title; else of
    the entry point that it is; else the title, where it is whole. The kernel keeps the title of the first record that
    a process caused, over any exec.
    """
    process = document.get("process")
    if not isinstance(process, dict) or "args" in process:
        return
    executable, title = process.get("executable"), process.get("title")
    args = procfs.arguments(image.command) if image else []
    if image and args and image.executable != executable and not (isinstance(title, str) and _agree(args, title)):
        args = []
    if not args:
        image = None
        args = entry
    if not args:
        told = _title(document)
        names = (str(executable).rpartition("/")[2], process.get("name"))
        args = told if told and _is_named(told[0], names) else []
    if image is None:
        command = b"".join(each.encode("utf-8", "backslashreplace") + b"\0" for each in args)
        image = Image(0, command=command, count=len(args))
    fields, cut = _argv(image, _MOST_BYTES)
    process |= fields
    if cut:
        put(document, "sockwarden.process.args_cut", True)


@lru_cache(_MOST_KNOWN)
def _entity_of(boot: str, pid: int, start: int) -> str:
    """By boot, pid and start in 10 ms, which /proc and events share."""
    words = f"{boot}/{pid}/{start}"
    return base64.urlsafe_b64encode(hashlib.sha256(words.encode()).digest()[:15]).decode()


@lru_cache(_MOST_KNOWN)
def _argv(image: Image, most: int) -> tuple[dict[str, Any], bool]:
    """ECS fields of the first bytes of argv, with the number of all arguments where known; whether it was cut. Not to
    be changed by its callers: one program makes many accesses.
    """
    command = image.command or b""
    args = procfs.arguments(command[:most])
    if not args:
        return {}, False
    cut = image.cut or len(command) > most or command.removesuffix(b"\0").count(b"\0") >= len(args)
    count = image.count if cut else len(args)
    known = {} if count is None else {"args_count": count}
    return {"args": args, **known, "command_line": " ".join(args)}, cut


def _is_named(program: str, names: tuple[object, ...]) -> bool:
    """Whether a first argument goes with the executable's or the process's name."""
    name = program.rpartition("/")[2].removeprefix("-")
    return bool(name) and any(isinstance(each, str) and (each == name[:15] or each.startswith(name)) for each in names)


def _agree(args: list[str], title: str) -> bool:
    line, title = " ".join(args).rstrip(" "), title.rstrip(" ")
    # A cut may fall into a character: the last ones are then written otherwise.
    return line == title or (len(title.encode()) >= _CUT and line.startswith(title[:-12]))


def _title(document: Document) -> list[str]:
    """argv as an audit record's PROCTITLE has it, which keeps the bounds that the title as text has lost; none where it
    may be cut.
    """
    records = get(document, "event.original")
    found = [each for each in records if str(each).startswith("type=PROCTITLE ")] if isinstance(records, list) else []
    raw = text(fields(found[0].encode()).get(b"proctitle")) if found else None
    return [decode(part) for part in raw.rstrip(b"\0").split(b"\0")] if raw and len(raw) < _CUT else []


def _by_its_name_now(image: Image, executable: str | None) -> Image:
    """An image by the path that the kernel tells of it now: unknown at the exec, or the file is unlinked since."""
    same = executable is not None and image.executable in (None, executable.removesuffix(" (deleted)"))
    return msgspec.structs.replace(image, executable=executable) if same else image


def _around(document: Document) -> procfs.Surroundings | None:
    """Where the process lived, as far as the sensor told in the document."""
    cgroup = get(document, "sockwarden.process.cgroup")
    mount, pids = (get(document, f"sockwarden.process.namespaces.{kind}") for kind in ("mount", "pid"))
    around = procfs.Surroundings(
        cgroup if isinstance(cgroup, str) else None,
        mount if isinstance(mount, int) else None,
        pids if isinstance(pids, int) else None,
    )
    return around if around != procfs.Surroundings() else None


def _name(place: object, names: Mapping[str, str]) -> None:
    """Adds the name to a user or a group that has none."""
    if not isinstance(place, dict) or place.get("name") is not None:
        return
    number = place.get("id")
    if isinstance(number, str) and (name := names.get(number)) is not None:
        place["name"] = name


def _moment(document: Document) -> Moment | None:
    """The moment of @timestamp."""
    pid, text = get(document, "process.pid"), document.get("@timestamp")
    try:
        seconds = datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
    if seconds is None or not isinstance(pid, int):
        return None
    return Moment(pid, 0, clocks.of_wall(round(seconds * 1000) * 1_000_000))


def _iso(wall: int) -> str:
    return _millisecond(wall // 1_000_000)


@lru_cache(_MOST_KNOWN)
def _millisecond(wall: int) -> str:
    return f"{datetime.fromtimestamp(wall // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{wall % 1000:03d}Z"
