"""JSON that is valid and still no document: it is refused with a reason, or read as an index would."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sockwarden.document import get, values
from sockwarden.errors import InputError
from sockwarden.readers import ecs
from sockwarden.readers.ndjson import MOST_LEVELS, decode


def nested(opening: bytes, closing: bytes, levels: int) -> bytes:
    return opening * levels + b"1" + closing * levels


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b'{"a":[', b"]}")])
def test_levels(opening: bytes, closing: bytes) -> None:
    most = MOST_LEVELS // opening.count(b"[") // 2 if b"[" in opening else MOST_LEVELS
    assert decode(nested(opening, closing, most))
    for levels in (most + 1, 900, 100_000):
        with pytest.raises(InputError):
            decode(nested(opening, closing, levels))


def test_many_brackets_are_not_many_levels() -> None:
    assert decode(b'{"a":[' + b"[]," * 500 + b'"' + b"{" * 500 + b'"]}')


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        ({"process": {"executable": "/bin/a"}, "process.executable": "/bin/b"}, ["/bin/a", "/bin/b"]),
        ({"process.executable": "/bin/a", "process": {"executable": ["/bin/b"]}}, ["/bin/a", "/bin/b"]),
        ({"process": [{"executable": "/bin/a"}], "process.pid": 1}, ["/bin/a"]),
        ({"process": {"executable": "/bin/a", "executable.x": 1}}, ["/bin/a"]),
        ({"process": {"executable": "/bin/a"}, "process.executable": None}, ["/bin/a"]),
        ({"process": None, "process.executable": "/bin/a"}, ["/bin/a"]),
    ],
)
def test_two_spellings_of_a_field_hide_nothing(entry: dict[str, Any], seen: list[str]) -> None:
    (document,) = ecs.to_documents({"@timestamp": "2026-11-22T01:02:03.456Z", **entry})
    assert list(values(document, "process.executable")) == seen


def test_many_spellings_cost_no_more_than_they_are() -> None:
    given = [{"name": "a"}]
    document = ecs.as_stored({"process": given, **{f"process.{number}": number for number in range(50_000)}}, {})
    assert len(document["process"]) == 50_001
    assert given == [{"name": "a"}]


def test_a_name_of_many_parts() -> None:
    (document,) = ecs.to_documents({".".join("a" * ecs.MOST_PARTS): 1})
    assert msgspec.json.encode(document)
    for entry in ({".".join("a" * (ecs.MOST_PARTS + 1)): 1}, {".".join("a" * 60): {".".join("b" * 60): 1}}):
        with pytest.raises(InputError, match="more than 100 parts"):
            list(ecs.to_documents(entry))


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ([{"address": "/a"}], "/a"),
        ([{"address": "/a"}, {"address": "/b"}], ["/a", "/b"]),
        ([{"address": ["/a", "/b"]}, {"address": "/c", "port": 1}], ["/a", "/b", "/c"]),
        ([{"address": "/a"}, None], "/a"),
        ([], None),
        (None, None),
    ],
)
def test_an_array_of_objects_is_one_object(value: Any, address: Any) -> None:
    (document,) = ecs.to_documents({"@timestamp": "2026-11-22T01:02:03.456Z", "destination": value})
    assert get(document, "destination.address") == address


@pytest.mark.parametrize("name", ["event", "destination", "sockwarden"])
@pytest.mark.parametrize("value", ["text", 1, True, ["text"], [{}, 1], [[{}]]])
def test_a_plain_value_for_an_object(name: str, value: Any) -> None:
    with pytest.raises(InputError, match="plain value for an object") as raised:
        list(ecs.to_documents({"@timestamp": "2026-11-22T01:02:03.456Z", name: value}))
    assert raised.value.why == f"`{name}` must be an object"


def test_a_bad_hit_does_not_hide_the_next() -> None:
    hits = [{"_id": str(number), "_source": {"event": "text" if number == 1 else {}}} for number in range(3)]
    found: list[str] = []
    with pytest.raises(InputError):
        found.extend(document["_id"] for document in ecs.to_documents({"hits": {"hits": hits}}))
    assert found == ["0", "2"]


def test_an_address_that_is_no_text() -> None:
    with pytest.raises(InputError, match="an address that is no text"):
        list(ecs.to_documents({"@timestamp": "1", "sockwarden.socket.address_as_given": 7}))
