"""Paths of the host by which its files are mounted, and the words of mounts, in one form."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

PROPAGATIONS = frozenset({"shared", "rshared", "slave", "rslave", "unbindable", "runbindable"})
"""Other than private, which is what mounts are unless told."""

_ROOT_OF_PROCESS = re.compile(r"(?:/proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/root(?=/|\Z))+")
_HOST_NAMESPACE = re.compile(r"/proc/1/(?:task/1/)?ns/")
_OPTION_PATHS = frozenset({"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"})
_OF_THE_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs"})
_STREAM = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):(?://[^/?#]*)?)?([^?#]+)")
_BINDS = frozenset({"bind", "rbind"})
_OF_THE_KERNEL = {
    "proc": "/proc",
    "sysfs": "/sys",
    "cgroup": "/sys/fs/cgroup",
    "cgroup2": "/sys/fs/cgroup",
    "debugfs": "/sys/kernel/debug",
    "tracefs": "/sys/kernel/tracing",
    "securityfs": "/sys/kernel/security",
    "configfs": "/sys/kernel/config",
    "efivarfs": "/sys/firmware/efi/efivars",
    "bpf": "/sys/fs/bpf",
    "binfmt_misc": "/proc/sys/fs/binfmt_misc",
    "devtmpfs": "/dev",
}
"""File systems of which there is one, however often it is mounted, and where the host has it."""
_OF_RUNTIMES = re.compile(
    r"/var/lib/(?:[\w./-]+/)?io\.containerd\.snapshotter\.v1\.\w+/snapshots/\d+/(?:fs|work)"
    r"|/var/lib/docker/(?:\d+\.\d+/)?overlay2/(?:l/\w+|[\w-]+/(?:diff|merged|work))"
    r"|/var/lib/docker/(?:\d+\.\d+/)?rootfs/\w+/\w+"
    r"|/var/lib/containers/storage/overlay/\w+/(?:diff|merged|work)"
    r"|/run/(?:docker/|k3s/)?containerd/(?!.*/rootfs/).*"
)
"""File systems and pipes of containers, where only root can put them; what is within is the container's to make."""


def normalise(path: str) -> str:
    """An absolute path without `//`, `.` and `..`, /var/run as /run; a process's root taken for the host's own."""
    path = posixpath.normpath("/" + path.lstrip("/"))
    path = _ROOT_OF_PROCESS.sub("", path, count=1) if path.startswith("/proc/") else path
    if path == "/var/run" or path.startswith("/var/run/"):
        return path[len("/var") :]
    return path or "/"


def asked(path: str) -> list[str]:
    """A path that the kernel follows: as `normalise` has it, and as it is where links may make `..` lead elsewhere."""
    return [normalise(path), *([f"/{path.lstrip('/')}"] if ".." in path.split("/") else [])]


def is_of_runtime(path: str) -> bool:
    """Whether a normalised path is one that runtimes use of themselves."""
    return _OF_RUNTIMES.fullmatch(path) is not None


def are_open(masked: list[str] | None, readonly: list[str] | None) -> bool:
    """Whether a container sees what of /proc is to be hidden, or may write the kernel's settings; None is the usual."""
    hides = masked is None or any(normalise(path).startswith("/proc") for path in masked)
    holds = readonly is None or any(normalise(path) in ("/proc", "/proc/sys") for path in readonly)
    return not (hides and holds)


def is_host_namespace(path: str) -> bool:
    """Whether a namespace's file is of the host's first process."""
    return _HOST_NAMESPACE.match(posixpath.normpath("/" + path.lstrip("/"))) is not None


def sources_of_options(options: Mapping[str, str]) -> list[str]:
    """Host paths that the options of Docker's `local` volume driver mount: its device, the layers of an overlay, and
    what is the host's own wherever it is mounted. A bind's device is taken from the daemon's own directory, `/`, where
    it is not absolute; the kernel makes a bind whatever the type. Podman takes keys in any case: each value may count.
    """
    kinds, devices, texts = (
        [value for key, value in options.items() if key.lower() == name] for name in ("type", "device", "o")
    )
    words = [word.strip() for text in texts for word in text.split(",")]
    is_bind = bool(_BINDS & {*kinds, *words})
    if kinds and _OF_THE_NETWORK.issuperset(kinds) and not is_bind:
        return []
    found = [device for device in devices if device.startswith("/") or (device and is_bind)]
    for word in words:
        key, _, value = word.partition("=")
        if key.strip() in _OPTION_PATHS:
            found += [path for path in value.split(":") if path]
    if not is_bind:
        found += [_OF_THE_KERNEL[kind] for kind in kinds if kind in _OF_THE_KERNEL]
    return [each for path in found for each in asked(path)]


def sources_of_mount(kind: str, source: str, options: Iterable[str]) -> list[str]:
    """Host paths of a mount as mount(2) is told: a bind's source, a device, the layers of an overlay."""
    return sources_of_options({"type": kind, "device": source, "o": ",".join(options)})


def written_by(streams: Iterable[str]) -> tuple[list[str], list[str]]:
    """What containerd's shim does with the output of a process, by the URIs that it is given: programs that it runs on
    the host, and files of the host that it writes.
    """
    programs: list[str] = []
    files: list[str] = []
    for stream in streams:
        found = _STREAM.match(stream)
        scheme, path = (found[1] or "file").lower() if found else "", normalise(unquote(found[2])) if found else ""
        if scheme == "binary":
            programs.append(path)
        elif scheme == "file" and not is_of_runtime(path):
            files.append(path)
    return programs, files


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
