"""What goes wrong with a cluster, each with its reason and the way on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec

from sockwarden.errors import InputError

_MOST_REASON = 600
_CERTIFICATES = {
    9: ("its certificate is not valid yet", "Check the clocks of both hosts."),
    10: ("its certificate has expired", "Renew the certificate; check this host's clock."),
    62: (
        "its certificate is for another host name",
        "Write in `url` a name that the certificate has, or let it be made anew with this one.",
    ),
    64: (
        "its certificate is not for this IP address",
        "Write in `url` a name that the certificate has, or let it be made anew with this address.",
    ),
}
"""By OpenSSL's X509_V_ERR_* numbers."""
_UNKNOWN_CA = (
    "its certificate is signed by an authority that is not trusted here",
    "Set `ca_file` in [cluster] to the PEM file of that authority (Elasticsearch: config/certs/http_ca.crt).",
)
_BY_STATUS = {
    400: "",
    401: "Check `api_key_file`, or `username` and `password_file`, in [cluster]; keys may have expired.",
    403: "Give that user or key the privilege: to read, `read` and `view_index_metadata` on the rules' indices "
    "and `monitor` on the cluster; to write, `create_doc` and `auto_configure`.",
    404: "",
    413: "Raise http.max_content_length of the cluster, or what the proxy before it lets through.",
    429: "The cluster has more to do than it can; look at its load.",
}
BUSY = frozenset({429, 502, 503, 504})
"""Answers after which the same request may succeed a little later."""


class ClusterError(InputError):
    """A cluster did not do what it was asked.

    status     of its answer; None where none came
    transient  whether the same request may succeed a little later
    kind       the server's name for the error, such as index_not_found_exception
    retry_after  seconds that the server asks to wait
    """

    def __init__(
        self,
        what: str,
        *,
        where: str,
        why: str = "",
        todo: str = "",
        status: int | None = None,
        transient: bool = False,
        kind: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, where=where, why=why, todo=todo)
        self.status = status
        self.transient = transient
        self.kind = kind
        self.retry_after = retry_after


class AnswerTooLargeError(ClusterError):
    """An answer is larger than the request allowed."""


def of_transport(error: Exception, where: str) -> ClusterError:
    """The failure behind an exception of httpx, told by its name: nothing, or no HTTP, came back."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                why, todo = _CERTIFICATES.get(cause.verify_code, _UNKNOWN_CA)
                why = f"{why} ({cause.verify_message})" if cause.verify_message else why
                return ClusterError("the cluster is not trusted", where=where, why=why, todo=todo)
            case ssl.SSLError():
                why = cause.reason or str(cause)
                todo = "Is it https at all? Then look at the TLS versions that it takes."
                return ClusterError("no TLS connection to the cluster", where=where, why=why, todo=todo)
            case socket.gaierror():
                why = f"its host name is not found ({cause.strerror})"
                todo = "Check `url` in [cluster], and this host's DNS."
                return ClusterError("cannot reach the cluster", where=where, why=why, todo=todo, transient=True)
            case OSError() if cause.errno:
                todo = "Is it running, and is this its address and port? Check `url` in [cluster]."
                why = (cause.strerror or str(cause)).lower()
                return ClusterError("cannot reach the cluster", where=where, why=why, todo=todo, transient=True)
    name = type(error).__name__
    if name.endswith("Timeout"):
        return too_slow(where)
    if name in ("UnsupportedProtocol", "InvalidURL"):
        return ClusterError("the cluster's URL cannot be used", where=where, why=str(error))
    if name == "RemoteProtocolError" and "isconnect" not in str(error):
        why = f"what came is no HTTP ({str(error)[:200]})"
        todo = "Is it https that listens there? Check `url` in [cluster]."
        return ClusterError("no answer of the cluster", where=where, why=why, todo=todo, transient=True)
    if name == "DecodingError":
        return ClusterError("an answer that cannot be unpacked", where=where, why=str(error)[:200])
    why = str(error)[:200] or name
    return ClusterError("the connection to the cluster broke", where=where, why=why, transient=True)


def too_slow(where: str) -> ClusterError:
    """It took longer than the timeout."""
    return ClusterError(
        "the cluster did not answer in time",
        where=where,
        todo="Look at its load, or raise `timeout` in [cluster].",
        transient=True,
    )


def of_status(status: int, body: bytes, where: str, asked: str, retry_after: str = "") -> ClusterError:
    """The failure that an answer of 300 and above tells. asked: method and path."""
    kind, reason = reason_of(body)
    if 300 <= status < 400:
        todo = "Set `url` in [cluster] to where the cluster itself is: redirects are not followed, as they could take "
        return ClusterError(
            "redirected", where=where, why=f"{asked}: HTTP {status}", todo=todo + "the secret elsewhere.", status=status
        )
    what = {
        400: "the cluster refused the request",
        401: "the cluster does not know who asks",
        403: "the cluster does not permit that",
        404: "the cluster has no such thing",
    }.get(status, "the cluster failed" if status >= 500 else "the cluster refused the request")
    return ClusterError(
        what,
        where=where,
        why=f"{asked}: HTTP {status}" + (f": {reason}" if reason else ""),
        todo=_BY_STATUS.get(status, "Look at the cluster's log." if status >= 500 else ""),
        status=status,
        transient=status in BUSY,
        kind=kind,
        retry_after=float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
    )


def reason_of(body: bytes) -> tuple[str, str]:
    """Type and reason of an error in the words of Elasticsearch's REST API; of another body, its beginning."""
    try:
        answer = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return "", _one_line(body[:200].decode("utf-8", "replace"))
    return error_of(answer.get("error")) if isinstance(answer, dict) else ("", "")


def error_of(error: Any) -> tuple[str, str]:
    """Type of what is at the root of one error object, and its reasons from the outermost to the innermost."""
    if not isinstance(error, dict):
        return "", _one_line(error) if isinstance(error, str) else ""
    roots = error.get("root_cause")
    root = roots[0] if isinstance(roots, list) and roots and isinstance(roots[0], dict) else error
    kind, told = str(root.get("type") or ""), ""
    for one in _inward(error):
        reason = str(one.get("reason") or "")
        if reason and reason not in told:
            told = f"{told}: {reason}" if told else reason
    return _one_line(kind), _one_line(told)


def _inward(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The error, then what caused it: `all shards failed` alone explains nothing."""
    for _ in range(5):
        yield error
        roots, shards = error.get("root_cause"), error.get("failed_shards")
        shard = shards[0] if isinstance(shards, list) and shards else None
        inner: Any = shard.get("reason") if isinstance(shard, dict) else None
        inner = inner or error.get("caused_by") or (roots[0] if isinstance(roots, list) and roots else None)
        if not isinstance(inner, dict):
            return
        error = inner


def _one_line(text: str) -> str:
    joined = " ".join(text[: 2 * _MOST_REASON].split())
    return joined if len(joined) <= _MOST_REASON else joined[:_MOST_REASON] + "…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
