"""Bodies of CRI, as `bodies.body_of` gives them: field names as its definitions have them."""

from __future__ import annotations

from sockwarden.requests.facts import paths
from sockwarden.requests.facts.images import image_of
from sockwarden.requests.facts.shape import Container, Exec, Facts, command
from sockwarden.requests.go_json import Object

_NAMESPACES = (("pid", "pid"), ("network", "net"), ("ipc", "ipc"))
_OF_THE_NODE = "NODE"
_UNCONFINED = "unconfined"
_PROPAGATIONS = {"PROPAGATION_BIDIRECTIONAL": "rshared", "PROPAGATION_HOST_TO_CONTAINER": "rslave"}


def container_create(body: Object) -> Facts:
    """CreateContainer: the container, with the namespaces of its sandbox."""
    config = body.struct("config")
    linux = config.struct("linux")
    security = linux.struct("security_context")
    image = config.struct("image")
    made = Container(
        name=config.struct("metadata").text("name"),
        image=image.text("user_specified_image") or image.text("image"),
        command=command([*config.texts("command"), *config.texts("args")]),
        env_names=[one.text("key") for one in config.structs("envs")],
        labels_count=len(config.map("labels")),
        capabilities=paths.capabilities(
            name
            for kind in ("add_capabilities", "add_ambient_capabilities")
            for name in security.struct("capabilities").texts(kind)
        ),
    )
    for mount in config.structs("mounts"):
        _mount(mount, made)
    made.devices = [
        ":".join(
            filter(None, (paths.normalise(one.text("host_path")), one.text("container_path"), one.text("permissions")))
        )
        for one in config.structs("devices")
    ] + [f"cdi:{one.text('name')}" for one in config.structs("CDI_devices")]
    _sandbox(body.struct("sandbox_config"), made)
    _security(security, made)
    return Facts(made.name, container=made, image=image_of(made.image))


def pod_sandbox_run(body: Object) -> Facts:
    """RunPodSandbox."""
    config = body.struct("config")
    metadata = config.struct("metadata")
    name = "/".join(filter(None, (metadata.text("namespace"), metadata.text("name"))))
    made = Container(name=name, runtime=body.text("runtime_handler"), labels_count=len(config.map("labels")))
    made.ports = [f"{port:.0f}" for one in config.structs("port_mappings") if (port := one.number("host_port"))]
    _sandbox(config, made)
    return Facts(name, container=made)


def exec_create(body: Object) -> Facts:
    """Exec and ExecSync."""
    container = body.text("container_id")
    return Facts(container, exec=Exec(container, command=command(body.texts("cmd"))))


def image_named(body: Object) -> Facts:
    """PullImage, ImageStatus and RemoveImage."""
    name = body.struct("image").text("image")
    return Facts(name, image=image_of(name))


def _sandbox(config: Object, made: Container) -> None:
    linux = config.struct("linux")
    made.cgroup_parent = linux.text("cgroup_parent")
    made.sysctls = [f"{key}={value}" for key, value in linux.text_map("sysctls").items()]
    _security(linux.struct("security_context"), made)


def _security(security: Object, made: Container) -> None:
    """Of a sandbox or a container; what either has, the container has."""
    made.privileged |= security.flag("privileged")
    made.readonly_rootfs |= security.flag("readonly_rootfs")
    uid = security.struct("run_as_user").number("value")
    made.user = security.text("run_as_username") or (f"{uid:.0f}" if uid is not None else made.user)
    options = security.struct("namespace_options")
    for name, short in _NAMESPACES:
        if options.text(name) == _OF_THE_NODE:
            made.namespaces_of_host.append(short)
        elif options.text(name) == "TARGET":
            made.container_namespaces.append(f"{short}:container:{options.text('target_id')}")
    for part, path in (("seccomp", "seccomp_profile_path"), ("apparmor", "apparmor_profile")):
        if security.struct(part).text("profile_type") == "Unconfined" or security.text(path) == _UNCONFINED:
            made.security_options.append(f"{part}=unconfined")


def _mount(mount: Object, made: Container) -> None:
    source = mount.text("host_path")
    options = "ro" if mount.flag("readonly") else ""
    made.mounts.append(":".join(filter(None, (source, mount.text("container_path"), options))))
    made.mount_sources += [paths.normalise(source)] if source else []
    propagation = _PROPAGATIONS.get(mount.text("propagation"))
    made.propagation += [propagation] if propagation else []
