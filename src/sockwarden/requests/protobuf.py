"""Protocol Buffers' wire format, read without a schema: bytes in, the values of each field number out.

Strict where Go's readers differ from each other (tags of more than 32 bits, varints that overflow, groups): reading
ends there and says so, since nobody can tell what the daemon made of it.
"""

from __future__ import annotations

import msgspec

MOST_FIELDS = 10_000
"""Fields of one message that are read."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_MOST_TAG = (1 << 32) - 1
_MOST_VARINT = (1 << 64) - 1


class Fields(msgspec.Struct, frozen=True):
    """A message's fields.

    numbers  the varints of each field, as unsigned 64 bits, in the order in which they came
    values   the length-delimited ones
    cut      field number and bytes of a length-delimited value that the input ends within
    whole    everything was read; False for an input that is cut or not of this format
    """

    numbers: dict[int, list[int]]
    values: dict[int, list[bytes]]
    cut: tuple[int, bytes] | None = None
    whole: bool = True


def read(data: bytes) -> Fields:
    """A message's fields as far as they can be read. Of fixed-width fields only the place is read. Never raises."""
    numbers: dict[int, list[int]] = {}
    values: dict[int, list[bytes]] = {}
    at = 0
    for _ in range(MOST_FIELDS + 1):
        if at == len(data):
            return Fields(numbers, values)
        if (tag := varint(data, at)) is None:
            break
        key, at = tag
        number, kind = key >> 3, key & 7
        if not number or key > _MOST_TAG:
            break
        if kind in _FIXED:
            at += _FIXED[kind]
            if at > len(data):
                break
            continue
        if kind not in (_VARINT, _BYTES) or (length := varint(data, at)) is None:
            break
        value, at = length
        if kind == _VARINT:
            numbers.setdefault(number, []).append(value)
            continue
        if value > len(data) - at:
            return Fields(numbers, values, (number, data[at:]), whole=False)
        values.setdefault(number, []).append(data[at : at + value])
        at += value
    return Fields(numbers, values, whole=False)


def varint(data: bytes, at: int) -> tuple[int, int] | None:
    """A varint of at most 64 bits and the offset behind it; None where there is none."""
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (value, at + index + 1) if value <= _MOST_VARINT else None
    return None
