"""Tracee's JSON events as documents: the classic `trace.Event` and the protobuf `v1beta1.Event`.

Facts of the two shapes (Tracee's types/trace/trace.go, and api/v1beta1/*.proto with its JSON marshallers):

    classic  `eventName`, nanoseconds since the epoch, `args` of name, type and value
    v1beta1  `name`, an RFC 3339 time, `data` of name and one typed value; members in snake_case, in the lowerCamelCase
             of protobuf's JSON mapping, or (one release) every value as `value` and families as numbers. A member at
             its default (false, 0, empty text) may be left out, so here, and only here, absence means the default.

Only `security_socket_connect` and `security_file_open` become documents. Pure: nothing is looked up anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sockwarden.document import Document, put
from sockwarden.errors import InputError

CONNECT = "security_socket_connect"
OPEN = "security_file_open"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAMILIES = {0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6"}
_ONEOF = ("value", "str", "sockaddr", "int32", "int64", "u_int32", "u_int64")
_SURROGATE = re.compile("[\ud800-\udfff]")


def recognise(event: Mapping[str, Any]) -> bool:
    """Whether this object is an event of Tracee at all, of any kind and either shape."""
    if isinstance(event.get("eventName"), str):
        return "timestamp" in event and "args" in event
    if not isinstance(event.get("name"), str) or "timestamp" not in event:
        return False
    return isinstance(event.get("workload"), Mapping) or ("id" in event and isinstance(event.get("data"), list))


def to_document(event: Mapping[str, Any]) -> Document | None:
    """The document of one event, None for a kind that no detector selects.

    A required argument that is absent or of another type than Tracee's is named in `sockwarden.tracee.missing`; a
    detector that needs it says so. Raises InputError for any other member of a wrong type, and for what is no event.
    """
    name = event.get("eventName", event.get("name"))
    if not isinstance(name, str):
        raise _unreadable("it has neither `eventName` nor `name` as text")
    if name not in (CONNECT, OPEN):
        return None
    original = _compact(event)
    if _SURROGATE.search(original):
        # No encoder takes a lone surrogate; from here on it is visible text, in the document and in the original.
        original = _SURROGATE.sub(_spelled, original)
        event = json.loads(original)
    document: Document = {
        "_index": "sockwarden",
        "_id": hashlib.sha256(_compact(event, sort=True).encode()).hexdigest(),
        "_version": 1,
        "@timestamp": _timestamp(event.get("timestamp")),
        "event": {
            "kind": "event",
            "module": "tracee",
            "dataset": "tracee.events",
            "code": name,
            "outcome": _outcome(event),
            "original": original,
        },
        "host": {"os": {"type": "linux"}},
        "sockwarden": {"sensor": {"name": "tracee", "hook": name}},
    }
    classic = "eventName" in event
    for field, path, read in _CLASSIC if classic else _V1BETA1:
        put(document, field, read(_at(event, path), path))
    if "orchestrator" in document:
        put(document, "orchestrator.type", "kubernetes")
    if "resource" in document.get("orchestrator", {}):
        put(document, "orchestrator.resource.type", "pod")
    origin = _origin(event, document, classic=classic)
    put(document, "sockwarden.actor.origin", origin)
    if origin == "host":
        # Tracee's hostName is that of the task's UTS namespace: of a container it is the container's own.
        put(document, "host.name", _text(event.get("hostName"), "hostName"))
    arguments = _arguments(event, "args" if classic else "data")
    missing = _connect(document, arguments, classic=classic) if name == CONNECT else _open(document, arguments)
    put(document, "sockwarden.tracee.missing", missing or None)
    return document


def _connect(document: Document, arguments: Mapping[str, Any], *, classic: bool) -> list[str]:
    document["event"] |= {"category": ["network"], "type": ["connection", "start"], "action": "connected-to"}
    put(document, "network.direction", "egress")
    address = arguments.get("remote_addr")
    if not isinstance(address, Mapping):
        return _undecodable(document, "remote_addr")
    family = _family(address, classic=classic)
    if family is None:
        return _undecodable(document, "remote_addr")
    put(document, "sockwarden.tracee.remote_addr.sa_family", family)
    if family == "AF_UNIX":
        put(document, "network.type", "unix")
        path = _member(address, "sun_path")
        if path is None and not classic:
            path = ""
        return _unix(document, path)
    if family in ("AF_INET", "AF_INET6"):
        put(document, "network.type", "ipv4" if family == "AF_INET" else "ipv6")
        prefix = "sin" if family == "AF_INET" else "sin6"
        _inet(document, _member(address, f"{prefix}_addr"), _member(address, f"{prefix}_port"))
    return []


def _unix(document: Document, path: Any) -> list[str]:
    """Tracee writes an abstract name as `@` and the rest; a relative path that starts with `@` looks the same, and
    older releases drop the NUL without a trace, so that an abstract name looks like a path.
    """
    if not isinstance(path, str):
        return _undecodable(document, "sun_path")
    kind = "abstract" if path.startswith("@") else "path"
    put(document, "sockwarden.socket.type", kind if path else "unnamed")
    put(document, "sockwarden.socket.address_as_given", path or None)
    return []


def _inet(document: Document, address: Any, port: Any) -> None:
    """Tracee gives the port as text in the classic shape, as a number in v1beta1."""
    known = isinstance(address, str) and address and re.fullmatch("[0-9]{1,5}", str(port))
    put(document, "sockwarden.socket.type", "inet" if known else "undecodable")
    if known:
        host = f"[{address}]" if ":" in address else address
        put(document, "destination.port", int(port))
        put(document, "sockwarden.socket.address_as_given", f"{host}:{port}")


def _undecodable(document: Document, argument: str) -> list[str]:
    put(document, "sockwarden.socket.type", "undecodable")
    return [argument]


def _open(document: Document, arguments: Mapping[str, Any]) -> list[str]:
    document["event"] |= {"category": ["file"], "type": ["access"], "action": "opened-file"}
    missing = []
    path = arguments.get("pathname")
    if isinstance(path, str):
        put(document, "file.path", path)
        put(document, "sockwarden.socket.type", "path")
        put(document, "sockwarden.socket.address_as_given", path)
    else:
        missing.append("pathname")
    flags = arguments.get("flags")
    if isinstance(flags, str) or _is_integer(flags):
        put(document, "sockwarden.tracee.flags", flags)
    else:
        missing.append("flags")
    return missing


def _origin(event: Mapping[str, Any], document: Document, *, classic: bool) -> str:
    """Origin by Tracee's own rule: `container` once the entry point has run, before that `container-init`."""
    flags = ("started", "is_running")
    paths = ("contextFlags.containerStarted",) if classic else tuple(f"workload.container.{flag}" for flag in flags)
    if any(_boolean(_at(event, path), path) for path in paths):
        return "container"
    return "container-init" if "id" in document.get("container", {}) else "host"


def _outcome(event: Mapping[str, Any]) -> str:
    """Both events are submitted with a constant 0 where the hook is entered, before the kernel decides: 0 tells
    nothing.
    """
    returned = _number(event.get("returnValue"), "returnValue")
    return "failure" if returned is not None and returned < 0 else "unknown"


def _arguments(event: Mapping[str, Any], member: str) -> dict[str, Any]:
    """The arguments by name; the first of equal names counts, as in Tracee's own look-up."""
    listed = event.get(member)
    if not isinstance(listed, list | None):
        raise _wrong(member, "a list", listed)
    arguments: dict[str, Any] = {}
    for position, argument in enumerate(listed or ()):
        if not isinstance(argument, Mapping):
            raise _wrong(f"{member}[{position}]", "an object", argument)
        name = argument.get("name")
        if not isinstance(name, str):
            raise _wrong(f"{member}[{position}].name", "text", name)
        if name not in arguments:
            values = (_member(argument, key) for key in _ONEOF)
            arguments[name] = next((value for value in values if value is not None), None)
    return arguments


def _family(address: Mapping[str, Any], *, classic: bool) -> str | None:
    family = _member(address, "sa_family")
    if family is None and not classic:
        return "AF_UNSPEC"
    if _is_integer(family):
        return _FAMILIES.get(family, str(family))
    return family if isinstance(family, str) else None


def _timestamp(value: Any) -> str:
    """ISO 8601 in UTC with milliseconds, cut and not rounded. Nanoseconds since boot, which Tracee prints on request,
    cannot be told from those since 1970 and come out as such.
    """
    moment = None
    try:
        if _is_integer(value):
            moment = _EPOCH + timedelta(milliseconds=value // 1_000_000)
        elif isinstance(value, str) and (given := datetime.fromisoformat(value)).tzinfo:
            moment = given.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise _unreadable("`timestamp` is neither nanoseconds since 1970 nor an RFC 3339 time with its offset")
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _at(event: Mapping[str, Any], path: str) -> Any:
    """The member at a dotted path, None where a part is absent or null; `0` is the first element of a list."""
    value: Any = event
    for depth, part in enumerate(path.split(".")):
        if value is None:
            return None
        if part == "0" and isinstance(value, list):
            value = value[0] if value else None
        elif part != "0" and isinstance(value, Mapping):
            value = _member(value, part)
        else:
            so_far = ".".join(path.split(".")[:depth])
            raise _wrong(so_far, "a list" if part == "0" else "an object", value)
    return value


def _member(mapping: Mapping[str, Any], name: str) -> Any:
    """A member under its protobuf name or under the lowerCamelCase of it."""
    value = mapping.get(name)
    if value is None and "_" in name:
        first, *rest = name.split("_")
        value = mapping.get(first + "".join(part.capitalize() for part in rest))
    return value


def _is_integer(value: Any) -> bool:
    """An integer that fits in 64 bits, the widest Tracee has; JSON's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64


def _text(value: Any, path: str) -> str | None:
    """Text, None where it is absent or empty (Tracee's unknown)."""
    if not isinstance(value, str | None):
        raise _wrong(path, "text", value)
    return value or None


def _number(value: Any, path: str) -> int | None:
    if value is not None and not _is_integer(value):
        raise _wrong(path, "an integer", value)
    return None if value is None else int(value)


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool | None):
        raise _wrong(path, "true or false", value)
    return value is True


def _identifier(value: Any, path: str) -> str | None:
    number = _number(value, path)
    return None if number is None else str(number)


def _entity(value: Any, path: str) -> str | None:
    """Tracee's 32-bit hash of a task's start time and id; 0 where it has none."""
    number = _number(value, path)
    return str(number) if number else None


def _digests(value: Any, path: str) -> list[str] | None:
    """Image digests as `algorithm:value`: a repository digest without its repository."""
    listed = value if isinstance(value, list) else [value]
    digests = [_text(digest, path) for digest in listed]
    return [digest.rpartition("@")[2] for digest in digests if digest] or None


_Read = Callable[[Any, str], str | int | list[str] | None]

# The older containerId stands before container.id, which Tracee's own origin rule goes by and which wins.
_CLASSIC: tuple[tuple[str, str, _Read], ...] = (
    ("process.pid", "hostProcessId", _number),
    ("process.entity_id", "processEntityId", _entity),
    ("process.name", "processName", _text),
    ("process.executable", "executable.path", _text),
    ("process.thread.id", "hostThreadId", _number),
    ("process.parent.pid", "hostParentProcessId", _number),
    ("process.parent.entity_id", "parentEntityId", _entity),
    ("user.id", "userId", _identifier),
    ("container.id", "containerId", _text),
    ("container.id", "container.id", _text),
    ("container.name", "container.name", _text),
    ("container.image.name", "container.image", _text),
    ("container.image.hash.all", "container.imageDigest", _digests),
    ("orchestrator.namespace", "kubernetes.podNamespace", _text),
    ("orchestrator.resource.name", "kubernetes.podName", _text),
    ("orchestrator.resource.id", "kubernetes.podUID", _text),
)
_V1BETA1: tuple[tuple[str, str, _Read], ...] = (
    ("process.pid", "workload.process.host_pid", _number),
    ("process.entity_id", "workload.process.unique_id", _entity),
    ("process.name", "workload.process.thread.name", _text),
    ("process.executable", "workload.process.executable.path", _text),
    ("process.thread.id", "workload.process.thread.host_tid", _number),
    ("process.parent.pid", "workload.process.ancestors.0.host_pid", _number),
    ("process.parent.entity_id", "workload.process.ancestors.0.unique_id", _entity),
    ("user.id", "workload.process.real_user.id", _identifier),
    ("container.id", "workload.container.id", _text),
    ("container.name", "workload.container.name", _text),
    ("container.image.name", "workload.container.image.name", _text),
    ("container.image.hash.all", "workload.container.image.repo_digests", _digests),
    ("orchestrator.namespace", "workload.k8s.namespace.name", _text),
    ("orchestrator.resource.name", "workload.k8s.pod.name", _text),
    ("orchestrator.resource.id", "workload.k8s.pod.uid", _text),
)


def _compact(event: Mapping[str, Any], *, sort: bool = False) -> str:
    """Compact JSON; NaN and the infinities stand as Python's json writes and reads them."""
    try:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(f"it cannot be written as JSON ({error})") from None


def _spelled(surrogate: re.Match[str]) -> str:
    """JSON text for a lone surrogate: \\xNN for a byte that was not UTF-8, \\uNNNN for any other."""
    code = ord(surrogate[0])
    return f"\\\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\\\u{code:04x}"


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        str: "text",
        int: "an integer",
        float: "a fraction",
        list: "a list",
        dict: "an object",
    }
    return "absent" if value is None else names.get(type(value), "something else")


def _wrong(path: str, needed: str, value: Any) -> InputError:
    # A refused integer is one beyond 64 bits; saying "an integer" of it would puzzle.
    found = "out of range" if needed == "an integer" and type(value) is int else _kind(value)
    return _unreadable(f"`{path}` must be {needed}; it is {found}")


def _unreadable(why: str) -> InputError:
    return InputError(
        "this event of Tracee cannot be read",
        why=why,
        todo="give Tracee's own JSON output, one event on a line",
    )
