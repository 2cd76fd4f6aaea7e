"""libbpf.so.1, bound with ctypes: its functions, its log, and what it refused."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

from sockwarden.errors import InputError

SONAME = "libbpf.so.1"

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
    "bpf_program__fd": (c_int, [c_void_p]),
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
