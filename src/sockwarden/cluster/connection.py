"""How to reach a cluster, and as whom."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from sockwarden.cluster.address import loopback, url_flaw
from sockwarden.credentials import trust
from sockwarden.errors import InputError


class Connection(msgspec.Struct, frozen=True):
    """One cluster. Its repr shows no secret.

    url       scheme, host, port and perhaps a path; see `url_flaw`
    api_key   as Kibana shows it: in Base64, or `id:key`
    ca_file   PEM of the authorities to trust, in place of the system's
    timeout   seconds: for the connection, between two pieces of an answer, and for a whole answer
    """

    url: str
    api_key: str = ""
    username: str = ""
    password: str = ""
    ca_file: Path | None = None
    timeout: float = 30.0

    def __repr__(self) -> str:
        return f"Connection({self.base!r})"

    @property
    def base(self) -> str:
        """The URL without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show: the secrets, and the forms in which they are sent."""
        sent = self.authorization().partition(" ")[2]
        return tuple(filter(None, (self.api_key, self.password, sent)))

    def authorization(self) -> str:
        """The header Authorization; empty for none."""
        if self.api_key:
            key = self.api_key
            return f"ApiKey {_base64(key) if ':' in key else key}"
        return f"Basic {_base64(f'{self.username}:{self.password}')}" if self.username else ""

    def check(self) -> None:
        """InputError where it cannot be used: a bad URL, two identities, secrets that would cross a network openly."""
        if why := url_flaw(self.url):
            raise InputError("the cluster's URL cannot be used", why=why, todo="Set `url` in [cluster].")
        if self.api_key and self.username:
            raise InputError(
                "two identities for the cluster", where=self.base, why="an API key and a user are set", todo="Set one."
            )
        if bool(self.username) != bool(self.password):
            missing = "`password_file`" if self.username else "`username`"
            raise InputError("half an identity for the cluster", where=self.base, todo=f"Set {missing} in [cluster].")
        parts = urlsplit(self.url)
        if parts.scheme == "http" and self.authorization() and not loopback(parts):
            raise InputError(
                "refused: the secret would cross the network unencrypted",
                where=self.base,
                todo="Write https:// in `url`; `ca_file` names an authority of your own.",
            )

    def tls(self) -> ssl.SSLContext:
        """What certificates are held against. InputError where the CA file cannot be used."""
        return trust(str(self.ca_file or ""))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
