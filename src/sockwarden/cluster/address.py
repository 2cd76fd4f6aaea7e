"""What a cluster's URL must be. Apart from the client, so that settings are read without loading it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_MOST_URL = 2048


def url_flaw(url: str) -> str:
    """What is wrong with a cluster's URL; empty where nothing is. It never quotes the URL."""
    shape = "it must be https://HOST:PORT, without spaces"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return shape
    if "@" in parts.netloc:
        return "it carries credentials: take them out, and put them into `api_key_file` or `password_file`"
    printable = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}') and len(url) <= _MOST_URL
    if not host or parts.scheme not in ("http", "https") or port == 0 or not printable:
        return shape
    return "it carries a query or a fragment: leave out what follows ? or #" if {"?", "#"} & set(url) else ""


def loopback(parts: SplitResult) -> bool:
    """Whether it is this machine."""
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
