"""The access mode in open(2) flags, as numbers or as Tracee spells them.

O_ACCMODE and its values are the same on every Linux architecture: include/uapi/asm-generic/fcntl.h.
"""

from __future__ import annotations

import re

O_ACCMODE = 0o3
O_WRONLY = 0o1
O_RDWR = 0o2

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|-?[0-9]{1,20}")
_NAMES = re.compile(r"(?:O_[A-Z]+|FASYNC)(?:\|(?:O_[A-Z]+|FASYNC))*")


def writes(flags: object) -> bool | None:
    """Whether flags ask for write access; None where they are absent or cannot be read.

    flags: an integer, its decimal or 0x text, or names joined by `|` (`O_RDWR|O_CLOEXEC`).
    """
    if isinstance(flags, str):
        if _NAMES.fullmatch(flags):
            return not {"O_WRONLY", "O_RDWR"}.isdisjoint(flags.split("|"))
        if not _NUMBER.fullmatch(flags):
            return None
        flags = int(flags, 16 if flags[:2] in ("0x", "0X") else 10)
    if isinstance(flags, bool) or not isinstance(flags, int):
        return None
    return flags & O_ACCMODE in (O_WRONLY, O_RDWR)
