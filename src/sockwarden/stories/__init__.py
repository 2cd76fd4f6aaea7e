"""Stories: what one actor did, held together: its accesses, what it asked for, what came of it, and how bad that is."""

from sockwarden.stories.level import REQUEST, by_actor, higher, is_request
from sockwarden.stories.stories import Stories, Told
from sockwarden.stories.story import Alerted, Asked, Reached, Story, program_of, summary_of

__all__ = [
    "REQUEST",
    "Alerted",
    "Asked",
    "Reached",
    "Stories",
    "Story",
    "Told",
    "by_actor",
    "higher",
    "is_request",
    "program_of",
    "summary_of",
]
