"""The end of a hunt in a few lines: what was found, what was read, what was lost or could not be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sockwarden.pipeline.hunt import Hunt
from sockwarden.readers import Tally


def notes(run: Hunt, counts: Mapping[str, int], seconds: float) -> Iterator[str]:
    """Lines for standard error."""
    yield f"{_many(sum(counts.values()), 'alert')} in {_sources(run)}, {_size(run.met.tally.read)}, {seconds:.1f} s."
    for name, count in counts.items():
        yield f"  {count:>6}  {name}"
    if run.wanted.everything:
        yield "A rule names no runtime socket's address, so every event was parsed: slower."
    yield from _not_told(run)
    yield from _lost(run.met.tally)
    if run.ignored:
        names = ", ".join(error.where for error in run.ignored[:3]) + (", …" if len(run.ignored) > 3 else "")
        yield f"Passed over: {_many(len(run.ignored), 'file')} of the folder, no log known here ({names})."


def _not_told(run: Hunt) -> Iterator[str]:
    """What the input cannot tell, or told twice."""
    if run.met.trusted:
        accesses = _many(run.met.trusted, "access", "accesses")
        yield f"Trusted: {accesses} by programs at the path of a runtime's component; a log cannot prove they are it."
    if run.met.undecided:
        accesses = _many(run.met.undecided, "access", "accesses")
        yield f"Undecided: {accesses} by a runtime socket's name; the log does not tell the call, or the directory."
    if run.engine.repeated:
        yield f"Repeated: {_many(run.engine.repeated, 'alert')} of events that came twice, shown once."
    for item, count in run.met.counts.excepted.items():
        yield f"Excepted: {_many(count, 'match', 'matches')}. {item}."
    for name, count in run.engine.groups.suppressed.items():
        yield f"Suppressed: {_many(count, 'match', 'matches')} of {name}, counted by alerts before them."
    if evicted := run.engine.groups.evicted:
        yield f"Not suppressed: {_many(evicted, 'group')} closed before the time was over, too many were open at once."
    for message, count in run.met.counts.outside.items():
        yield f"Left out: {_many(count, 'match', 'matches')}. {message}."
    for message, count in run.met.counts.errors.items():
        yield f"Not judged: {_many(count, 'event')}. {message}."


def _lost(tally: Tally) -> Iterator[str]:
    """What could not be read."""
    for reason, count in tally.rejected.items():
        yield f"Not parsed: {_many(count, 'line')}, {reason}."
    if tally.quarantine and tally.rejected:
        yield f"Kept {_many(tally.quarantine.kept, 'line')} of these in {tally.quarantine.path}."
    elif tally.rejected:
        yield "To look at these lines, run again with --quarantine FILE."
    if tally.incomplete:
        yield f"Cut: {_many(tally.incomplete, 'event')} with records missing, judged by those that are there."
    if tally.late:
        yield f"Late: {_many(tally.late, 'record')} came after their event was judged."


def _sources(run: Hunt) -> str:
    sources = (_many(count, name, name if name.endswith("JSON") else "") for name, count in run.formats.items())
    return " and ".join(sources) or "nothing"


def _many(count: int, word: str, words: str = "") -> str:
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
