"""Runtime sockets: the catalogue, what a log teaches of inodes and what is found on a live host, aliases, and which
socket an access reached.
"""

from sockwarden.sockets.accounts import owner_of
from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket, packaged, piece_of
from sockwarden.sockets.changes import Changes
from sockwarden.sockets.daemons import Daemons
from sockwarden.sockets.diag import device_text
from sockwarden.sockets.discovery import Discovery, discover
from sockwarden.sockets.exposure import Exposure, exposure
from sockwarden.sockets.inventory import Inventory
from sockwarden.sockets.lessons import Lessons
from sockwarden.sockets.live import Listener, LiveSocket, text_of
from sockwarden.sockets.places import Mounts, below
from sockwarden.sockets.resolve import Identities, Resolver

__all__ = [
    "Catalogue",
    "Changes",
    "Daemons",
    "Discovery",
    "Exposure",
    "Identities",
    "Inventory",
    "Lessons",
    "Listener",
    "LiveSocket",
    "Mounts",
    "Resolver",
    "RuntimeSocket",
    "below",
    "device_text",
    "discover",
    "exposure",
    "owner_of",
    "packaged",
    "piece_of",
    "text_of",
]
