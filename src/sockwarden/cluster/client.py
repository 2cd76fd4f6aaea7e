"""A thin client of the REST API that Elasticsearch and OpenSearch share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from sockwarden import __version__
from sockwarden.cluster.connection import Connection
from sockwarden.cluster.failures import AnswerTooLargeError, ClusterError, of_status, of_transport, too_slow

MOST_ANSWER = 64 << 20
"""Bytes of one answer, unpacked."""
ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_MOST_PAUSE = 8.0
_MOST_ASKED = 30.0
"""Seconds before the same request again: doubled each time, at random between half and all of it; what the server asks
for, up to a bound.
"""
Distribution = Literal["elasticsearch", "opensearch"]
_LEAST: dict[Distribution, tuple[int, int]] = {"elasticsearch": (7, 12), "opensearch": (2, 4)}
"""The first versions with a point in time that `search_after` can page through."""
_DISGUISE = (7, 10)
"""What OpenSearch says its version is where compatibility.override_main_response_version is set."""

Json = dict[str, Any]


class Info(msgspec.Struct, frozen=True):
    """What a cluster says it is. version: of the server, "2.19.1"."""

    distribution: Distribution
    version: str
    name: str


class Client:
    """Asks one cluster. Raises ClusterError; a failure that may pass is tried again, `attempts` times in all.

    url    without credentials, as messages name it
    pause  waits between two tries; another one may be given, which can be interrupted
    """

    def __init__(
        self, connection: Connection, *, attempts: int = ATTEMPTS, pause: Callable[[float], object] = time.sleep
    ) -> None:
        connection.check()
        self.url = connection.base
        self._attempts = attempts
        self._pause = pause
        self._timeout = connection.timeout
        self._secrets = connection.secrets
        self._info: Info | None = None
        headers = {"user-agent": f"sockwarden/{__version__}", "accept": "application/json", "accept-encoding": "gzip"}
        if authorization := connection.authorization():
            headers["authorization"] = authorization
        import httpx  # noqa: PLC0415 - it takes a fifth of a second, and most commands ask no cluster

        self._errors = (httpx.HTTPError, httpx.InvalidURL)
        self._http = httpx.Client(
            headers=headers,
            verify=connection.tls(),
            timeout=connection.timeout,
            follow_redirects=False,
            trust_env=False,  # a proxy or a CA file from the environment would decide who sees the secret
        )

    def info(self) -> Info:
        """What the cluster is; asked once. ClusterError where it is too old, or something else."""
        if self._info is None:
            answer = self.json("GET", "/")
            version = answer.get("version")
            version = version if isinstance(version, dict) else {}
            number = str(version.get("number", ""))
            self._info = Info(_distribution(version), number, str(answer.get("cluster_name", "")))
            self._refuse_old(self._info)
        return self._info

    def json(
        self,
        method: str,
        path: str,
        body: Json | bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
        most_bytes: int = MOST_ANSWER,
        attempts: int | None = None,
    ) -> Json:
        """As `raw`, decoded."""
        content = self.raw(method, path, body, params=params, most_bytes=most_bytes, attempts=attempts)
        try:
            answer = msgspec.json.decode(content)
        except (ValueError, RecursionError) as error:
            raise self.not_json(str(error), content) from None
        if not isinstance(answer, dict):
            raise self.not_json("it is no object", content)
        return answer

    def raw(
        self,
        method: str,
        path: str,
        body: Json | bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
        most_bytes: int = MOST_ANSWER,
        attempts: int | None = None,
    ) -> bytes:
        """The body of the answer to one request. body: an object, sent as JSON, or lines of JSON.

        AnswerTooLargeError where it is larger than most_bytes.
        """
        tries = self._attempts if attempts is None else attempts
        for number in range(1, tries + 1):
            try:
                return self._once(method, path, body, params or {}, most_bytes)
            except ClusterError as error:
                self._hide(error)
                if not error.transient or number == tries:
                    raise
                wait = min(_FIRST_PAUSE * 2.0 ** (number - 1), _MOST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 - jitter
                self._pause(max(wait, min(error.retry_after or 0.0, _MOST_ASKED)))
        raise AssertionError("no attempt was asked for")

    def not_json(self, why: str, content: bytes) -> ClusterError:
        """An answer that is not what the REST API gives: a proxy's page, say."""
        begins = " ".join(content[:120].decode("utf-8", "replace").split())
        error = ClusterError(
            "an answer that is no JSON of a cluster",
            where=self.url,
            why=f"{why}; it begins: {begins}",
            todo="Is it a proxy or another service that answers there? Check `url` in [cluster].",
        )
        self._hide(error)
        return error

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def _once(
        self, method: str, path: str, body: Json | bytes | None, params: Mapping[str, str], most_bytes: int
    ) -> bytes:
        until = time.monotonic() + self._timeout
        headers = {}
        if body is not None:
            headers["content-type"] = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        content = msgspec.json.encode(body) if isinstance(body, dict) else body
        answer = bytearray()
        try:
            with self._http.stream(
                method, self.url + path, params=params, content=content, headers=headers
            ) as response:
                for piece in response.iter_bytes():
                    answer += piece
                    if len(answer) > most_bytes:
                        why = f"more than {most_bytes:,} bytes to {method} {path[:200]}"
                        raise AnswerTooLargeError("an answer that is too large", where=self.url, why=why)
                    if time.monotonic() > until:
                        raise too_slow(self.url)
        except self._errors as error:
            raise of_transport(error, self.url) from None
        if response.status_code >= 300:
            retry_after = response.headers.get("retry-after", "")
            raise of_status(response.status_code, bytes(answer), self.url, f"{method} {path[:200]}", retry_after)
        return bytes(answer)

    def _hide(self, error: ClusterError) -> None:
        """Whoever answers may send back what was sent."""
        for secret in self._secrets:
            error.why = error.why.replace(secret, "…")

    def _refuse_old(self, info: Info) -> None:
        parts = info.version.split("-")[0].split(".")
        if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
            raise self.not_json("it tells no version", info.version.encode())
        version = (int(parts[0]), int(parts[1]))
        disguised = info.distribution == "opensearch" and version == _DISGUISE
        if version < _LEAST[info.distribution] and not disguised:
            least = ".".join(map(str, _LEAST[info.distribution]))
            raise ClusterError(
                f"{info.distribution} {info.version} is too old",
                where=self.url,
                why=f"it has no point in time that can be paged through; {least} is the first that has",
                todo="Upgrade the cluster, or read its documents from an export with `sockwarden hunt`.",
            )


def _distribution(version: Json) -> Distribution:
    """OpenSearch names its distribution; Elasticsearch does not."""
    return "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
