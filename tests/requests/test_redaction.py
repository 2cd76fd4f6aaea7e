"""What is redacted, by command_lines.tsv and texts.tsv: what was given, and what is kept of it."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.requests.redaction import (
    REDACTED,
    redact_argv,
    redact_body,
    redact_command_line,
    redact_joined,
    redact_query,
    redact_text,
    variable_names,
)


def rows(name: str) -> list[tuple[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["given"], row["kept"]) for row in table]


@pytest.mark.parametrize(("given", "kept"), rows("command_lines.tsv"))
def test_command_line(given: str, kept: str) -> None:
    assert redact_command_line(given) == kept
    assert redact_argv(shlex.split(given)) == shlex.split(kept)


@pytest.mark.parametrize(("given", "kept"), rows("texts.tsv"))
def test_text(given: str, kept: str) -> None:
    assert redact_text(given) == kept


@pytest.mark.parametrize(("given", "kept"), rows("command_lines.tsv") + rows("texts.tsv"))
def test_what_is_redacted_stays_as_it_is(given: str, kept: str) -> None:
    assert redact_text(redact_text(given)) == redact_text(given)
    assert redact_command_line(kept) == kept


def test_a_value_with_spaces_is_one_argument() -> None:
    assert redact_argv(["docker", "run", "-e", "A=b c", "x"]) == ["docker", "run", "-e", f"A={REDACTED}", "x"]
    assert redact_argv(["PASSWORD=a b", "x"]) == [f"PASSWORD={REDACTED}", "x"]


def test_a_line_that_is_its_arguments_is_redacted_as_they_are() -> None:
    argv = ["docker", "run", "-e", "A=b c", "x"]
    assert redact_joined(argv, " ".join(argv)) == f"docker run -e A={REDACTED} x"
    assert redact_joined(argv, "docker run -e A=b") == f"docker run -e A={REDACTED}"


QUERIES = [
    ("buildargs", '{"A":"hunter2","B":null}', '{"A":"[redacted]","B":null}'),
    ("buildargs", '{"A":"hun\\"ter2"', '{"A":"[redacted]"'),
    ("envs", '["A=hunter2"]', '["A=[redacted]"]'),
    ("changes", "ENV A=hunter2", "ENV A=[redacted]"),
    ("changes", "CMD sh", "CMD sh"),
    ("labels", '{"a":"hunter2"}', '{"a":"[redacted]"}'),
    ("password", "hunter2", "[redacted]"),
    ("credentials", "me:hunter2", "[redacted]"),
    ("remote", "https://me:hunter2@h/x.git", "https://me:[redacted]@h/x.git"),
    ("tlsVerify", "true", "true"),
    ("path", "/etc/shadow", "/etc/shadow"),
    ("filters", '{"label":{"a":true}}', '{"label":{"a":true}}'),
]


@pytest.mark.parametrize(("key", "value", "kept"), QUERIES)
def test_query(key: str, value: str, kept: str) -> None:
    assert redact_query({key: [value]}) == {key: [kept]}


def test_body() -> None:
    body = {
        "Image": "alpine",
        "Env": ["A=hunter2", "B"],
        "Cmd": ["curl", "-u", "me:hunter2", "h"],
        "Labels": {"a": "hunter2"},
        "envs": [{"key": "A", "value": "hunter2"}],
        "environment": {"A": "hunter2"},
        "HostConfig": {"Binds": ["/a:/b"], "LogConfig": {"Config": {"splunk-token": "hunter2"}}},
        "Data": "aHVudGVyMg==",
        "DriverOpts": {"o": "username=me,password=hunter2"},
        "Spec": {"JoinTokens": {"Worker": "hunter2"}},
        "Healthcheck": {"Test": ["CMD", "app", "--token", "hunter2"]},
    }
    kept = json.loads(redact_body(json.dumps(body).encode()))
    assert "hunter2" not in json.dumps(kept) and "aHVudGVyMg" not in json.dumps(kept)
    assert kept["Image"] == "alpine"
    assert kept["Env"] == ["A=[redacted]", "B=[redacted]"]
    assert kept["Cmd"] == ["curl", "-u", "me:[redacted]", "h"]
    assert kept["HostConfig"]["Binds"] == ["/a:/b"]
    assert kept["envs"] == [{"key": "A", "value": "[redacted]"}]


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'{"a":' * 9000])
def test_a_body_that_is_no_object_or_too_deep(body: bytes) -> None:
    assert "not json" not in redact_body(body)


def test_names_of_variables() -> None:
    assert variable_names(["A=b=c", "B", "=x"]) == ["A", "B", ""]


WORDS = st.sampled_from(
    ["docker", "run", "-e", "--env", "A=b", "-p", "80:80", "sh", "-c", "x y", "'", '"', "=", "", "é"]
)


@given(st.lists(WORDS | st.text(max_size=8), max_size=12))
def test_arguments_stay_one_for_one(argv: list[str]) -> None:
    assert len(redact_argv(argv)) == len(argv)
    redact_command_line(" ".join(argv))


@given(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), st.text(min_size=1, max_size=20))
def test_the_value_of_a_variable_is_never_kept(name: str, value: str) -> None:
    assert redact_argv(["docker", "run", "-e", f"{name}={value}", "alpine"])[3] == f"{name}={REDACTED}"


@pytest.mark.parametrize(
    "text", ["a=" * 32_768, "://" * 21_000, "a-" * 32_768, "'" * 65_536, "-e " * 21_000, '"a":' * 16_000]
)
def test_long_texts_come_to_an_end(text: str) -> None:
    redact_command_line(text)
    redact_text(text)
