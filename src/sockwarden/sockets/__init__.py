"""Runtime sockets: the catalogue, what a log teaches of inodes, aliases, and which socket an access reached."""

from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket, packaged, piece_of
from sockwarden.sockets.lessons import Lessons
from sockwarden.sockets.resolve import Resolver

__all__ = ["Catalogue", "Lessons", "Resolver", "RuntimeSocket", "packaged", "piece_of"]
