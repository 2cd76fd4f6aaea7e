"""The cluster of the settings and of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.credentials import read_secret
from sockwarden.errors import InputError
from sockwarden.settings import Cluster

URL, API_KEY = "SOCKWARDEN_CLUSTER_URL", "SOCKWARDEN_API_KEY"


def connection_of(settings: Cluster, environment: Mapping[str, str] = os.environ) -> Connection:
    """How to reach it: what the settings leave open, the environment says. InputError where there is none, or a secret
    cannot be read.
    """
    url = settings.url or environment.get(URL, "")
    if not url:
        raise InputError("no cluster is set", todo=f"Set `url` in [cluster] of /etc/sockwarden/config.toml, or {URL}.")
    api_key = password = ""
    if settings.api_key_file:
        api_key = read_secret(Path(settings.api_key_file))
    elif settings.username:
        password = read_secret(Path(settings.password_file))
    else:
        api_key = environment.get(API_KEY, "").strip()
        if not (api_key.isascii() and api_key.isprintable()):
            raise InputError("the API key cannot be used", where=API_KEY, why="it must be printable ASCII")
    connection = Connection(
        url=url,
        api_key=api_key,
        username=settings.username,
        password=password,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        timeout=float(settings.timeout),
    )
    connection.check()
    return connection


def client_of(settings: Cluster) -> Client:
    """A client of it, not connected yet."""
    return Client(connection_of(settings))
