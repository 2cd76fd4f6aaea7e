"""What must not be kept: secrets in command lines, queries and bodies.

The name of a variable is kept and its value is not, whether it looks like a secret or not: `docker run -e TOKEN=abc`
becomes `docker run -e TOKEN=[redacted]`. All is linear in what is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sockwarden.requests.go_json import Object, Value, read_object
from sockwarden.requests.secret_forms import REDACTED, is_secret_name, redact_text

__all__ = [
    "REDACTED",
    "redact_argv",
    "redact_body",
    "redact_command_line",
    "redact_joined",
    "redact_query",
    "redact_text",
    "variable_names",
]

_VARIABLE_OPTIONS = frozenset({"--env", "--build-arg", "--env-add"})
_SHORT_VARIABLE = re.compile(r"-[A-Za-z]*e")
_JOINED_VARIABLE = re.compile(r"(-[A-Za-z]{0,8}?e)([A-Z_][A-Z0-9_]*=).*", re.DOTALL)
_VARIABLE = re.compile(r"([\"']?(?:build-arg:)?[A-Za-z_][\w.-]*=).+", re.DOTALL)
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)(=?)")
_LOGIN_PAIR = re.compile(r"([^:\s]*:).+", re.DOTALL)
_HEADER = re.compile(r"([A-Za-z][\w-]*:\s{0,4}).+", re.DOTALL)
_WORD = re.compile(r"(?:[^\s\"']|\"[^\"]*\"?|'[^']*'?)+")
_SPACE = re.compile(r"\s")
_MOST_SHELLS = 3

_READERS_OF_PATTERNS = frozenset(
    {"grep", "egrep", "fgrep", "zgrep", "rg", "sed", "gsed", "perl", "ruby", "awk", "gawk", "jq"}
)
"""Programs whose -e is no variable."""
_JOINED_PASSWORD = frozenset(
    {
        "mysql",
        "mysqldump",
        "mysqladmin",
        "mysqlimport",
        "mysqlcheck",
        "mysqlshow",
        "mariadb",
        "mariadb-dump",
        "mariadb-admin",
        "sshpass",
    }
)
"""Programs whose -pX is a password."""
_PASSWORD_OPTIONS = {
    "sshpass": frozenset({"-p"}),
    "login": frozenset({"-p"}),
    "redis-cli": frozenset({"-a"}),
    "ldapsearch": frozenset({"-w"}),
    "ldapadd": frozenset({"-w"}),
    "ldapmodify": frozenset({"-w"}),
    "mongosh": frozenset({"-p"}),
    "mongo": frozenset({"-p"}),
    "mongodump": frozenset({"-p"}),
}
"""By a word of the command line, options after it whose next word is a password."""
_LOGIN_OPTIONS = {
    "curl": frozenset({"-u", "--user", "-U", "--proxy-user"}),
    "crictl": frozenset({"--creds", "--auth"}),
    "ctr": frozenset({"-u", "--user"}),
    "podman": frozenset({"--creds"}),
    "skopeo": frozenset({"--creds", "--src-creds", "--dest-creds"}),
    "buildah": frozenset({"--creds"}),
    "nerdctl": frozenset({"--creds"}),
}
"""The same for `user:password`."""


def redact_argv(argv: Iterable[str]) -> list[str]:
    """A program's arguments, one for one, each as it is but for the secrets in it."""
    return _redact(list(argv), _MOST_SHELLS)


def redact_command_line(text: str) -> str:
    """A command line as one text: what stands between its words stays. Where the arguments are known redact those:
    a value with spaces cannot be told from the words behind it here.
    """
    return _redact_line(text, _MOST_SHELLS)


def redact_joined(argv: Sequence[str], text: str) -> str:
    """A command line beside its arguments: where it is these with spaces between, so it stays, and a value that has
    spaces is redacted whole.
    """
    return " ".join(redact_argv(argv)) if text == " ".join(argv) else redact_command_line(text)


def _redact_line(text: str, shells: int) -> str:
    words = list(_WORD.finditer(text))
    redacted = _redact([word[0] for word in words], shells)
    parts: list[str] = []
    end = 0
    for word, new in zip(words, redacted, strict=True):
        parts += [text[end : word.start()], new]
        end = word.end()
    return redact_text("".join([*parts, text[end:]]))


def _redact(argv: list[str], shells: int) -> list[str]:
    """`shells` is how many command lines within words are still looked into."""
    programs = _Programs()
    redacted: list[str] = []
    expected = ""
    for word in argv:
        expected, how = "", expected
        if how and not (word.startswith("-") and how == "secret"):
            redacted.append(_as_expected(word, how))
            continue
        new, expected = programs.option(word) if word.startswith("-") else (None, "")
        if new is None:
            new = _redact_word(word, shells)
        redacted.append(new)
        programs.see(word.strip("\"'"))
    return redacted


def _redact_word(word: str, shells: int) -> str:
    """A word that may itself be a command line, in quotes or not: `sh -c`."""
    if not shells or not _SPACE.search(word):
        return redact_text(word)
    quote = word[0] if word[0] in "\"'" and word[-1] == word[0] and len(word) > 1 else ""
    inner = word[1:-1] if quote else word
    found = _HEADER.fullmatch(inner) or _VARIABLE.fullmatch(inner)
    if found and is_secret_name(found[1].strip("=: \"'")):
        return f"{quote}{found[1]}{REDACTED}{quote}"
    return f"{quote}{_redact_line(inner, shells - 1)}{quote}"


def _as_expected(word: str, how: str) -> str:
    if how == "secret":
        return REDACTED
    if how == "build-option" and not word.startswith("build-arg:"):
        return redact_text(word)
    found = (_LOGIN_PAIR if how == "login" else _VARIABLE).fullmatch(word)
    quote = word[0] if word[:1] in ('"', "'") and word[-1] == word[0] else ""
    return f"{found[1]}{REDACTED}{quote}" if found else redact_text(word)


class _Programs:
    """Which programs a command line has named so far, as far as their options are known."""

    def __init__(self) -> None:
        self._reads_patterns = False
        self._joined = False
        self._passwords: frozenset[str] = frozenset()
        self._logins: frozenset[str] = frozenset()

    def see(self, word: str) -> None:
        name = word.rpartition("/")[2]
        self._reads_patterns |= name in _READERS_OF_PATTERNS
        self._joined |= name in _JOINED_PASSWORD
        self._passwords |= _PASSWORD_OPTIONS.get(name, frozenset())
        self._logins |= _LOGIN_OPTIONS.get(name, frozenset())

    def option(self, word: str) -> tuple[str | None, str]:
        """An option redacted, None where nothing in it is known to be secret; how to redact the word behind it."""
        if word in self._passwords:
            return word, "secret"
        if word in self._logins:
            return word, "login"
        if word.startswith("--"):
            return self._long(word)
        if not self._reads_patterns:
            if _SHORT_VARIABLE.fullmatch(word):
                return word, "variable"
            if found := _JOINED_VARIABLE.fullmatch(word):
                return f"{found[1]}{found[2]}{REDACTED}", ""
        if (self._joined or "-p" in self._passwords) and word.startswith("-p") and len(word) > len("-p"):
            return f"-p{REDACTED}", ""
        found = _OPTION.match(word)
        if found and len(found[1]) > len("-p") and is_secret_name(found[1]):
            return (f"{found[0]}{REDACTED}", "") if found[2] else (None, "secret" if found.end() == len(word) else "")
        return None, ""

    def _long(self, word: str) -> tuple[str | None, str]:
        name, sign, value = word.partition("=")
        if name in _VARIABLE_OPTIONS:
            how = "variable"
        elif name in self._logins:
            how = "login"
        elif name == "--opt":
            how = "build-option"
        else:
            how = "secret" if is_secret_name(name[2:]) else ""
        if not sign:
            return (word, how) if how else (None, "")
        return (f"{name}={_as_expected(value, how)}", "") if how and value else (None, "")


_VARIABLES_IN_QUERY = frozenset({"buildargs", "env", "envs", "args", "labels", "changes", "annotations"})
_INSTRUCTION = re.compile(r"(\s*(?:ENV|LABEL|ARG)\s+[^\s=]+[\s=]\s*).+", re.DOTALL | re.IGNORECASE)
_IN_JSON = re.compile(r'("(?:[^"\\]|\\.)*"\s{0,4}:\s{0,4})"(?:[^"\\]|\\.)*"?|"([^"\\=]*=)(?:[^"\\]|\\.)*"?', re.DOTALL)


def redact_query(query: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """A query's values by their keys; of variables, labels and build arguments only the names are left."""
    return {key: [_query_value(key.lower(), value) for value in values] for key, values in query.items()}


def _query_value(key: str, value: str) -> str:
    if key in _VARIABLES_IN_QUERY:
        if found := _INSTRUCTION.fullmatch(value) or _VARIABLE.fullmatch(value):
            return f"{found[1]}{REDACTED}"
        return redact_text(
            _IN_JSON.sub(lambda found: f'{found[1]}"{REDACTED}"' if found[1] else f'"{found[2]}{REDACTED}"', value)
        )
    return REDACTED if value and is_secret_name(key) else redact_text(value)


def variable_names(variables: Iterable[str]) -> list[str]:
    """The names of an environment that is written `NAME=value`."""
    return [variable.partition("=")[0] for variable in variables]


_MOST_DEPTH = 64
_ARGUMENTS = frozenset({"cmd", "command", "entrypoint", "args", "init", "healthcheck", "test"})
_VARIABLES = frozenset(
    {"env", "envs", "environment", "options", "driveropts", "opts", "envmerge", "labels", "annotations"}
)
_SECRETS = frozenset(
    {
        "auth",
        "password",
        "identitytoken",
        "registrytoken",
        "data",
        "jointoken",
        "unlockkey",
        "secretenv",
        "secret_env",
        "username",
    }
)


def redact_body(body: bytes) -> str:
    """A JSON body without its secrets, as JSON; empty where it is none. Of a key that came again the last is there."""
    found, state = read_object(body)
    if state == "broken":
        return ""
    return msgspec.json.encode(_redacted_object(found, 0)).decode()


def _redacted_object(value: Object, depth: int) -> dict[str, object]:
    return {key: _redacted_member(key.lower(), child, depth + 1) for key, child in value.pairs}


def _redacted_member(key: str, value: Value, depth: int) -> object:
    if depth > _MOST_DEPTH:
        return REDACTED
    if key in _SECRETS or is_secret_name(key):
        return REDACTED if isinstance(value, (str, list, Object)) and value else value
    if isinstance(value, Object):
        if key in _VARIABLES:
            return {name: REDACTED for name, _ in value.pairs}
        return _redacted_object(value, depth)
    if isinstance(value, list):
        return _redacted_list(key, value, depth)
    return redact_text(value) if isinstance(value, str) else value


def _redacted_list(key: str, value: list[Value], depth: int) -> list[object]:
    texts = [child for child in value if isinstance(child, str)]
    if key in _VARIABLES:
        redacted: Iterable[str] = (f"{name}={REDACTED}" for name in variable_names(texts))
    elif key in _ARGUMENTS:
        redacted = redact_argv(texts)
    else:
        redacted = map(redact_text, texts)
    new = iter(redacted)
    inside = "variable" if key in _VARIABLES else key
    return [
        next(new)
        if isinstance(child, str)
        else {
            name: REDACTED if name.lower() == "value" else _redacted_member(name.lower(), one, depth + 1)
            for name, one in child.pairs
        }
        if inside == "variable" and isinstance(child, Object)
        else _redacted_member("", child, depth + 1)
        for child in value
    ]
