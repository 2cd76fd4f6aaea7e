"""A rule file may be written by an attacker: it gives a rule or a RuleError, soon."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.content import packaged
from sockwarden.errors import RuleError
from sockwarden.rules import Rule, load_rule, parse_rule
from sockwarden.rules.files import MAX_BYTES

VALID = (packaged("rules") / "unusual-process-runtime-socket-access.toml").read_text("utf-8")
UNHURRIED = settings(deadline=None)  # a loaded machine is no failure
HEAD = "[rule]\nlanguage = 'kuery'\n"


def attempt(text: str) -> RuleError | Rule:
    try:
        return parse_rule(text, "x.toml")
    except RuleError as error:
        return error


@UNHURRIED
@given(st.text())
def test_any_text(text: str) -> None:
    assert isinstance(attempt(text), RuleError)


@UNHURRIED
@given(
    st.integers(0, len(VALID)),
    st.integers(0, 40),
    st.sampled_from(['"', "'''", "[", "[[", "=", "\n", "x", "\\", "#", "1", "{", "\r"]),
)
def test_a_rule_with_one_place_changed(at: int, removed: int, put: str) -> None:
    assert isinstance(attempt(VALID[:at] + put + VALID[at + removed :]), RuleError | Rule)


VALUES = st.recursive(
    st.sampled_from(
        ["1", "-1", "1.5", "inf", "nan", "true", "''", "'kuery'", "'query'", "2026-11-22", "07:32:00", "9" * 50]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ",".join(f"{key}={item}" for key, item in zip("abc", items, strict=False)) + "}"
        ),
    ),
    max_leaves=5,
)
WRITTEN = {line.split(" =")[0] for line in VALID.splitlines() if " = " in line}
KEYS = st.sampled_from(sorted(WRITTEN | {"meta", "threat", "actions", "enabled"}))


@UNHURRIED
@given(st.dictionaries(KEYS, VALUES))
def test_any_value_at_any_key(pairs: dict[str, str]) -> None:
    assert isinstance(attempt("[rule]\n" + "\n".join(f"'{key}' = {value}" for key, value in pairs.items())), RuleError)


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 500_000,
        "a=" + "{b=" * 300_000,
        ".".join(["a"] * 500_000) + "=1",
        "a=" + "9" * 1_000_000,
        "\n".join(f"k{number}=1" for number in range(9_000)),
        HEAD + "\n".join(f"'severiti{number}'=1" for number in range(9_000)),
        HEAD + "\n".join(f"[[rule.threat]]\nx{number}=1" for number in range(3_000)),
        "a" * 1_000_000,
        "'" + "a" * 1_000_000 + "'=1",
        HEAD + "name='''" + "a" * 1_000_000 + "\n'''",
        HEAD + "from='now-" + "1" * 1_000_000 + "'",
        HEAD + "query='" + "(" * 1_000_000 + "'",
        HEAD + "query='" + "a:(" * 300_000 + "'",
        HEAD + "query='a:" + "*" * 1_000_000 + "'",
        HEAD + "query='a:b" + " or a:b" * 140_000 + "'",
        HEAD + "query='a:b" + " and not a:b" * 80_000 + "'",
        HEAD + 'query="""' + "\\\n" * 500_000 + '"""',
        "\ufeff[rule]",
        "\0",
        "",
    ],
    ids=str.__len__,
)
def test_hostile_texts(text: str) -> None:
    began = time.process_time()
    error = attempt(text)
    assert time.process_time() - began < 20
    assert isinstance(error, RuleError)
    assert len(str(error)) < 20_000


def test_only_the_first_errors_are_told() -> None:
    error = attempt(HEAD + "\n".join(f"k{number} = 1" for number in range(100)))
    assert isinstance(error, RuleError)
    assert error.what == "cannot be used as a rule: the first 50 errors"
    assert len(error.why.splitlines()) == 50


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(RuleError, match="too large for a rule"):
        load_rule(path)
    with pytest.raises(RuleError, match="too large for a rule"):
        parse_rule("#" * (MAX_BYTES + 1), "x.toml")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text(VALID + "#" * (MAX_BYTES - len(VALID.encode())), "utf-8")
    assert load_rule(path).stem == "large"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"[rule]\nname = '\xff\xfe'\n")
    with pytest.raises(RuleError, match=r"not a text in UTF-8(.|\n)*line 2: invalid start byte"):
        load_rule(path)


@UNHURRIED
@given(st.binary())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with pytest.raises(RuleError):
        load_rule(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"cannot read the rule\nNo such file or directory"):
        load_rule(tmp_path / "missing.toml")


def test_a_fifo_does_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    with pytest.raises(RuleError, match="not a regular file"):
        load_rule(tmp_path / "fifo.toml")


def test_a_device_is_no_rule() -> None:
    with pytest.raises(RuleError, match="not a regular file"):
        load_rule(Path("/dev/zero"))


@pytest.mark.parametrize("path", ["a\0b", "x" * 10_000, "/"])
def test_paths_that_cannot_be(path: str) -> None:
    with pytest.raises(RuleError, match="cannot read the rule"):
        load_rule(Path(path))
