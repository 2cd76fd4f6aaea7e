"""Values out of a bbolt database, such as containerd's meta.db, while its owner goes on writing it.

bbolt never writes over the pages of its newest transaction, so a read holds as long as that transaction has not
changed meanwhile; otherwise it is done again. Only the pages on the way to a key are read. The format is
bbolt's (page.go, meta.go, bucket.go): pages with a header, elements sorted by key, a bucket being a value of its own.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

_PAGE = struct.Struct("<QHHI")
"""id, flags, count, overflow."""
_META = struct.Struct("<IIIIQQQQQQ")
"""magic, version, page size, flags, root's page, its sequence, free list, high water mark, transaction, checksum."""
_LEAF = struct.Struct("<IIII")
"""flags, position, size of the key, size of the value; the position counts from the element."""
_BRANCH = struct.Struct("<IIQ")
"""position, size of the key, page."""
_BUCKET = struct.Struct("<QQ")
"""root's page, 0 where the bucket follows inline; sequence."""
_MAGIC, _VERSION = 0xED0CDAED, 2
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_DEEPEST = 32
_MOST_PAGE = 4 << 20
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


class _Torn(Exception):  # noqa: N818 - it never leaves this module
    """A page that is none: it was overwritten meanwhile, or the file is no database."""


def value(descriptor: int, keys: Sequence[bytes]) -> bytes | None:
    """The value at a path of bucket names and a key. None where there is none, and where the file cannot be read."""
    for _ in range(3):
        try:
            meta = _newest(descriptor)
            found = _down(descriptor, meta, keys)
            if _newest(descriptor) == meta:
                return found
        except (_Torn, struct.error, OSError):
            continue
    return None


def _newest(descriptor: int) -> tuple[int, int, int]:
    """Transaction, page size and root page of the newer of two meta pages."""
    metas = []
    size = 0
    for _ in range(2):
        raw = os.pread(descriptor, _PAGE.size + _META.size, size)
        if len(raw) < _PAGE.size + _META.size:
            break
        body = raw[_PAGE.size :]
        magic, version, page_size, _, root, _, _, _, transaction, checksum = _META.unpack(body)
        size = page_size if 512 <= page_size <= 65536 else os.sysconf("SC_PAGE_SIZE")
        if (magic, version) == (_MAGIC, _VERSION) and checksum == _fnv(body[: _META.size - 8]):
            metas.append((transaction, page_size, root))
    if not metas:
        raise _Torn
    return max(metas)


def _down(descriptor: int, meta: tuple[int, int, int], keys: Sequence[bytes]) -> bytes | None:
    _, size, root = meta
    page = _page(descriptor, size, root)
    for depth, key in enumerate(keys):
        for _ in range(_DEEPEST):
            flags, count = _PAGE.unpack_from(page)[1:3]
            if not flags & _IS_BRANCH:
                break
            page = _page(descriptor, size, _child(page, count, key))
        found = _leaf(page, count, key) if flags & _IS_LEAF else None
        if found is None:
            return None
        is_bucket, raw = found
        if is_bucket != (depth < len(keys) - 1):
            return None
        if not is_bucket:
            return raw
        (below, _), inline = _BUCKET.unpack_from(raw), raw[_BUCKET.size :]
        page = _page(descriptor, size, below) if below else inline
    return None


def _page(descriptor: int, size: int, number: int) -> bytes:
    header = os.pread(descriptor, _PAGE.size, number * size)
    identity, _, _, overflow = _PAGE.unpack(header)
    length = (overflow + 1) * size
    if identity != number or length > _MOST_PAGE:
        raise _Torn
    return os.pread(descriptor, length, number * size)


def _child(page: bytes, count: int, key: bytes) -> int:
    """The page of the last element whose key is not above the one looked for."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        at = _PAGE.size + middle * _BRANCH.size
        position, length, _ = _BRANCH.unpack_from(page, at)
        if page[at + position : at + position + length] <= key:
            low = middle + 1
        else:
            high = middle
    return int(_BRANCH.unpack_from(page, _PAGE.size + max(low - 1, 0) * _BRANCH.size)[2])


def _leaf(page: bytes, count: int, key: bytes) -> tuple[bool, bytes] | None:
    """Whether the element of a key is a bucket, and its value."""
    for index in range(count):
        at = _PAGE.size + index * _LEAF.size
        flags, position, length, size = _LEAF.unpack_from(page, at)
        start = at + position
        if page[start : start + length] == key:
            return bool(flags & _IS_BUCKET), page[start + length : start + length + size]
    return None


def _fnv(raw: bytes) -> int:
    """FNV-1a, 64 bits."""
    digest = _FNV_OFFSET
    for byte in raw:
        digest = (digest ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return digest
