"""What a request would make, by its operation: which body and which part of the query says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from sockwarden.requests import go_json
from sockwarden.requests.endpoint import Endpoint, rpc_body
from sockwarden.requests.facts import cri, docker, libpod, oci, paths
from sockwarden.requests.facts.images import image_of
from sockwarden.requests.facts.shape import Archive, Build, Container, Facts, Plugin, Volume
from sockwarden.requests.go_json import Object
from sockwarden.requests.message import Asked

Content = Literal["none", "whole", "cut", "unknown"]
"""Of a body: there is none; it is all there; its end is missing; it is there and cannot be read."""

_Query = Mapping[str, list[str]]
_OBJECTS: dict[tuple[str, str], Callable[[Object], Facts]] = {
    ("docker", "container-create"): docker.container_create,
    ("docker", "container-start"): docker.container_start,
    ("docker", "container-update"): docker.container_update,
    ("docker", "container-exec-create"): docker.exec_create,
    ("docker", "volume-create"): docker.volume_create,
    ("docker", "network-create"): docker.named,
    ("docker", "network-connect"): docker.network_connect,
    ("docker", "network-disconnect"): docker.network_connect,
    ("docker", "secret-create"): docker.named,
    ("docker", "config-create"): docker.named,
    ("docker", "service-create"): docker.service_create,
    ("docker", "service-update"): docker.service_create,
    ("docker", "swarm-join"): docker.swarm_join,
    ("libpod", "container-create"): libpod.container_create,
    ("libpod", "container-update"): docker.container_update,
    ("libpod", "container-exec-create"): docker.exec_create,
    ("libpod", "pod-create"): libpod.pod_create,
    ("libpod", "volume-create"): docker.volume_create,
    ("libpod", "network-create"): docker.named,
    ("cri", "container-create"): cri.container_create,
    ("cri", "pod-sandbox-run"): cri.pod_sandbox_run,
    ("cri", "container-exec"): cri.exec_create,
    ("cri", "image-pull"): cri.image_named,
    ("cri", "image-inspect"): cri.image_named,
    ("cri", "image-delete"): cri.image_named,
}
_GRANTS = frozenset({"plugin-install", "plugin-upgrade"})
_USUAL_RUNTIME = "io.containerd.runc.v2"
_RPC_NAMES = ("container_id", "id", "pod_sandbox_id", "name", "sandbox_id")


def read_facts(asked: Asked, endpoint: Endpoint) -> tuple[Facts, Content]:
    """What is known of a request, and how much of its body that rests on."""
    operation = endpoint.match.operation.name
    if asked.method.startswith("/"):
        return _of_rpc(asked, endpoint)
    facts, content = Facts(), _content(asked)
    if content == "none" and not asked.truncated:
        pass
    elif (reader := _OBJECTS.get((endpoint.family, operation))) is not None:
        found, state = go_json.read_object(asked.body)
        facts, content = reader(found), _judged(asked, state)
    elif operation in _GRANTS and not endpoint.path.endswith("/create"):
        value, state = go_json.read(asked.body)
        facts = docker.plugin_privileges(value if isinstance(value, list) else [])
        content = _judged(asked, state)
    _add_query(facts, operation, endpoint)
    return facts, content


def _content(asked: Asked) -> Content:
    if asked.truncated:
        return "cut"
    return "whole" if asked.body or asked.size else "none"


def _judged(asked: Asked, state: go_json.State) -> Content:
    if state == "whole":
        return "whole"
    return "cut" if asked.truncated and state == "cut" else "unknown"


def _add_query(facts: Facts, operation: str, endpoint: Endpoint) -> None:
    """What the query and the path say of an image, a build, files."""
    query, name = endpoint.query, endpoint.match.object
    if operation == "image-pull":
        reference = first(query, "fromImage") or first(query, "reference")
        facts.image = image_of(reference, first(query, "tag"))
    elif operation in ("image-push", "image-inspect", "image-save", "image-delete"):
        facts.image = image_of(name, first(query, "tag"))
    elif operation in ("image-tag", "container-commit"):
        facts.image = image_of(first(query, "repo"), first(query, "tag"))
    elif operation in ("container-archive-get", "container-archive-put", "container-archive-stat"):
        facts.archive = Archive(first(query, "path"))
    elif operation == "image-build":
        facts.build = _build(query)
    elif operation in _GRANTS:
        granted = facts.plugin.privileges if facts.plugin else []
        facts.plugin = Plugin(name or first(query, "name"), first(query, "remote"), granted)
    if facts.exec is not None:
        facts.exec.container = facts.exec.container or name
    if facts.container is not None and operation == "container-create":
        facts.container.name = facts.container.name or first(query, "name")


def _build(query: _Query) -> Build:
    """A classic build, or Podman's, whose query has the mounts, capabilities and namespaces of its containers."""
    arguments, _ = go_json.read_object(first(query, "buildargs").encode("utf-8", "replace"))
    made = Build(
        remote=first(query, "remote"),
        dockerfile=first(query, "dockerfile"),
        tags=query.get("t", []),
        argument_names=[name for name, _ in arguments.pairs],
        network_host=first(query, "networkmode") == "host",
    )
    for key in ("addcaps", "securityopt", "devices"):
        for text in query.get(key, []):
            value, _ = go_json.read(text.encode("utf-8", "replace"))
            listed = value if isinstance(value, list) else [text]
            made.entitlements += [paths.security_option(one) for one in listed if isinstance(one, str)]
    sources = (volume.partition(":")[0] for volume in query.get("volume", []))
    made.mount_sources = [paths.normalise(source) for source in sources if source.startswith("/")]
    return made


def first(query: _Query, name: str) -> str:
    """The first value of a key, as Go's Form.Get; empty without one. Podman takes the key in any case too."""
    values = query.get(name) or next((query[key] for key in query if key.lower() == name.lower()), [])
    return next(iter(values), "")


def _of_rpc(asked: Asked, endpoint: Endpoint) -> tuple[Facts, Content]:
    found = rpc_body(asked.method, asked.body)
    if found is None:
        return Facts(), _content(asked)
    body, whole = found
    content: Content = "whole" if whole and not asked.truncated else "cut" if asked.truncated else "unknown"
    operation = endpoint.match.operation.name
    if (reader := _OBJECTS.get((endpoint.family, operation))) is not None:
        facts = reader(body)
    elif operation in ("container-create", "container-update") and endpoint.family == "containerd":
        facts = _containerd_container(body.struct("container"), whole=whole)
    elif operation == "task-create":
        facts = _task(body)
    elif operation == "task-exec-create":
        facts = Facts(exec=oci.exec_of(body.struct("spec")))
        made = _writing(body, Container())
        facts.container = made if made.hooks or made.mount_sources else None
    elif operation in ("diff-apply", "diff-create"):
        mounts = (one for name in ("mounts", "left", "right") for one in body.structs(name))
        facts = Facts(volume=Volume(mount_sources=_given(mounts)))
    else:
        image = body.struct("image")
        facts = Facts(image=image_of(image.text("name")) if image.pairs else None)
    facts.name = facts.name or next(filter(None, map(body.text, _RPC_NAMES)), "") or _image_name(facts)
    if facts.exec is not None:
        facts.exec.container = facts.exec.container or facts.name
    return facts, content


def _image_name(facts: Facts) -> str:
    return facts.image.reference if facts.image and facts.container is None else ""


def _containerd_container(container: Object, *, whole: bool) -> Facts:
    made = oci.container_of(container.struct("spec"), whole=whole) if container.has("spec") else Container()
    made.name, made.image = container.text("id"), container.text("image")
    made.labels_count = len(container.map("labels"))
    runtime = container.struct("runtime")
    name, binary = runtime.text("name"), runtime.struct("options").text("binary_name")
    made.runtime = next((one for one in (binary, name) if one not in ("", "runc", _USUAL_RUNTIME)), "")
    return Facts(made.name, container=made, image=image_of(made.image))


def _task(body: Object) -> Facts:
    """The process of a container, with the root file system that it is given and the program that runs it."""
    made = Container(name=body.text("container_id") or body.text("id"))
    made.mount_sources += _given(body.structs("rootfs"))
    _writing(body, made)
    binary = body.text("runtime_path") or body.struct("options").text("binary_name")
    made.runtime = "" if binary == "runc" else binary
    return Facts(made.name, container=made)


def _given(mounts: Iterable[Object]) -> list[str]:
    """Sources of containerd's mounts other than those that it made itself."""
    found = (
        path
        for mount in mounts
        for path in paths.sources_of_mount(mount.text("type"), mount.text("source"), mount.texts("options"))
    )
    return [path for path in found if not paths.is_of_runtime(path)]


def _writing(body: Object, made: Container) -> Container:
    """Adds what becomes of the output of a process: a program of the host's may take it, or a file."""
    programs, files = paths.written_by(body.text(name) for name in ("stdout", "stderr"))
    made.hooks += programs
    made.mount_sources += files
    return made
