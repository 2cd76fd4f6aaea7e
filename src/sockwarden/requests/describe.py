"""A request and its answer as plain, bounded data without secrets: what leaves the decoder's process."""

from __future__ import annotations

import msgspec

from sockwarden.requests import go_json
from sockwarden.requests.endpoint import Endpoint, endpoint_of, rpc_answer
from sockwarden.requests.facts.shape import (
    Archive,
    Build,
    Container,
    Exec,
    Facts,
    Image,
    Plugin,
    Swarm,
    Volume,
    bounded,
    cut,
    fitting,
    kept_text,
)
from sockwarden.requests.message import Answered, Asked, Unproven
from sockwarden.requests.operations import UNPROVEN, operation_of
from sockwarden.requests.reading import Content, first, read_facts
from sockwarden.requests.redaction import redact_body, redact_query, redact_text
from sockwarden.requests.summary import summarise

_MOST_KEYS = 32
_MOST_VALUES = 16
_MOST_QUERY = 16 << 10
_MOST_BODY = 32 << 10
"""Bytes."""
_MOST_AGENT = 256
_MOST_ERROR = 512
_NO_BODY = frozenset(
    {"auth", "secret-create", "config-create", "swarm-unlock", "image-load", "image-build", "kube-play"}
)
"""Operations whose body is a secret or no JSON."""
_FIRST_FAILURE = 400


class Described(msgspec.Struct, omit_defaults=True):
    """A request as sockwarden.request has it; grading adds risk, reasons and technique.

    operation, kind, exposes  of the catalogue
    path, query   decoded, redacted; empty for gRPC and ttrpc
    object        what it is done to, by name or id
    content       of the body: none, whole, cut, unknown
    summary       one line for people
    body          the redacted body as JSON, where that is asked for
    """

    number: int
    protocol: str
    method: str
    operation: str
    kind: str
    exposes: str
    content: Content = "none"
    path: str = ""
    query: dict[str, list[str]] = {}
    object: str = ""
    truncated: bool = False
    user_agent: str = ""
    summary: str = ""
    body: str = ""
    container: Container | None = None
    exec: Exec | None = None
    image: Image | None = None
    build: Build | None = None
    archive: Archive | None = None
    volume: Volume | None = None
    plugin: Plugin | None = None
    swarm: Swarm | None = None


class Returned(msgspec.Struct, omit_defaults=True):
    """What an answer says. returned_id: of what was made; error: the daemon's message, redacted; None of status where
    none was seen.
    """

    number: int
    status: int | None = None
    returned_id: str = ""
    error: str = ""


def describe(asked: Asked, *, store_bodies: bool = False) -> Described:
    """What a request does. Never raises for what a peer sent; linear in its size."""
    endpoint = endpoint_of(asked)
    operation = endpoint.match.operation
    facts, content = read_facts(asked, endpoint)
    facts = bounded(facts)
    name = kept_text(_object(endpoint) or facts.name)
    path = kept_text(endpoint.path)
    method = cut(asked.method)
    stored = store_bodies and asked.body and operation.name not in _NO_BODY and not asked.method.startswith("/")
    return Described(
        number=asked.number,
        protocol=asked.protocol,
        method=method,
        operation=operation.name,
        kind=operation.kind,
        exposes=operation.exposes,
        content=content,
        path=path,
        query=_bounded_query(redact_query(endpoint.query)),
        object=name,
        truncated=asked.truncated,
        user_agent=kept_text(next((value for key, value in asked.headers if key == "user-agent"), ""))[:_MOST_AGENT],
        summary=cut(summarise(operation.name, method, path, name, facts)),
        body=_bounded_body(redact_body(asked.body)) if stored else "",
        container=facts.container,
        exec=facts.exec,
        image=facts.image,
        build=facts.build,
        archive=facts.archive,
        volume=facts.volume,
        plugin=facts.plugin,
        swarm=facts.swarm,
    )


def describe_unproven(unproven: Unproven, number: int) -> Described:
    """The rest of a connection of which nobody can say what was asked; number: how many requests came before."""
    operation = operation_of(UNPROVEN)
    line = f"{summarise(UNPROVEN, '', '', '', Facts())}: {unproven.why}"
    return Described(
        number, "unknown", "", UNPROVEN, operation.kind, operation.exposes, "unknown", truncated=True, summary=cut(line)
    )


def returned(operation: str, answered: Answered, method: str = "") -> Returned:
    """What came of a request, as its `Described` names operation and method."""
    status = answered.status
    if method.startswith("/"):
        body = rpc_answer(method, answered.body)
        names = ("container_id", "pod_sandbox_id", "id", "exec_id", "image_ref")
        found = next(filter(None, map(body.text, names)), "")
        return Returned(answered.number, status, cut(found))
    body, _ = go_json.read_object(answered.body)
    if status is not None and status >= _FIRST_FAILURE:
        message = body.text("message") or body.text("cause")
        return Returned(answered.number, status, error=redact_text(message[: _MOST_ERROR * 2])[:_MOST_ERROR])
    return Returned(answered.number, status, cut(_returned_id(operation, body, answered.body)))


def _returned_id(operation: str, body: go_json.Object, data: bytes) -> str:
    if operation.endswith(("-create", "-commit")):
        return body.text("Id") or body.text("Name")
    if operation in ("image-pull", "image-build", "image-load"):
        return _id_of_stream(data)
    return ""


def _id_of_stream(data: bytes) -> str:
    """The last digest or image id in a stream of JSON objects, one a line."""
    found = ""
    for line in data.splitlines():
        message, _ = go_json.read_object(line)
        text = message.struct("aux").text("ID") or message.text("id") or message.text("status")
        text = text.removeprefix("Digest: ")
        found = text if text.startswith("sha256:") else found
    return found


def _object(endpoint: Endpoint) -> str:
    if endpoint.match.object:
        return endpoint.match.object
    return next(filter(None, (first(endpoint.query, key) for key in endpoint.match.operation.object)), "")


def _bounded_query(query: dict[str, list[str]]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    left = _MOST_QUERY
    for key, values in [*query.items()][:_MOST_KEYS]:
        names, left = fitting([kept_text(key)], left)
        if not names:
            break
        kept[names[0]], left = fitting(map(cut, values[:_MOST_VALUES]), left)
    return kept


def _bounded_body(body: str) -> str:
    data = body.encode()
    return body if len(data) <= _MOST_BODY else data[:_MOST_BODY].decode("utf-8", "ignore") + "…"
