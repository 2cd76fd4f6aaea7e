"""What can be set of a cluster, and of what is written there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from sockwarden.cluster.address import url_flaw
from sockwarden.settings.receivers import OptionalPath, Seconds, Url

Username = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^:\x00-\x1f\x7f]*\Z", max_length=255, description='a user\'s name without ":", or "" for none'
    ),
]
Namespace = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9_.]{0,99}\Z",
        description='a name of small letters, digits, "_" and ".", without "-": "default"',
    ),
]


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: Elasticsearch or OpenSearch. timeout: seconds for one answer."""

    url: Url = ""
    api_key_file: OptionalPath = ""
    username: Username = ""
    password_file: OptionalPath = ""
    ca_file: OptionalPath = ""
    timeout: Seconds = 30


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[sinks.index]: alerts and accesses into the cluster. namespace: the end of the names that they go to."""

    enabled: bool = False
    alerts: bool = True
    accesses: bool = True
    namespace: Namespace = "default"


def flaws(cluster: Cluster) -> Iterator[tuple[tuple[str, str], str]]:
    """What no type can tell: places, and what is wrong there. Never quotes the URL, which may carry credentials."""
    if cluster.url and (why := url_flaw(cluster.url)):
        yield ("cluster", "url"), f"`url` in [cluster]: {why}"
    if cluster.api_key_file and cluster.username:
        yield ("cluster", "username"), "`username` in [cluster]: `api_key_file` is set too, and one of them decides"
    if bool(cluster.username) != bool(cluster.password_file):
        key = "username" if cluster.username else "password_file"
        yield ("cluster", key), "`username` and `password_file` in [cluster] go together"
