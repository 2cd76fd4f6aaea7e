"""What can be set, with its defaults. content/config.toml is the same for people, with the reasons."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sockwarden.settings.index import Cluster, Index
from sockwarden.settings.receivers import OptionalPath, Syslog, Webhook
from sockwarden.settings.sizes import Size, bytes_of

# The descriptions follow "expected" in an error.
RuleFile = Annotated[
    str,
    msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]*\.toml\Z", description='a rule file\'s absolute path, ending in ".toml"'),
]
Address = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(/[^\x00-\x1f\x7f]+|@[^\x00-\x1f\x7f]+|([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})\Z",
        max_length=255,
        description='a path "/run/x.sock", an abstract name "@x", or an address with its port "127.0.0.1:2375"',
    ),
]
Listen = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?\Z",
        description='an address with its port "127.0.0.1:9464", or "" for none',
    ),
]
Runtime = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}\Z", description='a runtime\'s name in small letters: "docker"'),
]
Selector = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, description="a rule's name, id or file stem, as `rules list` shows")
]
Days = Annotated[int, msgspec.Meta(ge=1, le=36_500, description="a whole number of days from 1 to 36500")]
Backlog = Annotated[int, msgspec.Meta(ge=1024, le=1 << 20, description="a whole number from 1024 to 1048576")]
Sensor = Literal["auto", "ebpf", "audit"]
Rung = Literal["", "lsm", "fentry", "kprobe", "tracepoint"]
SweepSeconds = Annotated[int, msgspec.Meta(ge=1, le=3600, description="a whole number of seconds from 1 to 3600")]
AbsoluteFolder = Annotated[
    str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?\Z", description='a folder\'s absolute path, or "" for none')
]


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[watch]. state: the folder of the store; "" for the usual one. notify: what reaches webhook, syslog and journald:
    alerts of stories that are graded high, or all.
    """

    state: OptionalPath = ""
    notify: Literal["graded", "all"] = "graded"


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sensors.audit]. unicast: own the audit connection; backlog: records that the kernel may queue, at least."""

    unicast: bool = False
    backlog: Backlog = 8192


class Ebpf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sensors.ebpf]. rung: the one kind of hook to use; "" for the best that works."""

    rung: Rung = ""


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[requests]: what is asked over a connection, which the sensor "ebpf" reads. body: how much of one is looked at;
    store_bodies: whether that is kept, redacted.
    """

    read: bool = True
    body: Size = "64 KiB"
    store_bodies: bool = False

    @property
    def most_body(self) -> int:
        """`body` in bytes, a MiB at most."""
        return min(bytes_of(self.body), 1 << 20)


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sensors.sweep]: a look, every so many seconds, at who holds a connection."""

    enabled: bool = True
    seconds: SweepSeconds = 5


class Sensors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sensors]. use: by what `watch` watches, "auto" for the best that works."""

    use: Sensor = "auto"
    ebpf: Ebpf = Ebpf()
    audit: Audit = Audit()
    sweep: Sweep = Sweep()


class ExtraSocket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[sockets.extra]]: a runtime socket that the catalogue does not know. name: as alerts tell it; "" for the
    runtime's.
    """

    address: Address
    runtime: Runtime
    name: str = ""


class Sockets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sockets]. ignore: canonical addresses that are not watched."""

    extra: tuple[ExtraSocket, ...] = ()
    ignore: tuple[Address, ...] = ()


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[rules]. enable: only these, all when empty; disable: not these; files: rule files besides the packaged ones;
    folder: of rules, exceptions and value lists; "" for none, and it may be missing.
    """

    enable: tuple[Selector, ...] = ()
    disable: tuple[Selector, ...] = ()
    files: tuple[RuleFile, ...] = ()
    folder: AbsoluteFolder = "/etc/sockwarden/rules"


class Terminal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sinks.terminal]: alerts on standard output."""

    enabled: bool = True


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sinks.file]: alerts appended to a file. form: one of `hunt --output`."""

    path: OptionalPath = ""
    form: Literal["ndjson", "ecs", "tracee"] = "ndjson"


class Journald(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sinks.journald]: alerts into systemd's journal."""

    enabled: bool = False


class Sinks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sinks]. spool: what a receiver that is away may leave waiting on disk, for each of index, webhook and
    syslog."""

    terminal: Terminal = Terminal()
    file: File = File()
    journald: Journald = Journald()
    index: Index = Index()
    spool: Size = "64 MiB"
    webhook: tuple[Webhook, ...] = ()
    syslog: tuple[Syslog, ...] = ()

    @property
    def spool_bytes(self) -> int:
        """The spool's size in bytes."""
        return bytes_of(self.spool)


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[retention]: what the store keeps: no older, and no larger."""

    days: Days = 30
    size: Size = "1 GiB"

    @property
    def max_bytes(self) -> int:
        """The size in bytes."""
        return bytes_of(self.size)


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[metrics]: in Prometheus' text format, into a file, on a port, or both."""

    file: OptionalPath = ""
    listen: Listen = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; every key may be left out."""

    watch: Watch = Watch()
    sensors: Sensors = Sensors()
    requests: Requests = Requests()
    sockets: Sockets = Sockets()
    rules: Rules = Rules()
    cluster: Cluster = Cluster()
    sinks: Sinks = Sinks()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()
