"""What looks like a secret in a text: what stands behind a name that says so, logins in URLs, known forms of tokens.

Linear in the text. What does not look like a secret stays exactly as it is.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|bearer|(?:api|access|private|encryption|signing|master|account)[-_.]?key"
    r"|jwt|(?:^|[-_.])(?:pass|pwd|auth|authorization|authorisation|pat|sas|dsn)$|^(?:set-)?cookie$|unlockkey|pgpass"
)
_NO_SECRET = re.compile(
    r"(?:file|files|path|dir|folder|stdin|ttl|name|names|length|count|policy|type|mode|timeout|url|uri|endpoint|lifetime"
    r"|expiry|enabled|required|store|provider|driver|helper|opts?|version|prompt)$|^no-|tokenizer|max[-_]tokens"
)
_MOST_NAME = 128
_ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9_])(?:([A-Za-z_][A-Za-z0-9_.-]{0,127})(?:\"\s{0,4}:|'\s{0,4}:|\s{0,4}=)"
    r"|((?:[A-Za-z0-9]{1,40}-){1,8}[A-Za-z0-9]{1,40}|cookie):)\s{0,4}",
    re.IGNORECASE,
)
"""A name before `=`, or before `:` where it is JSON's or a header's; a sentence has words before a colon too."""
_VALUE = re.compile(r"\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s&;,\"'|)}\]]+", re.DOTALL)
_LOGIN = re.compile(r"(://[^\s/:@?#]*:)[^\s/@]+(?=@)")
_AUTHORIZATION = re.compile(
    r"(authori[sz]ation[\"']?\s{0,4}[:=]\s{0,4}[\"']?)(?:(bearer|basic|token|digest|negotiate)(\s{1,4}))?[^\s\"']+"
    r"|\b(bearer|basic)(\s{1,4})[A-Za-z0-9._~+/=-]{12,}",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|dckr_[a-z]{3}_[\w-]{16,}|npm_[A-Za-z0-9]{30,}"
    r"|pypi-[\w-]{30,}|sk-[\w-]{20,}|[sr]k_live_\w{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}"
    r"|hv[sbr]\.[\w-]{20,}|SWMTKN-1-[\w-]+|SWMKEY-1-[\w+/=-]+|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)


def is_secret_name(name: str) -> bool:
    """Whether what bears this name is a secret: an option, a variable, a key, a header."""
    name = name.lower()
    return len(name) <= _MOST_NAME and bool(_SECRET_NAME.search(name)) and not _NO_SECRET.search(name)


def redact_text(text: str) -> str:
    """A text of any kind with its secrets redacted: a message, a URL, a value."""
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _TOKEN.sub(REDACTED, text)
    if "://" in text:
        text = _LOGIN.sub(rf"\g<1>{REDACTED}", text)
    text = _AUTHORIZATION.sub(_authorization, text)
    return _redact_assigned(text) if "=" in text or ":" in text else text


def _authorization(found: re.Match[str]) -> str:
    head, scheme, space, lone, lone_space = found.groups(default="")
    return f"{head}{scheme}{space}{lone}{lone_space}{REDACTED}"


def _redact_assigned(text: str) -> str:
    """A value is only read behind the name of a secret, so that each character is looked at once or twice."""
    parts: list[str] = []
    kept = at = 0
    while (found := _ASSIGNED.search(text, at)) is not None:
        at = found.end()
        if not is_secret_name(found[1] or found[2]):
            continue
        value = _VALUE.match(text, at)
        if value is None or value[0].startswith(REDACTED[:-1]):
            continue
        quote = value[0][0] if value[0][0] in "\"'" else ""
        parts += [text[kept:at], quote, REDACTED, quote]
        kept = at = value.end()
    return "".join([*parts, text[kept:]])
