"""The little of ELF that a BPF object asks for: sections and symbols, 64 bits, little-endian (elf(5))."""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_MAGIC = b"\x7fELF\x02\x01"
_SYMTAB, _NOBITS = 2, 8


class Section(NamedTuple):
    """One section: its name and bytes. number: what symbols call it by; link: another section that it speaks of."""

    name: str
    number: int
    kind: int
    link: int
    data: bytes


class Symbol(NamedTuple):
    """A name in a section: where it begins there, and how long it is."""

    name: str
    section: int
    offset: int
    size: int


def sections(binary: bytes) -> list[Section]:
    """The sections of an object, in their order. Raises ValueError where it is no such object."""
    if not binary.startswith(_MAGIC) or len(binary) < _HEADER.size:
        raise ValueError("not a 64-bit little-endian ELF object")
    header = _HEADER.unpack_from(binary)
    start, size, count, names_at = header[6], header[11], header[12], header[13]
    if size != _SECTION.size or start + size * count > len(binary) or names_at >= count:
        raise ValueError("its table of sections is cut")
    rows = [_SECTION.unpack_from(binary, start + size * index) for index in range(count)]
    names = _data(binary, rows[names_at])
    return [
        Section(_string(names, row[0]), index, row[1], row[6], _data(binary, row)) for index, row in enumerate(rows)
    ]


def section(binary: bytes, name: str) -> Section:
    """The section of a name. Raises LookupError where there is none."""
    for one in sections(binary):
        if one.name == name:
            return one
    raise LookupError(f"no section {name}")


def symbols(binary: bytes) -> list[Symbol]:
    """The symbols that have a name."""
    found = sections(binary)
    table = next((one for one in found if one.kind == _SYMTAB), None)
    if table is None:
        return []
    names = found[table.link].data
    whole = len(table.data) - len(table.data) % _SYMBOL.size
    return [
        Symbol(_string(names, name), number, offset, size)
        for name, _, _, number, offset, size in _SYMBOL.iter_unpack(table.data[:whole])
        if name
    ]


def variable(binary: bytes, name: str, within: str) -> Symbol:
    """A global variable of a section. Raises LookupError where there is none."""
    number = section(binary, within).number
    for symbol in symbols(binary):
        if (symbol.name, symbol.section) == (name, number):
            return symbol
    raise LookupError(f"no variable {name} in {within}")


def _data(binary: bytes, row: tuple[int, ...]) -> bytes:
    return b"" if row[1] == _NOBITS else binary[row[4] : row[4] + row[5]]


def _string(names: bytes, at: int) -> str:
    return names[at : names.find(b"\0", at)].decode("utf-8", "backslashreplace")
