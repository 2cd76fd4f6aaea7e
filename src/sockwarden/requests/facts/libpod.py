"""Bodies of Podman's libpod endpoints: its specification of a container, field names as its description has them."""

from __future__ import annotations

from sockwarden.requests.facts import oci, paths
from sockwarden.requests.facts.docker import argv
from sockwarden.requests.facts.images import image_of
from sockwarden.requests.facts.shape import Container, Facts, command
from sockwarden.requests.go_json import Object

_NAMESPACES = (
    ("pidns", "pid"),
    ("netns", "net"),
    ("ipcns", "ipc"),
    ("utsns", "uts"),
    ("userns", "user"),
    ("cgroupns", "cgroup"),
)
_UNCONFINED = "unconfined"
_USUAL_RUNTIMES = frozenset({"", "crun", "runc"})


def container_create(body: Object) -> Facts:
    """POST /libpod/containers/create."""
    runtime = body.text("oci_runtime")
    made = Container(
        name=body.text("name"),
        image=body.text("image"),
        command=command([*argv(body, "entrypoint"), *argv(body, "command")]),
        user=body.text("user"),
        privileged=body.flag("privileged"),
        volumes_from=body.texts("volumes_from"),
        capabilities=paths.capabilities(body.texts("cap_add")),
        env_names=[*body.map("env")],
        runtime="" if runtime in _USUAL_RUNTIMES else runtime,
        restart=body.text("restart_policy"),
        labels_count=len(body.map("labels")),
        readonly_rootfs=body.flag("read_only_filesystem"),
        cgroup_parent=body.text("cgroup_parent"),
        sysctls=[f"{key}={value}" for key, value in body.text_map("sysctl").items()],
    )
    made.security_options = _security_options(body)
    made.ports = [f"{port:.0f}" for one in body.structs("portmappings") if (port := one.number("container_port"))]
    for name, short in _NAMESPACES:
        _namespace(made, short, body.struct(name))
    _mounts(body, made)
    devices = [*body.structs("devices"), *body.structs("host_device_list")]
    made.devices = [paths.normalise(path) for one in devices if (path := one.text("path"))]
    made.devices += oci.rules_of(body.structs("device_cgroup_rule"))
    made.hooks = [f"{folder}/" for folder in body.texts("hooks_dir")]
    return Facts(made.name, container=made, image=image_of(made.image))


def pod_create(body: Object) -> Facts:
    """POST /libpod/pods/create: what its containers share."""
    made = Container(name=body.text("name"), image=body.text("infra_image"), security_options=_security_options(body))
    for name, short in _NAMESPACES:
        _namespace(made, short, body.struct(name))
    _mounts(body, made)
    return Facts(made.name, container=made, image=image_of(made.image))


def _security_options(body: Object) -> list[str]:
    found = []
    if body.text("seccomp_profile_path") == _UNCONFINED:
        found.append("seccomp=unconfined")
    if body.text("apparmor_profile") == _UNCONFINED:
        found.append("apparmor=unconfined")
    if "disable" in body.texts("selinux_opts"):
        found.append("label=disable")
    if body.flag("no_new_privileges"):
        found.append("no-new-privileges")
    if any(one.upper() == "ALL" for one in body.texts("unmask")):
        found.append("systempaths=unconfined")
    return [*found, *map(paths.security_option, body.texts("security_opt"))]


def _namespace(made: Container, short: str, given: Object) -> None:
    mode, value = given.text("nsmode"), given.text("value")
    if mode == "host" or (mode == "path" and paths.is_host_namespace(value)):
        made.namespaces_of_host.append(short)
    elif mode in ("container", "path"):
        made.container_namespaces.append(f"{short}:{mode}:{value}")


def _mounts(body: Object, made: Container) -> None:
    for mount in body.structs("mounts"):
        oci.mount_of(mount, made)
    for volume in body.structs("volumes"):
        name, options = volume.text("Name"), volume.texts("Options")
        made.mounts.append(":".join(filter(None, (name, volume.text("Dest"), ",".join(options)))))
        made.mount_sources += [paths.normalise(name)] if name.startswith("/") else []
        made.propagation += paths.propagation_of(options)
    overlays = [one.text("source") for one in body.structs("overlay_volumes")]
    found = [path for path in [*overlays, body.text("rootfs")] if path.startswith("/")]
    made.mounts += found
    made.mount_sources += map(paths.normalise, found)
