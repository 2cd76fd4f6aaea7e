"""Paths of the host by which its files are mounted, and the words of mounts, in one form."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

PROPAGATIONS = frozenset({"shared", "rshared", "slave", "rslave", "unbindable", "runbindable"})
"""Other than private, which is what mounts are unless told."""

_ROOT_OF_PROCESS = re.compile(r"(?:/proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/root(?=/|\Z))+")
_HOST_NAMESPACE = re.compile(r"/proc/1/(?:task/1/)?ns/")
_OPTION_PATHS = frozenset({"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"})
_OF_THE_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs"})
_BINDS = frozenset({"bind", "rbind"})


def normalise(path: str) -> str:
    """An absolute path without `//`, `.` and `..`, /var/run as /run; a process's root taken for the host's own."""
    path = posixpath.normpath("/" + path.lstrip("/"))
    path = _ROOT_OF_PROCESS.sub("", path, count=1) if path.startswith("/proc/") else path
    if path == "/var/run" or path.startswith("/var/run/"):
        return path[len("/var") :]
    return path or "/"


def is_host_namespace(path: str) -> bool:
    """Whether a namespace's file is of the host's first process."""
    return _HOST_NAMESPACE.match(posixpath.normpath("/" + path.lstrip("/"))) is not None


def sources_of_options(options: Mapping[str, str]) -> list[str]:
    """Host paths that the options of Docker's `local` volume driver mount: its device, and the layers of an overlay.
    A bind's device is taken from the daemon's own directory, `/`, where it is not absolute.
    """
    folded = {key.lower(): value for key, value in options.items()}
    kind, words = folded.get("type", ""), folded.get("o", "").split(",")
    if kind in _OF_THE_NETWORK:
        return []
    device = folded.get("device", "")
    found = [device] if device.startswith("/") or (device and _BINDS & {kind, *words}) else []
    for word in words:
        key, _, value = word.partition("=")
        if key.strip() in _OPTION_PATHS:
            found += [path for path in value.split(":") if path]
    return [normalise(path) for path in found]


def sources_of_mount(kind: str, source: str, options: Iterable[str]) -> list[str]:
    """Host paths of a mount as mount(2) is told: a bind's source, a device, the layers of an overlay."""
    return sources_of_options({"type": kind, "device": source, "o": ",".join(options)})


def propagation_of(options: Iterable[str]) -> list[str]:
    """The propagations among a mount's options."""
    return [option for option in options if option in PROPAGATIONS]


def capability(name: str) -> str:
    """A capability as the kernel names it; ALL as it is."""
    name = name.strip().upper()
    return name if name in ("ALL", "CAP_ALL") or name.startswith("CAP_") else f"CAP_{name}"


def capabilities(names: Iterable[str]) -> list[str]:
    """Capabilities in one form, sorted by name."""
    return sorted({"ALL" if (one := capability(name)) == "CAP_ALL" else one for name in names if name})


def security_option(option: str) -> str:
    """`seccomp:unconfined` with an equals sign, and a profile's text as `custom`."""
    name, sign, value = option.partition("=")
    if not sign:
        name, sign, value = option.partition(":")
    if not sign:
        return option
    if name in ("seccomp", "apparmor") and value not in ("unconfined", "builtin", "default") and value[:1] in ("{", ""):
        value = "custom" if value else "default"
    return f"{name}={value}"
