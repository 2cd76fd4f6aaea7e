"""A run of a rule that is killed in the middle of its search: killed_run.py URL STATE NOW_MS DOCUMENTS."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.detect import RuleDetection
from sockwarden.document import Document
from sockwarden.pipeline.scheduled import Runner
from sockwarden.readers.index import IndexSource
from sockwarden.rules import Rule, load_packaged, select
from sockwarden.store import Store


class Killed(IndexSource):
    """Ends the process without a word after so many documents."""

    after = 0

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        for number, document in enumerate(super().search(rule, start, end)):
            if number == self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield document


def main() -> None:
    """Does not come back."""
    url, state, now, after = sys.argv[1:]
    (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    source = Killed(Client(Connection(url)))
    source.after = int(after)
    with Store(Path(state), create=True) as store:
        Runner(store, source, clock=lambda: int(now)).run(RuleDetection(rule))


if __name__ == "__main__":
    main()
