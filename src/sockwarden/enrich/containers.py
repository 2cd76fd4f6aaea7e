"""Which container a process is in, and what that container is called.

The id comes from the cgroup at once; name, image and pod come from the runtime's state on disk, read by a worker
thread as soon as an id is first seen. Nobody waits for it: what is not there yet, or not told, is None.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec

from sockwarden.enrich import cgroup, procfs
from sockwarden.enrich.delegation import made_by_root
from sockwarden.enrich.runtimestate import Description, RuntimeState

_MOST_CONTAINERS = 4096
_MOST_CGROUPS = 8192
_MOST_WAITING = 1024
_AGAIN = 10.0
_ATTEMPTS = 4
_PAUSE = 0.25
"""Seconds before state that was not there is looked for again: a runtime writes it about when the container starts."""


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Container(msgspec.Struct, eq=False):
    """A container. All but the id may be None: not known, or not yet.

    of_root      whether root gave the cgroup its name; of a user's container the system's runtimes know nothing
    runtime      docker, containerd, crio, podman, buildkit, lxc, nspawn
    namespace    of containerd
    description  name, image and pod, as the runtime's state gives them
    asked        when its description was last looked for, seconds of the monotonic clock
    """

    id: str
    runtime: str | None = None
    namespace: str | None = None
    description: Description | None = None
    asked: float = float("-inf")
    of_root: bool = True


class Containers:
    """Containers by cgroup and by pid. `close` ends the worker.

    dropped  containers whose names were not looked up because too many waited
    """

    def __init__(self, state: RuntimeState | None = None) -> None:
        self.dropped = 0
        self._state = state or RuntimeState()
        self._by_cgroup: dict[str, Container | None] = {}
        self._by_key: dict[tuple[object, ...], Container] = {}
        self._waiting: queue.Queue[Container] = queue.Queue(_MOST_WAITING)
        self._worker: threading.Thread | None = None
        self._closed = threading.Event()

    def of_cgroup(self, text: str) -> Container | None:
        """The innermost container that the lines of a /proc/PID/cgroup name; None where they name none."""
        return self._find(text, self.look_up)

    def of_pid(self, pid: int) -> Container | None:
        """The container of a process that runs now, by its cgroup, its name looked up before this returns."""
        text = procfs.surroundings(pid).cgroup
        return self._find(text, self._describe) if text else None

    def of_runtime(self, args: Sequence[str]) -> Container | None:
        """The container that an OCI runtime was called for: `runc --root …/NAMESPACE … create … ID`; else None."""
        if len(args) > 1 and cgroup.is_long_id(args[-1]):
            return self._known((args[-1],), Container(args[-1]), self.look_up)
        folder = next((root for option, root in pairwise(args) if option == "--root"), "")
        if namespace := folder.rpartition("/")[2]:
            return self._of_namespace(namespace, args[-1], self.look_up)
        return None

    def learn(self, component: str, args: Sequence[str], directory: str | None) -> None:
        """Where a runtime keeps its state: from the argv and working directory of one of its processes on the host."""
        self._state.learn(component, args, directory)

    def look_up(self, container: Container) -> None:
        """Has the worker look for a container's name and image (again), no more than every ten seconds."""
        if not container.of_root or time.monotonic() - container.asked < _AGAIN:
            return
        container.asked = time.monotonic()
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="containers", daemon=True)
            self._worker.start()
        try:
            self._waiting.put_nowait(container)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Ends the worker; a second call does nothing."""
        self._closed.set()
        if self._worker:
            self._worker.join(timeout=2)
            self._worker = None

    def _find(self, text: str, describe: Callable[[Container], object]) -> Container | None:
        if container := self._by_cgroup.get(text):
            return container
        if text not in self._by_cgroup:
            claim = cgroup.claim_of(text)
            container = self._claimed(claim, describe) if claim else None
            _remember(self._by_cgroup, text, container, _MOST_CGROUPS)
            if container:
                return container
        # Not remembered: such an id is chosen by people, and a later container may have it again.
        for namespace, name in cgroup.pairs_of(text):
            if (found := self._of_namespace(namespace, name, describe)) and all(
                made_by_root(line.rpartition("/")[0]) for line in cgroup.lines(text)
            ):
                return found
        return None

    def _claimed(self, claim: cgroup.Claim, describe: Callable[[Container], object]) -> Container:
        if made_by_root(claim.above):
            return self._known((claim.id,), Container(claim.id, claim.runtime), describe)
        users = Container(claim.id, claim.runtime, of_root=False)
        return self._known((claim.id, claim.above), users, lambda _: None)

    def _of_namespace(self, namespace: str, name: str, describe: Callable[[Container], object]) -> Container | None:
        generation = self._state.generation(namespace, name)
        if generation is None:
            return None
        return self._known((namespace, name, generation), Container(name, "containerd", namespace), describe)

    def _known(
        self, key: tuple[object, ...], container: Container, describe: Callable[[Container], object]
    ) -> Container:
        known = self._by_key.get(key)
        if known is None:
            known = container
            _remember(self._by_key, key, known, _MOST_CONTAINERS)
            describe(known)
        known.runtime = known.runtime or container.runtime
        return known

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                container = self._waiting.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            for _ in range(_ATTEMPTS):
                if self._describe(container) or self._closed.wait(_PAUSE if self._waiting.empty() else 0):
                    break

    def _describe(self, container: Container) -> bool:
        description = self._state.describe(container.id, container.runtime, container.namespace)
        if description is None:
            return False
        container.runtime = container.runtime or description.runtime
        container.namespace = container.namespace or description.namespace
        container.description = description
        return True


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Stores it; the oldest goes when there are too many."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value
