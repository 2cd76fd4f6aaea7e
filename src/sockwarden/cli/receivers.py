"""Sinks whose receivers may be away, from the settings: webhooks and syslog."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sockwarden.alerts import Severity
from sockwarden.credentials import masked, read_secret, trust
from sockwarden.errors import InputError
from sockwarden.settings import Config, Syslog, Webhook, url_flaw
from sockwarden.sinks.syslog import MOST_BYTES, Formatter
from sockwarden.sinks.syslog_carrier import SyslogCarrier
from sockwarden.sinks.template import read_template
from sockwarden.sinks.worker import Carrier

_PORTS = {"udp": 514, "tcp": 514, "tls": 6514}


class Receiver(msgspec.Struct):
    """Where one sink's alerts go.

    kind    webhook or syslog, for people
    target  the same with its address, without what may be a secret
    taken   what it means when a delivery has succeeded
    """

    kind: str
    target: str
    form: str
    min_severity: Severity
    carrier: Carrier
    taken: str = "it said so"


def receivers_of(config: Config) -> dict[str, Receiver]:
    """The receivers by the names of their sinks, not connected yet. InputError where a file that they need is missing
    or broken.
    """
    found = {one.name: _webhook(one) for one in config.sinks.webhook}
    return found | {one.name: _syslog(one) for one in config.sinks.syslog}


def _webhook(settings: Webhook) -> Receiver:
    # Only here: it takes a fifth of a second, and most commands send nothing.
    from sockwarden.sinks.webhook import Webhook as Carrying  # noqa: PLC0415

    url = settings.url
    if settings.url_file:
        url = read_secret(Path(settings.url_file), "the address of a webhook")
        if why := url_flaw(url, allow_http=settings.allow_http):
            raise InputError("the address of a webhook cannot be used", where=settings.url_file, why=why)
    headers = {
        one.name: read_secret(Path(one.value_file), f"the header {one.name}") if one.value_file else one.value
        for one in settings.headers
    }
    secret = read_secret(Path(settings.secret_file), "the secret of a webhook") if settings.secret_file else ""
    carrier = Carrying(
        url,
        settings.form,
        template=read_template(Path(settings.template_file)) if settings.template_file else None,
        headers=headers,
        secret=secret.encode(),
        timeout=settings.timeout,
        batch=settings.batch,
        per_minute=settings.per_minute,
        context=trust(settings.ca_file),
        proxy=settings.proxy,
    )
    return Receiver("webhook", masked(url), settings.form, settings.min_severity, carrier)


def _syslog(settings: Syslog) -> Receiver:
    port = settings.port or _PORTS[settings.transport]
    message = Formatter(
        form=settings.form,
        facility=settings.facility,
        structured_data_id=settings.structured_data_id,
        most_bytes=settings.most_bytes or MOST_BYTES[settings.transport],
    ).message
    carrier = SyslogCarrier(
        settings.host,
        port,
        settings.transport,
        message,
        context=trust(settings.ca_file) if settings.transport == "tls" else None,
        timeout=settings.timeout,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    taken = (
        "it was sent; with udp nobody knows whether it arrived"
        if settings.transport == "udp"
        else "its system acknowledged it"
    )
    target = f"{settings.transport}://{host}:{port}"
    return Receiver("syslog", target, settings.form, settings.min_severity, carrier, taken)
