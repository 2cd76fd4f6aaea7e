"""Types of a BPF object, from its .BTF section (Documentation/bpf/btf.rst): where a C struct has its members.

C and Python are checked against each other by it: the offsets that clang chose beside those of a format of `struct`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from sockwarden.sensors.ebpf import elf

_HEADER = struct.Struct("<HBBIIIII")
_MAGIC = 0xEB9F
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_ARRAY = struct.Struct("<III")

_INT, _PTR, _ARRAY_OF, _STRUCT, _UNION, _ENUM, _TYPEDEF = 1, 2, 3, 4, 5, 6, 8
_QUALIFIERS = frozenset({9, 10, 11, 18})
"""volatile, const, restrict, a tag on a type."""
_FLOAT, _ENUM64 = 16, 19
_SIZED = frozenset({_INT, _STRUCT, _UNION, _ENUM, _FLOAT, _ENUM64})
_PROTOTYPE, _VARIABLE, _SECTION, _TAG = 13, 14, 15, 17
_TRAILING = {
    _INT: (4, 0),
    _ARRAY_OF: (12, 0),
    _STRUCT: (0, 12),
    _UNION: (0, 12),
    _ENUM: (0, 8),
    _PROTOTYPE: (0, 8),
    _VARIABLE: (4, 0),
    _SECTION: (0, 12),
    _TAG: (4, 0),
    _ENUM64: (0, 12),
}
"""Bytes that follow a type of a kind: in any case, and for each of its members."""
_POINTER = 8


class Member(NamedTuple):
    """A member of a struct: bytes from its start, and bytes that it takes."""

    name: str
    offset: int
    size: int


class _Type(NamedTuple):
    name: str
    kind: int
    size_or_type: int
    members: bytes
    bitfields: bool


def layout(binary: bytes, name: str) -> list[Member]:
    """The members of a struct, in their order. Raises LookupError where the object does not have it, ValueError for bit
    fields. clang leaves out what only local variables use: `struct NAME *unused __attribute__((unused));` keeps it.
    """
    types, strings = _types(elf.section(binary, ".BTF").data)
    for one in types:
        if (one.name, one.kind) == (name, _STRUCT):
            return [_member(types, strings, row, one.bitfields) for row in _MEMBER.iter_unpack(one.members)]
    raise LookupError(f"no struct {name}")


def size(binary: bytes, name: str) -> int:
    """The bytes of a struct, with what fills it up at its end. Raises as `layout`."""
    types, _ = _types(elf.section(binary, ".BTF").data)
    for one in types:
        if (one.name, one.kind) == (name, _STRUCT):
            return one.size_or_type
    raise LookupError(f"no struct {name}")


def _member(types: list[_Type], strings: bytes, row: tuple[int, ...], bitfields: bool) -> Member:
    name, kind, bits = row
    if bits % 8 or (bitfields and bits >> 24):
        raise ValueError(f"{_string(strings, name)} is a bit field")
    return Member(_string(strings, name), bits // 8, _size(types, kind))


def _size(types: list[_Type], number: int) -> int:
    """Bytes of a type."""
    # A chain of types that is longer than there are types goes in a circle.
    count = 1
    for _ in types:
        one = types[number]
        if one.kind in _SIZED:
            return count * one.size_or_type
        if one.kind == _PTR:
            return count * _POINTER
        if one.kind == _ARRAY_OF:
            number, _, length = _ARRAY.unpack(one.members)
            count *= length
        elif one.kind == _TYPEDEF or one.kind in _QUALIFIERS:
            number = one.size_or_type
        else:
            break
    raise ValueError(f"type {number} has no size")


def _types(data: bytes) -> tuple[list[_Type], bytes]:
    """All types, at the places of their numbers, and the table of strings."""
    magic, _, _, header, types_at, types_size, strings_at, strings_size = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("not BTF of a little-endian machine")
    strings = data[header + strings_at : header + strings_at + strings_size]
    body = data[header + types_at : header + types_at + types_size]
    found = [_Type("void", 0, 0, b"", False)]
    at = 0
    while at + _TYPE.size <= len(body):
        name, info, size_or_type = _TYPE.unpack_from(body, at)
        at += _TYPE.size
        kind = info >> 24 & 0x1F
        always, each = _TRAILING.get(kind, (0, 0))
        length = always + each * (info & 0xFFFF)
        found.append(_Type(_string(strings, name), kind, size_or_type, body[at : at + length], bool(info >> 31)))
        at += length
    return found, strings


def _string(strings: bytes, at: int) -> str:
    return strings[at : strings.find(b"\0", at)].decode("utf-8", "backslashreplace")
