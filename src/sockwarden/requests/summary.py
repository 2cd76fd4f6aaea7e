"""A request in one line for people: "create container web from alpine, privileged, host's / mounted at /host"."""

from __future__ import annotations

import re

from sockwarden.requests.facts.paths import normalise
from sockwarden.requests.facts.shape import Container, Facts

_MOST_SHOWN = 3
_MOST_COMMAND = 200
_MOST_NAME = 120
"""Characters of a name: what is asked for must not stand behind the line's end."""
_SAID = {
    "auth": "log in to a registry",
    "build-step": "work at a build",
    "container-changes": "list changed files of container",
    "container-exists": "look for container",
    "container-health": "ask for the health of container",
    "container-logs": "read logs of container",
    "container-port-forward": "forward a port of",
    "container-stats": "watch the figures of container",
    "container-top": "list processes of container",
    "kube-play": "play Kubernetes YAML",
    "session-credentials": "ask a build's client for credentials",
    "session-files": "exchange files with a build's client",
    "swarm-inspect": "read how the swarm is set up",
    "swarm-unlock-key": "read the swarm's unlock key",
    "build-status": "ask about builds",
    "container-archive-stat": "look for a path in container",
    "container-generate": "write container as configuration",
    "content-list": "list content",
    "exec-start": "start command",
    "image-build": "build image",
    "options": "ask what may be asked",
    "session": "open a build's session",
    "system-df": "ask for disk use",
    "system-events": "listen to events",
    "system-info": "ask how the runtime is set up",
    "system-metrics": "ask for metrics",
    "system-ping": "ping",
    "system-version": "ask for the version",
    "unproven": "nobody can say what was asked",
}
_ID = re.compile(r"\b(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}\b")
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLURALS = ("list", "prune")


def summarise(operation: str, method: str, path: str, name: str, facts: Facts) -> str:
    """The line, whatever the peer put into names; whole ids as short as runtimes show them. name: what it
    is done to, empty where nobody says.
    """
    line = _ID.sub(lambda found: found[1], _line(operation, method, path, name, facts))
    return _BREAKS.sub(lambda found: repr(found[0])[1:-1], line)


def _line(operation: str, method: str, path: str, name: str, facts: Facts) -> str:
    if operation == "unknown":
        return " ".join(filter(None, (method, path, "(not in the catalogue)")))
    if facts.exec is not None:
        parts = [f"run in container {facts.exec.container}".rstrip()]
        parts += [f"as {facts.exec.user}"] if facts.exec.user else []
        parts += ["privileged"] if facts.exec.privileged else []
        parts += _hooks(facts.container) if facts.container else []
        command = " ".join(facts.exec.command)[:_MOST_COMMAND]
        return ", ".join(parts) + (f": {command}" if command else "")
    if facts.archive is not None and (line := _archive(operation, name, facts.archive.path)):
        return line
    name = _short(name)
    line = " ".join(filter(None, (_verb(operation), name)))
    if operation == "image-pull" and facts.image is not None:
        return f"pull image {facts.image.reference}"
    if operation in ("image-tag", "container-commit") and facts.image is not None:
        return f"{line} as {facts.image.reference}"
    if facts.container is not None:
        line = ", ".join(
            [
                line + (f" from {_short(facts.container.image)}" if facts.container.image else ""),
                *_traits(facts.container),
            ]
        )
    sources = facts.volume.mount_sources if facts.volume else facts.build.mount_sources if facts.build else []
    line += f", host's {_some(sources)}" if sources else ""
    if facts.plugin is not None and facts.plugin.privileges:
        line += f", granted {_some(facts.plugin.privileges)}"
    return line


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}…"


def _archive(operation: str, name: str, path: str) -> str:
    if operation == "container-archive-get":
        return f"read {path} from container {name}"
    return f"write to {path} in container {name}" if operation == "container-archive-put" else ""


def _verb(operation: str) -> str:
    """`container-create` as "create container"."""
    if operation in _SAID:
        return _SAID[operation]
    *noun, verb = operation.split("-")
    thing = " ".join(noun)
    plural = ("es" if thing.endswith(("x", "s")) else "s") if verb in _PLURALS else ""
    return f"{verb} {thing}{plural}".strip()


def _traits(made: Container) -> list[str]:
    traits = ["privileged"] if made.privileged else []
    if made.namespaces_of_host:
        traits.append(f"host's {_some(made.namespaces_of_host)} namespace{'s'[: len(made.namespaces_of_host) - 1]}")
    targets = dict(mount.split(":")[:2] for mount in made.mounts if mount.startswith("/") and ":" in mount)
    shown = sorted(targets.items(), key=lambda each: normalise(each[0]) != "/")[:_MOST_SHOWN]
    traits += [f"host's {_short(normalise(source))} mounted at {_short(target)}" for source, target in shown]
    others = len(targets) - _MOST_SHOWN
    traits += [f"{others} more mounts"] if others > 0 else []
    if not targets and made.mount_sources:
        traits.append(f"host's {_some(made.mount_sources)} mounted")
    for what, values in (
        ("devices", made.devices),
        ("capabilities", made.capabilities),
        ("mounts of", made.volumes_from),
    ):
        traits += [f"{what} {_some(values)}"] if values else []
    traits += [option for option in made.security_options if option.endswith(("=unconfined", "=disable"))]
    return [*traits, *([f"runtime {made.runtime}"] if made.runtime else []), *_hooks(made)]


def _hooks(made: Container) -> list[str]:
    return [f"the host runs {_some(made.hooks)}"] if made.hooks else []


def _some(values: list[str]) -> str:
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(values[:_MOST_SHOWN]) + more
