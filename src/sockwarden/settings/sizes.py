"""Sizes as people write them."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

_UNITS = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
}

Size = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^[0-9]{{1,12}} ?({'|'.join(_UNITS)})\Z",
        description=f'a size as text: "500 MiB", "1 GiB" (units {", ".join(_UNITS)})',
    ),
]


def bytes_of(size: str) -> int:
    """A Size in bytes."""
    number, unit = re.findall(r"[0-9]+|[A-Za-z]+", size)
    return int(number) * _UNITS[unit]
