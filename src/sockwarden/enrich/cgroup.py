r"""Which container a cgroup belongs to: names that runtimes give (systemd and cgroupfs drivers, cgroup v1 and v2).

    docker       docker-ID.scope   docker/ID   any parent/ID
    containerd   cri-containerd-ID.scope   kubepods…:cri-containerd:ID   nerdctl-ID.scope   NAMESPACE/ID
    crio         crio-ID.scope (crio-conmon-ID.scope is the monitor, outside)
    podman       libpod-ID.scope (libpod-conmon-ID.scope is the monitor, outside)
    buildkit     buildkit/ID
    lxc          lxc.payload.NAME   lxc/NAME (lxc.monitor.NAME is the monitor, outside)
    nspawn       systemd-nspawn@NAME.service   machine-NAME.scope (a supervisor below is the monitor, outside)

Of containers in containers the innermost counts. A name is a claim of whoever may make cgroups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

_HEX = r"[0-9a-f]{64}"
_RUNTIMES = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "containerd": "containerd",
    "crio": "crio",
    "libpod": "podman",
    "libpod-payload": "podman",
    "libpod_parent": "podman",
    "buildkit": "buildkit",
}
_SCOPE = re.compile(rf"(docker|cri-containerd|nerdctl|crio|libpod|libpod-payload)-({_HEX})(?:\.scope)?")
_COLON = re.compile(r"[^:]*:([^:]+):([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?:\.scope)?")
_BARE = re.compile(_HEX)
_BUILD = re.compile(r"[0-9a-z]{25}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,75}")
"""A namespace or container of containerd (its identifiers.Validate)."""
_PAYLOAD = re.compile(r"lxc\.payload\.(.+)")
_NSPAWN = re.compile(r"systemd-nspawn@(.+)\.service")
_MACHINE = re.compile(r"machine-(?!qemu)(.+)\.scope")
_UNIT = re.compile(r"[^/]+\.(?:service|scope)")
_SLICES = (".slice", ".scope", ".service")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_MOST_LINES = 32
"""Hierarchies of cgroup v1 that are looked at; the kernel has some dozen controllers."""
_DEEPEST = 64
"""Path components that are looked at, from the innermost."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a cgroup's name says: a container's id and its runtime, None where the name fits several; above: the line
    of /proc/PID/cgroup up to that name, which tells who could give it.
    """

    id: str
    runtime: str | None
    above: str = ""


def claim_of(text: str) -> Claim | None:
    """The innermost container that the lines of a /proc/PID/cgroup name; None where they name none."""
    best: tuple[int, Claim] | None = None
    for line in lines(text):
        hierarchy, path = line[: -len(path_of(line))], path_of(line)
        found = _innermost(path)
        # Strictly deeper: of equals the first line counts.
        if found and (best is None or found[0] > best[0]):
            at, claim = found
            above = hierarchy + "/".join(path.split("/")[:at])
            best = at, Claim(claim.id, claim.runtime, above)
    return best[1] if best else None


def pairs_of(text: str) -> Iterator[tuple[str, str]]:
    """Pairs that would be NAMESPACE/ID if containerd made them, innermost first; its state folder must confirm one."""
    seen = set()
    for path in paths(text):
        parts = path.strip("/").split("/")[-4:]
        for pair in zip(reversed(parts[:-1]), reversed(parts[1:]), strict=True):
            if pair not in seen and all(_NAME.fullmatch(part) and not part.endswith(_SLICES) for part in pair):
                seen.add(pair)
                yield pair


def is_long_id(text: str) -> bool:
    """Whether it is an id as docker, podman and CRI draw them: 64 hexadecimal digits."""
    return _BARE.fullmatch(text) is not None


def unit_of(text: str) -> str | None:
    """The systemd unit, innermost, that the lines name: `ssh.service`, `session-3.scope`."""
    for path in paths(text):
        for part in reversed(path.split("/")):
            if _UNIT.fullmatch(part):
                return part
    return None


def paths(text: str) -> Iterator[str]:
    """The different paths of a /proc/PID/cgroup, but the root."""
    return map(path_of, lines(text))


def lines(text: str) -> Iterator[str]:
    """The lines of a /proc/PID/cgroup that have different paths, but the root."""
    seen = {"/", ""}
    for line in text.split("\n")[:_MOST_LINES]:
        path = path_of(line)
        if path not in seen:
            seen.add(path)
            yield line


def merged(known: str | None, told: str) -> str:
    """The lines of a /proc/PID/cgroup after a move: those told in place of the ones of the same hierarchies."""
    found = {line.partition(":")[0]: line for text in (known or "", told) for line in text.split("\n") if line}
    return "\n".join(islice(found.values(), _MOST_LINES))


def path_of(line: str) -> str:
    """The path in `ID:CONTROLLERS:PATH`."""
    return line.split(":", 2)[-1]


def _innermost(path: str) -> tuple[int, Claim] | None:
    """The claim of the innermost part that makes one, and how deep it lies."""
    parts = path.split("/")
    if parts[-1] == "supervisor" and _claim(parts[-2], "machine.slice", []):
        parts = parts[:-2]
    for at in range(len(parts) - 1, max(-1, len(parts) - 1 - _DEEPEST), -1):
        if claim := _claim(parts[at], parts[at - 1] if at else "", parts[:at]):
            return at, claim
    return None


def _claim(part: str, parent: str, above: list[str]) -> Claim | None:
    if match := _SCOPE.fullmatch(part):
        return Claim(match[2], _RUNTIMES[match[1]])
    if (match := _COLON.fullmatch(part)) and match[1] in _RUNTIMES:
        return Claim(match[2], _RUNTIMES[match[1]])
    if _BARE.fullmatch(part):
        return Claim(part, _RUNTIMES.get(parent))
    if parent == "buildkit" and _BUILD.fullmatch(part):
        return Claim(part, "buildkit")
    if match := _PAYLOAD.fullmatch(part):
        return Claim(match[1], "lxc")
    if parent == "lxc" and len(above) == 2:
        return Claim(part, "lxc")
    if (match := _NSPAWN.fullmatch(part)) or (parent == "machine.slice" and (match := _MACHINE.fullmatch(part))):
        return Claim(_unescape(match[1]), "nspawn")
    return None


def _unescape(name: str) -> str:
    """A name as systemd's unit names escape it: `\\x2d` for a dash."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
