"""Runtime sockets: the catalogue, what a log teaches of inodes and what is found on a live host, aliases, and which
socket an access reached.
"""

from sockwarden.sockets.aliases import kind_of, normalise
from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket, packaged, piece_of
from sockwarden.sockets.lessons import ALWAYS, Lesson, Lessons, Position, lesson_in
from sockwarden.sockets.live import Listener, LiveSocket, text_of
from sockwarden.sockets.resolve import Identities, Resolver

__all__ = [
    "ALWAYS",
    "Catalogue",
    "Identities",
    "Lesson",
    "Lessons",
    "Listener",
    "LiveSocket",
    "Position",
    "Resolver",
    "RuntimeSocket",
    "kind_of",
    "lesson_in",
    "normalise",
    "packaged",
    "piece_of",
    "text_of",
]
