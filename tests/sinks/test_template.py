"""Templates: JSON whatever an alert holds; what is broken is shown with line and caret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.errors import InputError
from sockwarden.sinks.template import Template, read_template

DOCUMENT: dict[str, Any] = {
    "process": {"pid": 7, "name": 'a"b\\', "args": ["x", "y\n"]},
    "tags": ["one"],
    "ok": True,
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "{{ process.name }}"}', {"a": 'a"b\\'}),
        ('{"a": "pid {{process.pid}} of {{ process.args }}"}', {"a": "pid 7 of x, y\n"}),
        (
            '{"a": {{ process.pid }}, "b": {{ process.args }}, "c": {{ tags }}}',
            {"a": 7, "b": ["x", "y\n"], "c": ["one"]},
        ),
        ('{"a": "{{ no.such }}", "b": {{ no.such }}, "c": {{ ok }}}', {"a": "", "b": None, "c": True}),
        (r'{"a\"{{ ok }}": "{ {{ ok }} }"}', {'a"true': "{ true }"}),
        ("{{ process.name }}", 'a"b\\'),
        ('{"plain": 1}', {"plain": 1}),
    ],
)
def test_filled(text: str, message: object) -> None:
    assert json.loads(Template(text, "t").render(DOCUMENT)) == message


@pytest.mark.parametrize(
    ("text", "where", "why", "caret"),
    [
        ('{\n "a": "{{ }}"}', "line 2, column 10", "a field's name", 9),
        ('{"a": "{{ a b }}"}', "line 1, column 13", "}} is expected", 12),
        ('{"a": "{{ a.b | upper }}"}', "line 1, column 15", "}} is expected", 14),
        ('{"a": "{{ a..b }}"}', "line 1, column 12", "}} is expected", 11),
        ('{"a": "{{ a', "line 1, column 12", "}} is expected", 11),
        ('{"a": "{{ a }}"', "line 1, column 16", "not JSON", 15),
        ('{"a": "{{ a }}",\n "b": {{ a }} c}', "line 2, column 15", "not JSON", 14),
        ("", "line 1, column 1", "not JSON", 0),
        ("{{ a }}{{ a }}", "line 1", "not JSON", 7),
    ],
)
def test_broken(text: str, where: str, why: str, caret: int) -> None:
    with pytest.raises(InputError) as caught:
        Template(text, "/etc/t.json")
    told = str(caught.value)
    assert f"/etc/t.json: {where}" in told and why in told
    assert caught.value.why.splitlines()[-1] == " " * (4 + caret) + "^"


ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(ANY)
def test_json_whatever_the_alert_holds(value: Any) -> None:
    template = Template('{"a": "<{{ x.y }}>", "b": {{ x.y }}, "{{ x.y }}": [{{ z }}]}', "t")
    message = json.loads(template.render({"x": {"y": value}}))
    assert set(message) >= {"a"} or "a" in message
    assert message["a"].startswith("<") and message["a"].endswith(">")
    if isinstance(value, str):
        assert message["a"] == f"<{value}>".encode("utf-8", "replace").decode() and len(message) in (2, 3)


@given(st.text(alphabet='{}"\\ab. :,\n[]', max_size=40))
def test_a_template_is_refused_or_gives_json(text: str) -> None:
    try:
        template = Template(text, "t")
    except InputError as error:
        assert "^" in error.why
        return
    for document in ({}, {"a": '"\\\n', "b": {"a": [1, '"']}}, DOCUMENT):
        json.loads(template.render(document))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_template(tmp_path / "none")
    (tmp_path / "t").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_template(tmp_path / "t")
