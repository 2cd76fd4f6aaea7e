"""The shape of facts: sockwarden.request.{container,exec,image,…}. Bounded, and without the values of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sockwarden.requests.redaction import redact_argv, redact_text

MOST_ITEMS = 64
MOST_TEXT = 1024
"""Characters of a text that are kept."""
_MOST_READ = 8 << 10
"""Characters of a text that are looked at: what is kept of it, and enough behind that to know a secret."""
MOST_BYTES = 40 << 10
"""Of all lists of one request."""


class Container(msgspec.Struct, omit_defaults=True):
    """A container, pod sandbox or service as it would be made.

    mounts                "source:target:options" as given; a volume by its name
    mount_sources         paths of the host that are in it, normalised: binds, and volumes that are binds in truth
    devices               "host:container:permissions"; "rule …" for a cgroup rule; "cdi:…"
    capabilities          what is added to the runtime's own set, CAP_…, or ALL
    namespaces_of_host    of pid, net, ipc, uts, user, cgroup, mnt
    container_namespaces  "pid:container:NAME"
    security_options      as Docker writes them: seccomp=unconfined, label=disable, systempaths=unconfined …
    hooks                 programs that the runtime would run on the host
    omitted               items of lists that are not here
    """

    name: str = ""
    image: str = ""
    command: list[str] = []
    user: str = ""
    privileged: bool = False
    mounts: list[str] = []
    mount_sources: list[str] = []
    volumes_from: list[str] = []
    devices: list[str] = []
    capabilities: list[str] = []
    namespaces_of_host: list[str] = []
    container_namespaces: list[str] = []
    security_options: list[str] = []
    propagation: list[str] = []
    env_names: list[str] = []
    runtime: str = ""
    restart: str = ""
    ports: list[str] = []
    labels_count: int = 0
    readonly_rootfs: bool = False
    cgroup_parent: str = ""
    sysctls: list[str] = []
    gpus: bool = False
    hooks: list[str] = []
    omitted: int = 0


class Exec(msgspec.Struct, omit_defaults=True):
    """A command inside a running container. capabilities as of a container."""

    container: str = ""
    user: str = ""
    privileged: bool = False
    command: list[str] = []
    env_names: list[str] = []
    capabilities: list[str] = []
    omitted: int = 0


class Image(msgspec.Struct, omit_defaults=True):
    """An image by name; registry is docker.io where the name has none."""

    reference: str = ""
    registry: str = ""
    digest: str = ""


class Build(msgspec.Struct, omit_defaults=True):
    """A build. entitlements: network.host, security.insecure and the like."""

    remote: str = ""
    dockerfile: str = ""
    tags: list[str] = []
    argument_names: list[str] = []
    network_host: bool = False
    entitlements: list[str] = []
    mount_sources: list[str] = []
    omitted: int = 0


class Archive(msgspec.Struct, omit_defaults=True):
    """Files of a container: their path in it."""

    path: str = ""


class Volume(msgspec.Struct, omit_defaults=True):
    """A volume. mount_sources: paths of the host that it stands for."""

    name: str = ""
    driver: str = ""
    mount_sources: list[str] = []
    omitted: int = 0


class Plugin(msgspec.Struct, omit_defaults=True):
    """A plugin. privileges: "mount=/", "network=host" … that it is granted."""

    name: str = ""
    remote: str = ""
    privileges: list[str] = []
    omitted: int = 0


class Swarm(msgspec.Struct, omit_defaults=True):
    """A swarm that is joined: addresses of its managers."""

    remotes: list[str] = []


class Facts(msgspec.Struct, omit_defaults=True):
    """All that is known of what a request would make. name: what it is done to, where only the body tells."""

    name: str = ""
    container: Container | None = None
    exec: Exec | None = None
    image: Image | None = None
    build: Build | None = None
    archive: Archive | None = None
    volume: Volume | None = None
    plugin: Plugin | None = None
    swarm: Swarm | None = None


_Part = Container | Exec | Image | Build | Archive | Volume | Plugin | Swarm
_UNGRADED = frozenset({"command", "env_names", "ports", "sysctls", "tags", "argument_names", "remotes"})
"""Lists of which a part says as much as the whole."""


def bounded(facts: Facts) -> Facts:
    """The same, redacted, no text longer than MOST_TEXT, no list than MOST_ITEMS, and all lists not larger than
    MOST_BYTES; what is left out of lists that are graded is counted.
    """
    facts.name = kept_text(facts.name)
    left = MOST_BYTES
    for name in facts.__struct_fields__:
        part = getattr(facts, name)
        if isinstance(part, msgspec.Struct):
            left = _bound(part, left)
    return facts


def _bound(part: msgspec.Struct, left: int) -> int:
    """Bounds a part to so many bytes; how many are left."""
    omitted = 0
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, str):
            setattr(part, name, kept_text(value))
        elif isinstance(value, list):
            every = value if name == "command" else unique(value)
            kept, left = fitting(map(kept_text, every[:MOST_ITEMS]), left)
            omitted += 0 if name in _UNGRADED else len(every) - len(kept)
            setattr(part, name, kept)
    if omitted:
        part.omitted = omitted  # type: ignore[attr-defined]
    return left


def fitting(texts: Iterable[str], left: int) -> tuple[list[str], int]:
    """The first texts that together have no more than so many bytes; how many are left."""
    kept: list[str] = []
    for text in texts:
        size = len(text.encode("utf-8", "replace"))
        if size > left:
            break
        kept.append(text)
        left -= size
    return kept, left


def command(argv: Sequence[str]) -> list[str]:
    """What is kept of a command: its first arguments, redacted."""
    return redact_argv(one[:_MOST_READ] for one in argv[:MOST_ITEMS])


def kept_text(text: str) -> str:
    """What is kept of a text: its beginning, redacted."""
    return cut(redact_text(text[:_MOST_READ]))


def cut(text: str) -> str:
    """A text of at most MOST_TEXT characters."""
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def unique(texts: Iterable[str]) -> list[str]:
    """Each text once, in order."""
    return list(dict.fromkeys(texts))
