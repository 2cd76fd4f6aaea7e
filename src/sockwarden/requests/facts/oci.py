"""The OCI runtime specification as containerd is handed it: field names as the specification has them."""

from __future__ import annotations

from sockwarden.requests.facts import paths
from sockwarden.requests.facts.shape import Container, Exec, command
from sockwarden.requests.go_json import Object
from sockwarden.requests.redaction import variable_names

USUAL_CAPABILITIES = frozenset(
    {
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETFCAP",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    }
)
"""What Docker, containerd and Podman give at most without being asked."""
_OF_PRIVILEGED = frozenset({"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"})
_NAMESPACES = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt"}
"""Those that a container has of its own unless told."""
_OTHER_NAMESPACES = {"user": "user", "cgroup": "cgroup", "time": "time"}
_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def container_of(spec: Object, *, whole: bool) -> Container:
    """A container by its specification; only of a whole one does what is missing say something. Privileged is what such
    a container is made of: all capabilities, no seccomp, nothing of /proc masked.
    """
    process, linux, root = spec.struct("process", pointer=True), spec.struct("linux", pointer=True), spec.struct("root")
    made = Container(
        command=command(process.texts("args")),
        user=user_of(process),
        env_names=variable_names(process.texts("env")),
        capabilities=capabilities_of(process),
        readonly_rootfs=root.flag("readonly"),
        cgroup_parent=linux.text("cgroupsPath"),
        sysctls=[f"{key}={value}" for key, value in linux.text_map("sysctl").items()],
        labels_count=len(spec.map("annotations")),
    )
    if whole and not linux.struct("seccomp", pointer=True).pairs:
        made.security_options = ["seccomp=unconfined"]
    if whole and not linux.elements("maskedPaths"):
        made.security_options.append("systempaths=unconfined")
    made.privileged = _OF_PRIVILEGED.issubset(made.capabilities) and len(made.security_options) == len(("", ""))
    for mount in spec.structs("mounts"):
        mount_of(mount, made)
    if root.text("path").startswith("/") and paths.normalise(root.text("path")) == "/":
        made.mount_sources.append("/")
    made.propagation += paths.propagation_of([linux.text("rootfsPropagation")])
    _namespaces(linux, made, whole=whole)
    made.devices = [paths.normalise(one.text("path")) for one in linux.structs("devices")]
    made.devices += rules_of(linux.struct("resources", pointer=True).structs("devices"))
    hooks = spec.struct("hooks", pointer=True)
    made.hooks = [one.text("path") for name in dict(hooks.pairs) for one in hooks.structs(name)]
    return made


def mount_of(mount: Object, made: Container) -> None:
    """A mount of the specification; Podman writes its own in the same way."""
    kind, source, options = mount.text("type"), mount.text("source"), mount.texts("options")
    found = paths.sources_of_mount(kind, source, options)
    if not found and kind not in ("bind", "rbind", "volume"):
        return
    made.mounts.append(":".join(filter(None, (source, mount.text("destination"), ",".join(options)))))
    made.mount_sources += found
    made.propagation += paths.propagation_of(options)


def _namespaces(linux: Object, made: Container, *, whole: bool) -> None:
    given: dict[str, str] = {one.text("type"): one.text("path") for one in linux.structs("namespaces")}
    for kind, short in {**_NAMESPACES, **_OTHER_NAMESPACES}.items():
        path = given.get(kind)
        if (path is None and whole and kind in _NAMESPACES) or (path and paths.is_host_namespace(path)):
            made.namespaces_of_host.append(short)
        elif path:
            made.container_namespaces.append(f"{short}:{path}")


def rules_of(rules: list[Object]) -> list[str]:
    """Rules of the device cgroup that allow every device of a kind, as Docker writes them."""
    return [
        f"rule {one.text('type') or 'a'} *:* {one.text('access')}"
        for one in rules
        if one.flag("allow") and one.number("major") in (None, -1) and _is_wide(one)
    ]


def _is_wide(rule: Object) -> bool:
    """Every runtime lets a container make any device (m); only reading and writing opens one."""
    return bool({"r", "w"} & set(rule.text("access")))


def capabilities_of(process: Object) -> list[str]:
    """Capabilities beyond the usual ones, in any of a process's sets."""
    given = process.struct("capabilities", pointer=True)
    found = paths.capabilities(name for one in _SETS for name in given.texts(one))
    return [name for name in found if name not in USUAL_CAPABILITIES]


def user_of(process: Object) -> str:
    """The user's number, or its name where there is one."""
    user = process.struct("user")
    uid = user.number("uid")
    return user.text("username") or (f"{uid:.0f}" if uid is not None else "0" if process.pairs else "")


def exec_of(process: Object) -> Exec:
    """A process that is put into a running container."""
    found = capabilities_of(process)
    return Exec(
        user=user_of(process),
        privileged=_OF_PRIVILEGED.issubset(found),
        command=command(process.texts("args")),
        env_names=variable_names(process.texts("env")),
        capabilities=found,
    )
