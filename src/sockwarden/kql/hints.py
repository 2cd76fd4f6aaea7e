"""What to write instead of a query that does not parse.

Known slips are mended one at a time, the query parsed again after each. Only a query that parses is suggested.
"""

from __future__ import annotations

from sockwarden.kql.parser import ParseFailure, read
from sockwarden.kql.repairs import REPAIRS

LONGEST = 10_000
"""Characters of a query that a suggestion is sought for: every attempt parses it anew."""

_ROUNDS = 8
_ATTEMPTS = 60


def suggest(query: str, failure: ParseFailure) -> str | None:
    """A query that parses and differs in the fewest repairs, None where no known slip explains the failure."""
    if len(query) > LONGEST:
        return None
    seen = {query}
    broken = [(query, failure)]
    for _ in range(_ROUNDS):
        better: list[tuple[str, ParseFailure]] = []
        for text, stop in broken:
            for repair in REPAIRS:
                for candidate in repair(text, stop):
                    if candidate in seen or not candidate.strip():
                        continue
                    if len(seen) > _ATTEMPTS:
                        return None
                    seen.add(candidate)
                    remaining = _parse(candidate)
                    if remaining is None:
                        return candidate
                    if len(candidate) - remaining.offset < len(text) - stop.offset:
                        better.append((candidate, remaining))
        broken = better
    return None


def _parse(query: str) -> ParseFailure | None:
    try:
        read(query)
    except ParseFailure as failure:
        return failure
    return None
