"""What can be set of sinks whose receivers may be away: webhooks and syslog, any number of each."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

# The descriptions follow "expected" in an error.
OptionalPath = Annotated[
    str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?\Z", description='an absolute path, or "" for none')
]
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}\Z",
        description="a name of 1 to 40 small letters, digits, - and _, which begins with a letter or digit",
    ),
]
# Its form is checked by `url_flaw`, whose words never quote it.
Url = Annotated[str, msgspec.Meta(description='a web address, or "" for none')]
HeaderName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z", description="a header's name")
]
HeaderValue = Annotated[
    str, msgspec.Meta(pattern=r"^[\x20-\x7e]*\Z", max_length=4096, description="a header's value in ASCII")
]
Host = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45})\Z",
        description='a host\'s name or address: "logs.example.org", "::1"',
    ),
]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535, description="a port from 1 to 65535, or 0 for the usual one")]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=300, description="a whole number of seconds from 1 to 300")]
PerMinute = Annotated[int, msgspec.Meta(ge=1, le=6000, description="a whole number from 1 to 6000")]
Batch = Annotated[int, msgspec.Meta(ge=1, le=1000, description="a whole number from 1 to 1000")]
MostBytes = Annotated[
    int,
    msgspec.Meta(ge=0, le=1 << 20, description="a whole number of bytes from 2048 to 1048576, or 0 for the usual one"),
]
StructuredDataId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,20}@[1-9][0-9.]{0,10}\Z",
        description='a name and a private enterprise number: "sockwarden@32473"',
    ),
]
Severity = Literal["low", "medium", "high", "critical"]

LEAST_MESSAGE = 2048
MOST_DATAGRAM = 65_507
_MOST_URL = 4096
TAKEN = frozenset(("file", "journald", "terminal", "stdout", "index", "index-accesses"))
"""Names of the sinks of which there is one."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of a webhook's headers. value_file: a file whose one line is the value, for a secret."""

    name: HeaderName
    value: HeaderValue = ""
    value_file: OptionalPath = ""


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[sinks.webhook]]: alerts by POST. url_file, secret_file: files with one line each."""

    name: Name
    url: Url = ""
    url_file: OptionalPath = ""
    allow_http: bool = False
    form: Literal["json", "ecs", "slack", "teams", "template"] = "json"
    template_file: OptionalPath = ""
    headers: tuple[Header, ...] = ()
    secret_file: OptionalPath = ""
    min_severity: Severity = "low"
    per_minute: PerMinute = 30
    batch: Batch = 1
    timeout: Seconds = 10
    ca_file: OptionalPath = ""
    proxy: Url = ""


class Syslog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[sinks.syslog]]: alerts as RFC 5424. port, most_bytes (of one message): 0 for the usual one."""

    name: Name
    host: Host
    port: Port = 0
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    form: Literal["text", "ndjson", "ecs"] = "text"
    facility: Literal[
        "authpriv",
        "auth",
        "daemon",
        "user",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ] = "authpriv"
    structured_data_id: StructuredDataId = "sockwarden@32473"
    most_bytes: MostBytes = 0
    min_severity: Severity = "low"
    timeout: Seconds = 10
    ca_file: OptionalPath = ""


def url_flaw(url: str, *, allow_http: bool) -> str:
    """What is wrong with a webhook's address; empty where nothing is. It never quotes the address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it is no web address"
    printable = url.isascii() and url.isprintable() and " " not in url and len(url) <= _MOST_URL
    if not host or parts.scheme not in ("http", "https") or port == 0 or not printable:
        return "it is no web address, which begins with https:// and has no spaces"
    if parts.scheme == "http" and not allow_http and not _loopback(parts):
        return "http is unencrypted, and only for this machine; `allow_http = true` allows it"
    return ""


def flaws(webhooks: tuple[Webhook, ...], syslogs: tuple[Syslog, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What no type can tell: places below [sinks], and what is wrong there."""
    names = set(TAKEN)
    named = [("webhook", index, sink.name) for index, sink in enumerate(webhooks)]
    named += [("syslog", index, sink.name) for index, sink in enumerate(syslogs)]
    for kind, index, name in named:
        if name in names:
            yield (kind, index, "name"), f"`name` in [sinks.{kind}]: {name!r} is another sink's name too"
        names.add(name)
    for index, webhook in enumerate(webhooks):
        yield from (
            (("webhook", index, key), f"`{key}` in [sinks.webhook]: {why}") for key, why in _of_webhook(webhook)
        )
    for index, syslog in enumerate(syslogs):
        too_large = syslog.transport == "udp" and syslog.most_bytes > MOST_DATAGRAM
        if too_large or 0 < syslog.most_bytes < LEAST_MESSAGE:
            why = f"at least {LEAST_MESSAGE}, and with udp at most {MOST_DATAGRAM}, which is what a datagram holds"
            yield ("syslog", index, "most_bytes"), f"`most_bytes` in [sinks.syslog]: {why}"
        if syslog.ca_file and syslog.transport != "tls":
            yield ("syslog", index, "ca_file"), '`ca_file` in [sinks.syslog]: only `transport = "tls"` uses one'


def _of_webhook(webhook: Webhook) -> Iterator[tuple[str, str]]:
    if bool(webhook.url) == bool(webhook.url_file):
        yield "name", f"{webhook.name!r} needs either `url` or `url_file`"
    if webhook.url and (why := url_flaw(webhook.url, allow_http=webhook.allow_http)):
        yield "url", why
    if webhook.proxy and (why := url_flaw(webhook.proxy, allow_http=True)):
        yield "proxy", why
    if (webhook.form == "template") != bool(webhook.template_file):
        key = "template_file" if webhook.template_file else "form"
        yield key, '`form = "template"` and `template_file` go together'
    if webhook.batch > 1 and webhook.form not in ("json", "ecs"):
        yield "batch", 'only the forms "json" and "ecs" are sent in arrays'
    for header in webhook.headers:
        if bool(header.value) == bool(header.value_file):
            yield "headers", f"{header.name!r} needs either `value` or `value_file`"


def _loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
