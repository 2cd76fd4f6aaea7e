"""Who acts: what the documents of one actor have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sockwarden.document import Document, get

_UNSET = ("4294967295", "-1", "unset")
"""auid and session of a process that no login made, as the kernel and audit write it."""
_EVERYBODYS = (
    "systemd",
    "init",
    "docker-init",
    "tini",
    "dumb-init",
    "catatonit",
    "sshd",
    "sshd-session",
    "cron",
    "crond",
    "atd",
    "login",
    "agetty",
    "kubelet",
    "dockerd",
    "containerd",
    "conmon",
)
"""Programs whose children have nothing in common but that they were started. A program that only calls itself so
splits its own story in several, each graded by itself.
"""
_SHIM = "containerd-shim"


class Actor(NamedTuple):
    """kind: container, session, component or process; unknown where the document does not even tell a process.
    key: tells it from all others of its kind within a boot.
    """

    kind: str
    key: str


def actor_of(document: Document) -> Actor:
    """The container; else the login session; else the proven component's process; else the topmost ancestor that is
    not everybody's.
    """
    if container := get(document, "container.id"):
        return Actor("container", str(container))
    login = get(document, "user.audit.id")
    session = get(document, "auditd.session") or get(document, "sockwarden.process.session")
    if _is_set(login) and _is_set(session):
        return Actor("session", f"{login}/{session}")
    pid = get(document, "process.pid")
    if pid is None:
        return Actor("unknown", str(get(document, "sockwarden.socket.canonical") or ""))
    if get(document, "sockwarden.actor.verified") is True:
        return Actor("component", _named(document["process"]))
    top: Any = document["process"]
    for ancestor in _ancestors(document):
        if _is_everybodys(ancestor):
            break
        top = ancestor
    leader = get(document, "process.entry_leader")
    if isinstance(leader, dict) and leader.get("pid") == top.get("pid"):
        top = leader
    return Actor("process", _named(top))


def _is_set(value: object) -> bool:
    return value is not None and str(value) not in _UNSET


def _named(process: Document) -> str:
    """By its entity id, where the document tells that, else by pid and program: until the pid is another's."""
    entity = process.get("entity_id")
    return str(entity) if entity else f"{process.get('pid')} {process.get('executable') or ''}"


def _ancestors(document: Document) -> Iterator[Document]:
    """Nearest first; the parent with all that is known of it."""
    parent, above = get(document, "process.parent"), get(document, "sockwarden.process.ancestors")
    known = parent if isinstance(parent, dict) else {}
    line = [each for each in above if isinstance(each, dict)] if isinstance(above, list) else []
    if known.get("pid") is not None and not (line and line[0].get("pid") == known["pid"]):
        yield known
    for ancestor in line:
        yield {**ancestor, **known} if ancestor.get("pid") == known.get("pid") else ancestor


def _is_everybodys(process: Document) -> bool:
    name = str(process.get("executable") or "").rpartition("/")[2].removesuffix(" (deleted)")
    return process.get("pid") in (0, 1) or name in _EVERYBODYS or name.startswith(_SHIM)
