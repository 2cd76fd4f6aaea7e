"""What the doctor found about one prerequisite."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One prerequisite.

    name     what was looked at, a few words
    state    ok; warn: something cannot be seen, or does not run; fail: what should work does not
    message  what is in place, or what is blind
    todo     the mend, empty where there is none to do
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    message: str
    todo: str = ""
