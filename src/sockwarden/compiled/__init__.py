"""What is compiled: plain C without Python's headers, one library for every version of Python, loaded by ctypes.

hatch_build.py builds it where there is a C compiler. Each room that uses it does the same in Python without it, with
the same answers. It allocates nothing, writes only into what it is handed, and takes a log's bytes as an attacker's.

scan.c      a walk over lines: which are no records, and which a look is worth (readers/scan.py)
gather.c    the lines of events around places in a log                         (readers/around.py)
likeness.c  what makes a connect alike others, and what is its own             (auditrecords/likeness.py)
lines.h     what they share: taking texts from the front, a record's header, writing
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_LIBRARY = Path(__file__).with_name("libsockwarden.so")
_VERSION = 4
"""Of all that is called, as in lines.h."""


def _load() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(_LIBRARY))
        if found.sockwarden_version() != _VERSION:
            return None
    except (OSError, AttributeError):
        return None
    number, pointer, text = ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p
    for name, answer, arguments in (
        ("walk_size", number, []),
        ("begin", None, [pointer]),
        ("know", None, [pointer, ctypes.c_int, text, number, ctypes.c_uint32]),
        ("scan", number, [pointer, pointer, number, number, number, number, pointer, number, pointer]),
        ("gather", number, [pointer, pointer, number, ctypes.c_int, pointer, number, pointer]),
    ):
        function = getattr(found, f"sockwarden_{name}")
        function.restype, function.argtypes = answer, arguments
    return found


_library = _load()


def library() -> ctypes.CDLL | None:
    """None where it was not built, or is another version's."""
    return _library
