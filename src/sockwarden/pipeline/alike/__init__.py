"""Accesses that are alike are judged once: of the next one the alerts are written with its own words.

What a document and its alerts say of an event beyond its likeness stands at a few places, the gaps (gaps.py). Programs
and addresses are alike where no rule tells them apart (kinds.py). An access is judged in full where a detector that it
concerns looks at a gap in another way, or where what is known of its inode may have changed (judged.py).
"""

from sockwarden.pipeline.alike.judged import Alike, Judgement, Learn, Learnt, Template

__all__ = ["Alike", "Judgement", "Learn", "Learnt", "Template"]
