"""A BPF object: choose its programs, load and attach them.

Nothing is pinned: programs, links and maps are this process's descriptors alone, and the kernel lets go of them when it
ends, however it ends. Maps and ring buffers are in `maps`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes import c_char_p, c_size_t
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from sockwarden.sensors.ebpf import elf, tracepoint
from sockwarden.sensors.ebpf.libbpf import Library
from sockwarden.sensors.ebpf.maps import Map

TRACEPOINT = 5
"""BPF_PROG_TYPE_TRACEPOINT (include/uapi/linux/bpf.h)."""


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts as far as it is used; libbpf takes the rest as not given."""

    _fields_ = (("sz", c_size_t), ("object_name", c_char_p))


class Program(NamedTuple):
    """A program of an object. kind: BPF_PROG_TYPE_*."""

    name: str
    section: str
    kind: int


class Link:
    """A program in its place; `close` takes it out."""

    def __init__(self, library: Library, pointer: int) -> None:
        self._library = library
        self._pointer: int | None = pointer

    def close(self) -> None:
        """Detaches; a second call does nothing."""
        if self._pointer:
            pointer, self._pointer = self._pointer, None
            self._library.call.bpf_link__destroy(pointer)


class Object:
    """A BPF object: opened, then its programs chosen and its constants set, then loaded, then attached.

    name: what `bpftool` shows; letters, digits and `_`.
    """

    def __init__(self, library: Library, binary: bytes, name: str = "sockwarden") -> None:
        self._library = library
        self._binary = binary
        self._links: list[Link] = []
        self._maps: dict[str, Map] = {}
        options = _OpenOptions(ctypes.sizeof(_OpenOptions), name.encode())
        mark = library.log.mark()
        self._pointer: int | None = library.call.bpf_object__open_mem(binary, len(binary), ctypes.byref(options))
        if not self._pointer:
            raise library.refused("the BPF object cannot be opened", ctypes.get_errno(), mark)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def programs(self) -> Iterator[Program]:
        """The programs, in the order of the source."""
        call, at = self._library.call, None
        while at := call.bpf_object__next_program(self._opened(), at):
            section = call.bpf_program__section_name(at).decode()
            yield Program(call.bpf_program__name(at).decode(), section, call.bpf_program__type(at))

    def autoload(self, name: str, wanted: bool) -> None:
        """Whether `load` loads a program; all, unless told."""
        mark = self._library.log.mark()
        if number := self._library.call.bpf_program__set_autoload(self._program(name), wanted):
            raise self._library.refused("the choice of programs comes too late", number, mark, name)

    def set_constant(self, name: str, value: int) -> None:
        """Sets a `const volatile` integer, before `load`."""
        symbol = elf.variable(self._binary, name, ".rodata")
        size = c_size_t()
        start = self._library.call.bpf_map__initial_value(self._map(".rodata"), ctypes.byref(size))
        if not start or symbol.offset + symbol.size > size.value:
            raise LookupError(f"{name} is outside of .rodata")
        ctypes.memmove(start + symbol.offset, value.to_bytes(symbol.size, "little"), symbol.size)

    def load(self) -> None:
        """Makes the maps and loads the chosen programs. Raises RefusedError; then only `close` is left."""
        mark = self._library.log.mark()
        if number := self._library.call.bpf_object__load(self._opened()):
            raise self._library.refused("the BPF programs cannot be loaded", number, mark)
        # The kernel's types, which were looked up, are megabytes that glibc would keep for more of the like.
        if give_back := getattr(ctypes.CDLL(None), "malloc_trim", None):
            give_back(0)

    def attach(self, name: str) -> Link:
        """Puts a loaded program into the place that its section names. Raises RefusedError."""
        call, program, mark = self._library.call, self._program(name), self._library.log.mark()
        section = call.bpf_program__section_name(program).decode()
        if call.bpf_program__type(program) == TRACEPOINT:
            pointer, number = self._attach_tracepoint(program, section)
        else:
            pointer = call.bpf_program__attach(program)
            number = ctypes.get_errno()
        if not pointer:
            raise self._library.refused(f"{name} cannot be attached", number, mark, section)
        link = Link(self._library, pointer)
        self._links.append(link)
        return link

    def call(self, name: str, table: str) -> None:
        """Has the programs that go on with the first place of a table (BPF_MAP_TYPE_PROG_ARRAY) go on with this one.
        Raises RefusedError.
        """
        descriptor = int(self._library.call.bpf_program__fd(self._program(name)))
        self.map(table).set((0).to_bytes(4, "little"), descriptor.to_bytes(4, "little"))

    def misses(self, name: str) -> int:
        """How often a loaded program was passed over, since a run of it on the same processor had not ended: the kernel
        counts that from Linux 5.12 on.
        """
        descriptor = int(self._library.call.bpf_program__fd(self._program(name)))
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
        return sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("recursion_misses:"))

    def _attach_tracepoint(self, program: int, section: str) -> tuple[int | None, int]:
        """As libbpf would, but also where tracefs is mounted nowhere."""
        try:
            event = tracepoint.open_tracepoint(section)
        except OSError as error:
            self._library.log.add(f"{section}: {error}")
            return None, error.errno or 0
        pointer = self._library.call.bpf_program__attach_perf_event(program, event)
        number = ctypes.get_errno()
        if not pointer:
            os.close(event)
        return pointer, number

    def map(self, name: str) -> Map:
        """A map of the object; of use from `load` on. Raises LookupError."""
        if name not in self._maps:
            self._maps[name] = Map(self._library, self._map(name), name)
        return self._maps[name]

    def detach(self) -> None:
        """Takes the programs out of their places; the maps stay."""
        while self._links:
            self._links.pop().close()

    def close(self) -> None:
        """Detaches and unloads everything; a second call does nothing."""
        self.detach()
        if self._pointer:
            pointer, self._pointer = self._pointer, None
            self._library.call.bpf_object__close(pointer)

    def _opened(self) -> int:
        if self._pointer is None:
            raise RuntimeError("the BPF object is closed")
        return self._pointer

    def _program(self, name: str) -> int:
        found: int | None = self._library.call.bpf_object__find_program_by_name(self._opened(), name.encode())
        if not found:
            raise LookupError(f"the BPF object has no program {name}")
        return found

    def _map(self, name: str) -> int:
        found: int | None = self._library.call.bpf_object__find_map_by_name(self._opened(), name.encode())
        if not found:
            raise LookupError(f"the BPF object has no map {name}")
        return found
