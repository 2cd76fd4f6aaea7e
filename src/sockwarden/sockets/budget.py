"""How much of users other than root is looked at and watched. In namespaces of their own they run what they like under
a runtime daemon's name, and that must not push out root's sockets, nor those of other users.
"""

from __future__ import annotations

from collections import Counter

MOST_OF_A_USER = 32
"""Sockets, and daemons, of one user: a rootless runtime with two dozen containers has fewer."""
_MOST_NAMED = 16


class Budget:
    """Counts what users have of one kind.

    what  its name in the plural
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._taken: Counter[int | None] = Counter()

    def takes(self, uid: int | None) -> bool:
        """Whether one more of a user's still fits; root's always do. None is somebody unknown."""
        self._taken[uid] += 1
        return uid == 0 or self._taken[uid] <= MOST_OF_A_USER

    def limits(self) -> list[str]:
        """Who had more, a sentence each, which stays the same while more are had."""
        over = [uid for uid, taken in self._taken.items() if uid != 0 and taken > MOST_OF_A_USER]
        named = ("a user who is not known" if uid is None else f"the user with uid {uid}" for uid in over[:_MOST_NAMED])
        told = [f"{who} has more than {MOST_OF_A_USER} {self._what}: the rest is not watched" for who in named]
        if over[_MOST_NAMED:]:
            told.append(f"more users have more than {MOST_OF_A_USER} {self._what} each: the rest is not watched")
        return told
