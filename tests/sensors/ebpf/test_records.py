"""Records: the structs of C and the formats of Python are one, by the types in the object."""

from __future__ import annotations

import struct

import pytest

from sockwarden.sensors.ebpf import ladder, records, streams
from sockwarden.sensors.ebpf.btf import Member, layout

FORMS = {
    "context": records.CONTEXT,
    "reached": records.REACHED,
    "flood_key": records.FLOOD_KEY,
    "flood": records.FLOOD,
    "identity": records.IDENTITY,
}


def sizes_of(form: struct.Struct) -> list[int]:
    """The bytes of each field, without those that only fill."""
    return [struct.calcsize(f"={code}") for code in expanded(form.format.lstrip("=")) if not code.endswith("x")]


def expanded(text: str) -> list[str]:
    """`18I4x` as eighteen I and one 4x; `16s` stays whole."""
    found, number = [], ""
    for character in text:
        if character.isdigit():
            number += character
        else:
            found += [f"{number}{character}"] if character in "sx" else [character] * int(number or 1)
            number = ""
    return found


def ends(members: list[Member]) -> int:
    return max(member.offset + member.size for member in members)


@pytest.mark.parametrize("name", FORMS)
def test_the_struct_is_as_the_format_has_it(name: str) -> None:
    """Given a struct of record.h, when its layout by BTF is compared, then size and place of each member agree."""
    members, form = layout(ladder.packaged(), name), FORMS[name]
    sizes = sizes_of(form)
    assert [member.size for member in members] == sizes
    assert [member.offset for member in members] == [sum(sizes[:each]) for each in range(len(sizes))]
    assert form.size % 8 == 0
    assert 0 <= form.size - ends(members) < 8


def test_a_record_is_head_context_reached_and_the_rest() -> None:
    """Given struct record, when its members are laid out, then they are where `read` looks for them."""
    members = {member.name: member for member in layout(ladder.packaged(), "record")}
    assert members["who"] == Member("who", 8, records.CONTEXT.size)
    assert members["reached"].offset == 8 + records.CONTEXT.size
    assert members["executable_inode"].offset == members["reached"].offset + records.REACHED.size
    assert members["lengths"].offset + members["lengths"].size + 4 == records.RECORD_SIZE
    names = ["executable_inode", "executable_device", "action", "result", "verdict", "family", "open_flags"]
    assert list(members)[-8:] == [*names, "lengths"]


def test_text_is_behind_the_record() -> None:
    """Given the records with text, when laid out, then region and command are where `read` looks for them."""
    whole = {member.name: member for member in layout(ladder.packaged(), "exec_record")}
    assert whole["region"] == Member("region", records.RECORD_SIZE, records.REGION_SIZE)
    assert whole["command"].offset == records.RECORD_SIZE + records.REGION_SIZE


@pytest.mark.parametrize("raw", [b"", b"\0" * 40, b"\x63" + b"\0" * 400])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    """Given bytes that are no record, when read, then an error says so."""
    with pytest.raises((struct.error, ValueError)):
        records.read(raw)


def test_a_stream_record_is_its_head_and_data() -> None:
    """Given struct stream_record, when its members are laid out, then they are as `part_of` reads them."""
    *members, data = layout(ladder.packaged(), "stream_record")
    sizes = sizes_of(streams.HEAD)
    assert [member.size for member in members[:-1]] == sizes
    assert [member.offset for member in members[:-1]] == [sum(sizes[:each]) for each in range(len(sizes))]
    assert data == Member("data", streams.HEAD.size, streams.PART_SIZE)


def test_what_is_wanted_is_four_numbers() -> None:
    """Given struct wanted, when its members are laid out, then `Wanted` writes them in their places."""
    found = {member.name: (member.offset, member.size) for member in layout(ladder.packaged(), "wanted")}
    assert found == {"socket": (0, 8), "offsets": (8, 16), "whole": (24, 8)}


@pytest.mark.parametrize(
    "record",
    [
        b"",
        streams.HEAD.pack(1, 0, *[0] * 8, 0, 0),
        streams.HEAD.pack(streams.KIND, 5, *[0] * 8, 0, 0) + b"four",
        streams.HEAD.pack(streams.KIND, 0, *[0] * 8, 2, 0),
    ],
)
def test_what_is_no_stream_record_is_refused(record: bytes) -> None:
    """Given bytes that are cut, of another kind or of no direction, when they are read, then that is said."""
    with pytest.raises((struct.error, ValueError)):
        streams.part_of(record)
