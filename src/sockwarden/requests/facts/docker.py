"""Bodies of the Docker Engine API, which Podman's compat endpoints take as well; names of fields are the API's."""

from __future__ import annotations

from sockwarden.requests.facts import paths
from sockwarden.requests.facts.images import image_of
from sockwarden.requests.facts.shape import Container, Exec, Facts, Plugin, Swarm, Volume, command
from sockwarden.requests.go_json import Object, Value
from sockwarden.requests.redaction import variable_names

_NAMESPACES = (
    ("PidMode", "pid"),
    ("NetworkMode", "net"),
    ("IpcMode", "ipc"),
    ("UTSMode", "uts"),
    ("UsernsMode", "user"),
    ("CgroupnsMode", "cgroup"),
)
_USUAL_RUNTIMES = frozenset({"", "runc", "io.containerd.runc.v2"})


def container_create(body: Object) -> Facts:
    """POST /containers/create. Older daemons read HostConfig's fields at the top too, where it is not there itself."""
    host = body.struct("HostConfig", pointer=True)
    if not any(isinstance(value, Object) for value in body.values("HostConfig")[-1:]):
        host = body
    made = Container(
        image=body.text("Image"),
        command=command([*argv(body, "Entrypoint"), *argv(body, "Cmd")]),
        user=body.text("User"),
        env_names=variable_names(body.texts("Env")),
        labels_count=len(body.map("Labels")),
        ports=[*host.map("PortBindings")],
    )
    _host_config(host, made)
    networks = body.struct("NetworkingConfig", pointer=True).map("EndpointsConfig")
    if "host" in networks and "net" not in made.namespaces_of_host:
        made.namespaces_of_host.append("net")
    return Facts(container=made, image=image_of(made.image))


def container_start(body: Object) -> Facts:
    """POST /containers/{name}/start: before version 1.24 of the API its body is a HostConfig, and takes the place of
    what the container was made with. A daemon says which version it is willing to speak, so each is read.
    """
    made = Container()
    _host_config(body, made)
    return Facts(container=made)


def container_update(body: Object) -> Facts:
    """POST /containers/{name}/update: limits, devices, the restart policy."""
    made = Container()
    _devices(body, made)
    made.restart = body.struct("RestartPolicy").text("Name")
    return Facts(container=made)


def _host_config(host: Object, made: Container) -> None:
    made.privileged = host.flag("Privileged")
    made.volumes_from = host.texts("VolumesFrom")
    made.capabilities = paths.capabilities([*host.texts("CapAdd"), *host.texts("Capabilities")])
    made.security_options = [paths.security_option(option) for option in host.texts("SecurityOpt")]
    masked, readonly = host.elements("MaskedPaths"), host.elements("ReadonlyPaths")
    if paths.are_open(
        None if masked is None else host.texts("MaskedPaths"), None if readonly is None else host.texts("ReadonlyPaths")
    ):
        made.security_options.append("systempaths=unconfined")
    runtime = host.text("Runtime")
    made.runtime = "" if runtime in _USUAL_RUNTIMES else runtime
    made.restart = host.struct("RestartPolicy").text("Name")
    made.readonly_rootfs = host.flag("ReadonlyRootfs")
    made.cgroup_parent = host.text("CgroupParent")
    made.sysctls = [f"{key}={value}" for key, value in host.text_map("Sysctls").items()]
    for name, short in _NAMESPACES:
        _namespace(made, short, host.text(name))
    _devices(host, made)
    for bind in host.texts("Binds"):
        _bind(made, bind)
    for mount in host.structs("Mounts"):
        mount_of(mount, made)
    made.mounts += [f"tmpfs:{target}" for target in host.text_map("Tmpfs")]


def _namespace(made: Container, short: str, mode: str) -> None:
    if mode == "host" or (mode.startswith("ns:") and paths.is_host_namespace(mode[len("ns:") :])):
        made.namespaces_of_host.append(short)
    elif mode.startswith("container:"):
        made.container_namespaces.append(f"{short}:{mode}")


def _bind(made: Container, bind: str) -> None:
    """source:target[:options], a source that is no path is a volume's name."""
    source, _, rest = bind.partition(":")
    options = rest.rpartition(":")[2].split(",") if ":" in rest else []
    made.mounts.append(bind)
    if source.startswith("/"):
        made.mount_sources.append(paths.normalise(source))
    made.propagation += paths.propagation_of(options)


def mount_of(mount: Object, made: Container) -> None:
    """A mount of Docker's API, in a container's or a service's list."""
    kind, source = mount.text("Type"), mount.text("Source")
    options = "ro" if mount.flag("ReadOnly") else ""
    made.mounts.append(":".join(filter(None, (source or kind, mount.text("Target"), options))))
    found = [paths.normalise(source)] if source.startswith("/") and kind not in ("tmpfs", "image") else []
    driver = mount.struct("VolumeOptions", pointer=True).struct("DriverConfig", pointer=True)
    found += paths.sources_of_options(driver.text_map("Options"))
    made.mount_sources += found
    propagation = mount.struct("BindOptions", pointer=True).text("Propagation")
    made.propagation += paths.propagation_of([propagation])


def _devices(host: Object, made: Container) -> None:
    devices = [
        ":".join(filter(None, (paths.normalise(path), one.text("PathInContainer"), one.text("CgroupPermissions"))))
        for one in host.structs("Devices")
        if (path := one.text("PathOnHost"))
    ]
    devices += [f"rule {rule}" for rule in host.texts("DeviceCgroupRules")]
    for request in host.structs("DeviceRequests"):
        if request.text("Driver") == "cdi":
            devices += [f"cdi:{name}" for name in request.texts("DeviceIDs")]
        else:
            made.gpus = True
    made.devices = devices


def exec_create(body: Object) -> Facts:
    """POST /containers/{name}/exec."""
    return Facts(
        exec=Exec(
            user=body.text("User"),
            privileged=body.flag("Privileged"),
            command=command(argv(body, "Cmd")),
            env_names=variable_names(body.texts("Env")),
        )
    )


def volume_create(body: Object) -> Facts:
    """POST /volumes/create, of libpod with other names of the same."""
    options = {**body.text_map("DriverOpts"), **body.text_map("Options")}
    name = body.text("Name")
    return Facts(name, volume=Volume(name, body.text("Driver"), paths.sources_of_options(options)))


def named(body: Object) -> Facts:
    """A body of which only the name counts: networks, secrets, configurations."""
    return Facts(body.text("Name"))


def network_connect(body: Object) -> Facts:
    """POST /networks/{id}/connect: the container."""
    return Facts(container=Container(name=body.text("Container")))


def plugin_privileges(body: list[Value]) -> Facts:
    """POST /plugins/pull: what the plugin is granted, as a list."""
    granted = [one for one in body if isinstance(one, Object)]
    return Facts(plugin=Plugin(privileges=privileges_of(granted)))


def privileges_of(granted: list[Object]) -> list[str]:
    """Privileges of a plugin as "name=value"."""
    return [f"{one.text('Name')}={value}" for one in granted for value in one.texts("Value") or [""]]


def swarm_join(body: Object) -> Facts:
    """POST /swarm/join."""
    return Facts(swarm=Swarm(remotes=body.texts("RemoteAddrs")))


def service_create(body: Object) -> Facts:
    """POST /services/create and /services/{id}/update: a container's or a plugin's specification for the swarm."""
    task = body.struct("TaskTemplate")
    spec = task.struct("ContainerSpec", pointer=True)
    privileges = spec.struct("Privileges", pointer=True)
    name = body.text("Name")
    made = Container(
        name=name,
        image=spec.text("Image"),
        command=command([*spec.texts("Command"), *spec.texts("Args")]),
        user=spec.text("User"),
        env_names=variable_names(spec.texts("Env")),
        capabilities=paths.capabilities(spec.texts("CapabilityAdd")),
        readonly_rootfs=spec.flag("ReadOnly"),
        sysctls=[f"{key}={value}" for key, value in spec.text_map("Sysctls").items()],
        labels_count=len(spec.map("Labels")),
    )
    for part in ("Seccomp", "AppArmor"):
        mode = privileges.struct(part, pointer=True).text("Mode")
        if mode in ("unconfined", "disabled"):
            made.security_options.append(f"{part.lower()}=unconfined")
    if privileges.struct("SELinuxContext", pointer=True).flag("Disable"):
        made.security_options.append("label=disable")
    for mount in spec.structs("Mounts"):
        mount_of(mount, made)
    if any(one.text("Target") == "host" for one in [*task.structs("Networks"), *body.structs("Networks")]):
        made.namespaces_of_host = ["net"]
    plugin = task.struct("PluginSpec", pointer=True)
    granted = privileges_of(plugin.structs("PluginPrivilege"))
    return Facts(
        name,
        container=made,
        image=image_of(made.image),
        plugin=Plugin(plugin.text("Name"), plugin.text("Remote"), granted) if plugin.pairs else None,
    )


def argv(body: Object, name: str) -> list[str]:
    """A command, which may be written as one text."""
    return body.texts(name) or list(filter(None, [body.text(name)]))
