"""libbpf.so.1, bound with ctypes: open a BPF object, choose its programs, load and attach them.

Nothing is pinned: programs, links and maps are this process's descriptors alone, and the kernel lets go of them when it
ends, however it ends. Maps and ring buffers are in `maps`.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple, Self

from sockwarden.errors import InputError
from sockwarden.sensors.ebpf import elf, tracepoint
from sockwarden.sensors.ebpf.maps import Map

SONAME = "libbpf.so.1"
TRACEPOINT = 5
"""BPF_PROG_TYPE_TRACEPOINT (include/uapi/linux/bpf.h)."""

_MOST_LINES = 500
_LONGEST_LINE = 400
_DEBUG = 2
"""LIBBPF_DEBUG: pages of it for each object, and nothing that a refusal needs."""
_OWN_ERRORS = 4000
"""__LIBBPF_ERRNO__START: from here on they are libbpf's, below the kernel's."""
_PRINT = CFUNCTYPE(c_int, c_int, c_void_p, c_void_p)

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "libbpf_version_string": (c_char_p, []),
    "libbpf_strerror": (c_int, [c_int, c_char_p, c_size_t]),
    "libbpf_num_possible_cpus": (c_int, []),
    "libbpf_set_print": (c_void_p, [_PRINT]),
    "bpf_object__open_mem": (c_void_p, [c_char_p, c_size_t, c_void_p]),
    "bpf_object__load": (c_int, [c_void_p]),
    "bpf_object__close": (None, [c_void_p]),
    "bpf_object__next_program": (c_void_p, [c_void_p, c_void_p]),
    "bpf_object__find_program_by_name": (c_void_p, [c_void_p, c_char_p]),
    "bpf_object__find_map_by_name": (c_void_p, [c_void_p, c_char_p]),
    "bpf_program__name": (c_char_p, [c_void_p]),
    "bpf_program__section_name": (c_char_p, [c_void_p]),
    "bpf_program__type": (c_int, [c_void_p]),
    "bpf_program__set_autoload": (c_int, [c_void_p, c_bool]),
    "bpf_program__attach": (c_void_p, [c_void_p]),
    "bpf_program__attach_perf_event": (c_void_p, [c_void_p, c_int]),
    "bpf_link__destroy": (c_int, [c_void_p]),
    "bpf_map__fd": (c_int, [c_void_p]),
    "bpf_map__type": (c_int, [c_void_p]),
    "bpf_map__key_size": (c_uint32, [c_void_p]),
    "bpf_map__value_size": (c_uint32, [c_void_p]),
    "bpf_map__max_entries": (c_uint32, [c_void_p]),
    "bpf_map__set_max_entries": (c_int, [c_void_p, c_uint32]),
    "bpf_map__initial_value": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "bpf_map_lookup_elem": (c_int, [c_int, c_char_p, c_void_p]),
    "bpf_map_update_elem": (c_int, [c_int, c_char_p, c_char_p, c_uint64]),
    "bpf_map_delete_elem": (c_int, [c_int, c_char_p]),
    "bpf_map_get_next_key": (c_int, [c_int, c_char_p, c_void_p]),
    "ring_buffer__new": (c_void_p, [c_int, c_void_p, c_void_p, c_void_p]),
    "ring_buffer__epoll_fd": (c_int, [c_void_p]),
    "ring_buffer__consume": (c_int, [c_void_p]),
    "ring_buffer__free": (None, [c_void_p]),
}


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts as far as it is used; libbpf takes the rest as not given."""

    _fields_ = (("sz", c_size_t), ("object_name", c_char_p))


class MissingError(InputError):
    """libbpf is not on this machine, or too old."""


class RefusedError(InputError):
    """What the kernel or libbpf would not do.

    number  the errno, positive; libbpf's own begin at 4000
    log     what libbpf said of it, for a program the verifier's last lines too
    """

    def __init__(self, what: str, *, number: int, why: str, where: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, why=why)
        self.number = number
        self.log = log


class Log:
    """What libbpf said, the last lines of it: the library has one log for the whole process."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._count = 0

    def add(self, text: str) -> None:
        """Keeps a message. The verifier's, of many thousand lines, comes as one: its end says why."""
        for line in text.rstrip("\n").split("\n"):
            self._lines.append(line[:_LONGEST_LINE])
            self._count += 1

    def mark(self) -> int:
        """A place in the log, for `since`."""
        return self._count

    def since(self, mark: int) -> tuple[str, ...]:
        """The lines after a mark, as far as they are kept."""
        new = self._count - mark
        return tuple(self._lines)[-new:] if new else ()


class Library:
    """The library, loaded: `load` gives it. call: its functions, typed; log: what it said."""

    def __init__(self, name: str) -> None:
        try:
            self.call = ctypes.CDLL(name, use_errno=True)
            self._libc = ctypes.CDLL(None)
            for function, (result, arguments) in _FUNCTIONS.items():
                bound = getattr(self.call, function)
                bound.restype, bound.argtypes = result, arguments
        except OSError as error:
            raise MissingError(f"{name} cannot be loaded", why=str(error), todo="apt-get install libbpf1") from None
        except AttributeError as error:
            raise MissingError(f"{name} is too old", why=str(error), todo="install libbpf 1.0 or later") from None
        self._libc.vasprintf.argtypes = [POINTER(c_void_p), c_void_p, c_void_p]
        self._libc.free.argtypes = [c_void_p]
        self.version = str(self.call.libbpf_version_string().decode("ascii"))
        self.cpus = int(self.call.libbpf_num_possible_cpus())
        self.log = Log()
        self._trouble: BaseException | None = None
        # Kept, since libbpf keeps only the address.
        self._print = _PRINT(self._printed)
        self.call.libbpf_set_print(self._print)

    def _printed(self, level: int, form: int, arguments: int) -> int:
        # A signal's handler may raise here, below C code: what it raised is kept for `settle`.
        try:
            if level < _DEBUG:
                self._say(form, arguments)
        except BaseException as error:  # noqa: BLE001 - raised again by `settle`
            self._trouble = error
        return 0

    def _say(self, form: int, arguments: int) -> None:
        # A va_list is passed as a pointer on x86-64 and on arm64 alike.
        text = c_void_p()
        if self._libc.vasprintf(ctypes.byref(text), form, arguments) >= 0 and text.value:
            self.log.add(ctypes.string_at(text.value).decode("utf-8", "backslashreplace"))
            self._libc.free(text)

    def settle(self) -> None:
        """Raises what a signal's handler raised while libbpf was writing its log, an interrupt for one."""
        if self._trouble:
            trouble, self._trouble = self._trouble, None
            raise trouble

    def refused(self, what: str, number: int, mark: int, where: str = "") -> RefusedError:
        """The error of a call that returned an errno, with its part of the log."""
        self.settle()
        number = abs(number)
        if number < _OWN_ERRORS:
            why = os.strerror(number)
        else:
            buffer = ctypes.create_string_buffer(128)
            self.call.libbpf_strerror(number, buffer, len(buffer))
            why = buffer.value.decode("utf-8", "backslashreplace")
        return RefusedError(what, number=number, why=why, where=where, log=self.log.since(mark))


@cache
def load(name: str = SONAME) -> Library:
    """The library, once for the process. Raises MissingError."""
    return Library(name)


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
        return Map(self._library, self._map(name), name)

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
