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
_READONLY = {"/sys": ("sysfs",), "/sys/fs/cgroup": ("cgroup", "cgroup2")}
"""Those that a container has to read."""
_USUAL_DEVICES = frozenset({"1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "10:200"})
"""null, zero, full, random, urandom, tty, console, ptmx and tun; 136 is all pseudo-terminals."""
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
    if whole and paths.are_open(linux.texts("maskedPaths"), linux.texts("readonlyPaths")):
        made.security_options.append("systempaths=unconfined")
    made.privileged = _OF_PRIVILEGED.issubset(made.capabilities) and len(made.security_options) == len(("", ""))
    for mount in spec.structs("mounts"):
        mount_of(mount, made)
    if (path := root.text("path")).startswith("/"):
        made.mount_sources += [each for each in paths.asked(path) if not paths.is_of_runtime(each)]
    made.propagation += paths.propagation_of([linux.text("rootfsPropagation")])
    _namespaces(linux, made, whole=whole)
    made.devices = [device for one in linux.structs("devices") for device in _device(one)]
    made.devices += rules_of(linux.struct("resources", pointer=True).structs("devices"))
    hooks = spec.struct("hooks", pointer=True)
    made.hooks = [one.text("path") for name in dict(hooks.pairs) for one in hooks.structs(name)]
    return made


def mount_of(mount: Object, made: Container) -> None:
    """A mount of the specification; Podman writes its own in the same way."""
    kind, source, options = mount.text("type"), mount.text("source"), mount.texts("options")
    found = [] if _is_usual(mount) else paths.sources_of_mount(kind, source, options)
    if not found and kind not in ("bind", "rbind", "volume"):
        return
    made.mounts.append(":".join(filter(None, (source, mount.text("destination"), ",".join(options)))))
    made.mount_sources += found
    made.propagation += paths.propagation_of(options)


def _is_usual(mount: Object) -> bool:
    """Whether it is one of the kernel's file systems where every container has it: what is hidden of it is so there."""
    place, kind, options = paths.normalise(mount.text("destination")), mount.text("type"), mount.texts("options")
    return (place, kind) == ("/proc", "proc") or (_READONLY.get(place, ()).count(kind) > 0 and "ro" in options)


def _device(device: Object) -> list[str]:
    """A device that the runtime makes in the container: its number counts, not its name."""
    number = ":".join(f"{device.number(name) or 0:.0f}" for name in ("major", "minor"))
    kind = device.text("type")
    known = not kind or is_usual_device(kind, number)
    return [paths.normalise(device.text("path")), *([] if known else [f"rule {kind} {number}"])]


def _namespaces(linux: Object, made: Container, *, whole: bool) -> None:
    given: dict[str, str] = {one.text("type"): one.text("path") for one in linux.structs("namespaces")}
    for kind, short in {**_NAMESPACES, **_OTHER_NAMESPACES}.items():
        path = given.get(kind)
        if (path is None and whole and kind in _NAMESPACES) or (path and paths.is_host_namespace(path)):
            made.namespaces_of_host.append(short)
        elif path:
            made.container_namespaces.append(f"{short}:{path}")


def rules_of(rules: list[Object]) -> list[str]:
    """Rules of the device cgroup that allow devices beyond the usual ones, as Docker writes them."""
    return [
        f"rule {one.text('type') or 'a'} {number} {one.text('access')}"
        for one in rules
        if one.flag("allow") and _opens(one) and not is_usual_device(one.text("type"), number := _numbers(one))
    ]


def _opens(rule: Object) -> bool:
    """Every runtime lets a container make any device (m); only reading and writing opens one."""
    return bool({"r", "w"} & set(rule.text("access")))


def _numbers(rule: Object) -> str:
    numbers = (rule.number(name) for name in ("major", "minor"))
    return ":".join("*" if number is None or number < 0 else f"{number:.0f}" for number in numbers)


def is_usual_device(kind: str, number: str) -> bool:
    """Whether every container may open it."""
    return kind in ("c", "u") and (number in _USUAL_DEVICES or number.startswith("136:"))


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
