"""Rules as bytes and as text, without a kernel; tests/host/test_audit_rules.py asks the kernel and auditctl."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.auditrecords.syscalls import ARCHES
from sockwarden.sensors.audit import OUR_KEY, rules_for
from sockwarden.sensors.audit.rule import ALWAYS, EQUAL, EXIT, IO_URING, KEY, PATH, Field, Rule, decode, encode
from sockwarden.sensors.audit.targets import CALLS, ours

STRINGS = st.builds(Field, st.sampled_from([13, 22, PATH, 107, 112, KEY]), st.just(EQUAL), st.binary(max_size=300))
NUMBERS = st.builds(
    Field,
    st.sampled_from([0, 1, 9, 11, 12, 26, 103, 104, 106, 108, 111, 113, 200, 999]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
RULES = st.builds(
    Rule,
    st.integers(0, 7),
    st.integers(0, 3),
    st.integers(0, 2**2048 - 1),
    st.lists(STRINGS | NUMBERS, max_size=64).map(tuple),
)


@given(RULES)
def test_a_rule_survives_the_wire_and_prints(rule: Rule) -> None:
    assert decode(encode(rule)) == rule
    assert str(rule).startswith(("-a ", "-w "))


@given(st.binary(max_size=1200) | RULES.map(encode), st.integers(0, 3000))
def test_bytes_that_are_no_rule_are_refused_or_read(data: bytes, cut: int) -> None:
    try:
        rule = decode(data[:cut])
    except OSError:
        return
    assert decode(encode(rule)) == rule


def test_each_architecture_has_a_rule_and_io_uring_comes_last() -> None:
    made = rules_for("/run/docker.sock")
    assert [rule.filter for rule in made] == [EXIT] * (len(made) - 1) + [IO_URING]
    assert all(rule.action == ALWAYS and ours(rule) for rule in made)
    for rule in made[:-1]:
        arch = rule.value(11)
        assert isinstance(arch, int)
        named = {name for number, name in ARCHES[arch].calls.items() if rule.names_call(number)}
        assert named == CALLS & set(ARCHES[arch].calls.values())
        assert {"connect", "io_uring_enter", "io_uring_register", "execve", "execveat"} <= named


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the calls of one architecture are written out")
def test_text_of_our_rules() -> None:
    ring = "io_uring_enter,io_uring_register,openat2 -F path=/r -F key=k"
    texts = [str(rule) for rule in rules_for("/r", key=b"k")]
    assert texts == [
        f"-a always,exit -F arch=b64 -S open,connect,execve,creat,openat,execveat,{ring}",
        f"-a always,exit -F arch=b32 -S open,creat,execve,socketcall,openat,execveat,connect,{ring}",
        "-a always,io_uring -S nop,connect,openat,openat2 -F path=/r -F key=k",
    ]
    assert "-F dir=/run/shim " in str(rules_for("/run/shim", folder=True)[0])


@pytest.mark.parametrize("path", ["", "/", "run/docker.sock", "/run/", "/run/a\0b", "/" + "a" * 4095])
def test_a_path_that_no_rule_can_have(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        rules_for(path)


def test_a_path_of_any_bytes_is_kept() -> None:
    name = b"/run/\xff\n \x1b[31m.sock"
    assert rules_for(os.fsdecode(name))[0].value(PATH) == name


@pytest.mark.parametrize(("key", "expected"), [(OUR_KEY, True), (b"other\1" + OUR_KEY, True), (OUR_KEY + b"-2", False)])
def test_ours_by_key(key: bytes, *, expected: bool) -> None:
    assert ours(Rule(EXIT, ALWAYS, 1, (Field(KEY, EQUAL, key),))) is expected
