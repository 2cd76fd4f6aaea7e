"""What a container is called, from the state that runtimes keep on disk; no runtime is asked, and none is woken.

    docker      DATA/containers/ID/config.v2.json
    containerd  STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json (the bundle: the annotations of CRI and
                nerdctl), ROOT/io.containerd.metadata.v1.bolt/meta.db (the image)
    podman,     /var/lib/containers/storage/overlay-containers/containers.json and
    crio        …/ID/userdata/config.json (crio's annotations)

Files that others than root may have written are not believed, sizes are bounded, types checked.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from sockwarden.enrich import boltdb

_TASKS = "io.containerd.runtime.v2.task"
_MOST_BYTES = 4 << 20
_MOST_NAMESPACES = 64
_MOST_PLACES = 16
_LONGEST = 512
_MOST_ARGUMENTS = 256
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


_Kind = TypeVar("_Kind")


class Pod(msgspec.Struct, frozen=True):
    """A Kubernetes pod, and the container's name in it; empty where not told."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    container: str = ""


class Description(msgspec.Struct, frozen=True):
    """What a runtime's state says of a container; command: the argv of its entry point."""

    runtime: str
    name: str | None = None
    image: str | None = None
    pod: Pod | None = None
    namespace: str | None = None
    command: tuple[str, ...] = ()


class _DockerConfig(msgspec.Struct):
    Image: str = ""
    Labels: dict[str, str] | None = None


class _Docker(msgspec.Struct):
    Name: str = ""
    Config: _DockerConfig = msgspec.field(default_factory=_DockerConfig)


class _Mount(msgspec.Struct):
    source: str = ""


class _Entry(msgspec.Struct):
    args: list[str] = []


class _Bundle(msgspec.Struct):
    annotations: dict[str, str] = {}
    process: _Entry = msgspec.field(default_factory=_Entry)
    mounts: list[_Mount] = []


class _Stored(msgspec.Struct):
    id: str
    names: list[str] = []
    image: str = ""
    metadata: str = ""


class _Metadata(msgspec.Struct):
    image_name: str = msgspec.field(default="", name="image-name")
    name: str = ""


class RuntimeState:
    """Where the runtimes of this host keep their state: the usual places, and what is learned of others."""

    def __init__(
        self,
        *,
        docker: Sequence[str] = ("/var/lib/docker",),
        containerd: Sequence[tuple[str, str]] = (("/run/containerd", "/var/lib/containerd"),),
        storage: Sequence[str] = ("/var/lib/containers/storage",),
        owner: int = 0,
    ) -> None:
        self._owner = owner
        self._docker = list(docker)
        self._containerd = {"/run/docker/containerd/daemon": "/var/lib/docker/containerd/daemon", **dict(containerd)}
        self._containerd |= {"/run/k3s/containerd": "/var/lib/rancher/k3s/agent/containerd"}
        self._storage = list(storage)

    def learn(self, component: str, args: Sequence[str], directory: str | None) -> None:
        """Takes in places from a daemon's or shim's argv and working directory."""
        if component == "dockerd":
            data = _option(args, "--data-root", "-g", "--graph")
            if data and data.startswith("/") and data not in self._docker and len(self._docker) < _MOST_PLACES:
                self._docker.insert(0, data)
        elif component == "containerd":
            self._learn_containerd(args)
        elif component == "containerd-shim" and directory and f"/{_TASKS}/" in directory:
            self._add(directory.partition(f"/{_TASKS}/")[0], None)

    def generation(self, namespace: str, name: str) -> tuple[int, int] | None:
        """Which one of the containers of this name runs in a namespace of containerd: inode and time of its bundle's
        config.json, which is written once. None where containerd has none.
        """
        if not (_SAFE.fullmatch(namespace) and _SAFE.fullmatch(name)):
            return None
        for state in list(self._containerd):
            try:
                status = Path(state, _TASKS, namespace, name, "config.json").lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_uid == self._owner:
                return status.st_ino, status.st_mtime_ns
        return None

    def describe(self, identity: str, runtime: str | None, namespace: str | None) -> Description | None:
        """What the state says of a container; None where it says nothing, now. It reads files and may take a while."""
        if not _SAFE.fullmatch(identity):
            return None
        found = None
        if runtime in (None, "docker"):
            found = self._of_docker(identity)
        if found is None and runtime in (None, "docker", "containerd"):
            found = self._of_containerd(identity, namespace)
        if found is None and runtime in (None, "podman", "crio"):
            found = self._of_storage(identity)
        return found

    def _learn_containerd(self, args: Sequence[str]) -> None:
        config = _option(args, "--config", "-c") or "/etc/containerd/config.toml"
        try:
            told = tomllib.loads((_read(config, self._owner) or b"").decode())
        except (ValueError, RecursionError):
            told = {}
        state = _option(args, "--state") or told.get("state") or "/run/containerd"
        root = _option(args, "--root") or told.get("root") or "/var/lib/containerd"
        if isinstance(state, str) and isinstance(root, str):
            self._add(state, root)

    def _add(self, state: str, root: str | None) -> None:
        if state.startswith("/") and (root or state not in self._containerd) and len(self._containerd) < _MOST_PLACES:
            self._containerd[state.rstrip("/")] = root or self._containerd.get(state, "")

    def _of_docker(self, identity: str) -> Description | None:
        for data in [*self._docker, *self._docker_by_bundle(identity)]:
            told = self._decode(f"{data}/containers/{identity}/config.v2.json", _Docker)
            if told:
                labels = told.Config.Labels or {}
                bundle = next((bundle for _, _, bundle in self._bundles(identity, "moby")), _Bundle())
                return Description(
                    command=tuple(bundle.process.args[:_MOST_ARGUMENTS]),
                    runtime="docker",
                    name=_short(told.Name.removeprefix("/")),
                    image=_short(told.Config.Image),
                    pod=_pod(labels, "io.kubernetes.pod.", "io.kubernetes.container.name"),
                )
        return None

    def _docker_by_bundle(self, identity: str) -> Iterator[str]:
        """Docker's data roots by what a container's bundle mounts: its resolv.conf lies in the container's folder."""
        ending = f"/containers/{identity}"
        for _, _, bundle in self._bundles(identity, "moby"):
            for mount in bundle.mounts:
                data, found, _ = mount.source.partition(f"{ending}/")
                if found and data.startswith("/"):
                    yield data
                    break

    def _of_containerd(self, identity: str, namespace: str | None) -> Description | None:
        for state, space, bundle in self._bundles(identity, namespace):
            notes = bundle.annotations
            cri = "io.kubernetes.cri."
            name = notes.get(f"{cri}container-name") or notes.get("nerdctl/name")
            if not name:
                name = notes.get(f"{cri}sandbox-name", "") if notes.get(f"{cri}container-type") == "sandbox" else ""
            pod = Pod(
                name=_short(notes.get(f"{cri}sandbox-name", "")) or "",
                namespace=_short(notes.get(f"{cri}sandbox-namespace", "")) or "",
                uid=_short(notes.get(f"{cri}sandbox-uid", "")) or "",
                container=_short(notes.get(f"{cri}container-name", "")) or "",
            )
            return Description(
                command=tuple(bundle.process.args[:_MOST_ARGUMENTS]),
                runtime="containerd",
                name=_short(name or (identity if len(identity) < 64 else "")),
                image=_short(notes.get(f"{cri}image-name") or self._image(state, space, identity)),
                pod=pod if pod.name else None,
                namespace=space,
            )
        return None

    def _image(self, state: str, namespace: str, identity: str) -> str:
        """The image's name in containerd's own database."""
        root = self._containerd.get(state)
        descriptor = _open(f"{root}/io.containerd.metadata.v1.bolt/meta.db", self._owner) if root else None
        if descriptor is None:
            return ""
        try:
            path = (b"v1", namespace.encode(), b"containers", identity.encode(), b"image")
            return (boltdb.value(descriptor, path) or b"").decode("utf-8", "backslashreplace")
        finally:
            os.close(descriptor)

    def _bundles(self, identity: str, namespace: str | None) -> Iterator[tuple[str, str, _Bundle]]:
        """State folder, namespace and bundle of a container of containerd."""
        for state in list(self._containerd):
            try:
                spaces = (
                    [namespace]
                    if namespace
                    else sorted(each.name for each in Path(state, _TASKS).iterdir())[:_MOST_NAMESPACES]
                )
            except OSError:
                continue
            for space in spaces:
                if bundle := self._decode(f"{state}/{_TASKS}/{space}/{identity}/config.json", _Bundle):
                    yield state, space, bundle

    def _of_storage(self, identity: str) -> Description | None:
        for storage in self._storage:
            folder = f"{storage}/overlay-containers"
            stored = next(
                (
                    each
                    for each in self._decode(f"{folder}/containers.json", list[_Stored]) or ()
                    if each.id == identity
                ),
                None,
            )
            if stored is None:
                continue
            try:
                metadata = msgspec.json.decode(stored.metadata or b"{}", type=_Metadata)
            except (msgspec.MsgspecError, RecursionError):
                metadata = _Metadata()
            bundle = self._decode(f"{folder}/{identity}/userdata/config.json", _Bundle) or _Bundle()
            pod = _pod(bundle.annotations, "io.kubernetes.pod.", "io.kubernetes.container.name")
            name = (pod.container if pod else "") or metadata.name or next(iter(stored.names), "")
            return Description(
                runtime="crio"
                if any(key.startswith("io.kubernetes.cri-o.") for key in bundle.annotations)
                else "podman",
                name=_short(name),
                image=_short(bundle.annotations.get("io.kubernetes.cri-o.ImageName") or metadata.image_name),
                pod=pod,
            )
        return None

    def _decode(self, path: str, kind: type[_Kind]) -> _Kind | None:
        raw = _read(path, self._owner)
        try:
            return msgspec.json.decode(raw, type=kind) if raw else None
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return None


def _pod(notes: dict[str, str], prefix: str, container: str) -> Pod | None:
    name = _short(notes.get(f"{prefix}name", ""))
    if not name:
        return None
    return Pod(
        name=name,
        namespace=_short(notes.get(f"{prefix}namespace", "")) or "",
        uid=_short(notes.get(f"{prefix}uid", "")) or "",
        container=_short(notes.get(container, "")) or "",
    )


def _short(text: str) -> str | None:
    return text[:_LONGEST] or None


def _option(args: Sequence[str], *names: str) -> str | None:
    """The value of a command-line option, as `--name value`, `--name=value` or one dash."""
    for at, argument in enumerate(args):
        for name in names:
            for spelled in (name, name.removeprefix("-")):
                if argument == spelled and at + 1 < len(args):
                    return args[at + 1]
                if argument.startswith(f"{spelled}="):
                    return argument.partition("=")[2]
    return None


def _read(path: str, owner: int) -> bytes | None:
    descriptor = _open(path, owner)
    if descriptor is None:
        return None
    try:
        if os.fstat(descriptor).st_size > _MOST_BYTES:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _open(path: str, owner: int) -> int | None:
    """A regular file that only its owner, root, may write; opening never waits (a fifo would)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_uid == owner and not status.st_mode & 0o022:
        return descriptor
    os.close(descriptor)
    return None
