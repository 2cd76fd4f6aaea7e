"""Maps and ring buffers of a loaded BPF object."""

from __future__ import annotations

import ctypes
import errno
import select
import struct
from collections.abc import Iterator, Sequence
from ctypes import CFUNCTYPE, c_int, c_size_t, c_void_p

from sockwarden.sensors.ebpf.libbpf import Library

ANY, NOEXIST, EXIST = 0, 1, 2
"""Flags of an update (include/uapi/linux/bpf.h): whatever is there; only a new key; only one that is there."""
_PER_CPU = frozenset({5, 6, 10, 21})
"""BPF_MAP_TYPE_PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE."""
_MOST_SAMPLES = 10_000
_SAMPLE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class Map:
    """One map. Keys and values are bytes of exactly its sizes."""

    def __init__(self, library: Library, pointer: int, name: str) -> None:
        self._library, self._call, self._pointer = library, library.call, pointer
        self.name = name
        self.key_size = int(self._call.bpf_map__key_size(pointer))
        self.value_size = int(self._call.bpf_map__value_size(pointer))
        self._per_cpu = self._call.bpf_map__type(pointer) in _PER_CPU
        self._stride = (self.value_size + 7) & ~7
        self._room = self._stride * library.cpus if self._per_cpu else self.value_size

    @property
    def fd(self) -> int:
        """Its descriptor; negative before `load`."""
        return int(self._call.bpf_map__fd(self._pointer))

    @property
    def max_entries(self) -> int:
        """How many it holds; a ring buffer's bytes."""
        return int(self._call.bpf_map__max_entries(self._pointer))

    def resize(self, entries: int) -> None:
        """Sets how many it holds, before `load`."""
        mark = self._library.log.mark()
        if number := self._call.bpf_map__set_max_entries(self._pointer, entries):
            raise self._library.refused("a map cannot be resized", number, mark, self.name)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; of a per-CPU map the values of all CPUs, each filled up to 8 bytes."""
        value = ctypes.create_string_buffer(self._room)
        number = self._call.bpf_map_lookup_elem(self.fd, self._key(key), value)
        if number == -errno.ENOENT:
            return None
        self._check(number)
        return value.raw

    def sums(self, key: bytes) -> tuple[int, ...]:
        """The value of a key as 64-bit counters, of a per-CPU map added up; zeros where the key is not there."""
        form = struct.Struct(f"={self.value_size // 8}Q")
        value = self.get(key) or bytes(self._room)
        rows = [form.unpack_from(value, at) for at in range(0, len(value), self._stride)]
        return tuple(map(sum, zip(*rows, strict=True)))

    def set(self, key: bytes, value: bytes, flags: int = ANY) -> None:
        """Sets a value. Raises RefusedError: E2BIG from a full map, EEXIST and ENOENT as the flags ask."""
        if len(value) != self._room:
            raise ValueError(f"a value of {self.name} has {self._room} bytes, not {len(value)}")
        self._check(self._call.bpf_map_update_elem(self.fd, self._key(key), value, flags))

    def delete(self, key: bytes) -> bool:
        """Takes a key out; False where it was not there."""
        number = self._call.bpf_map_delete_elem(self.fd, self._key(key))
        if number == -errno.ENOENT:
            return False
        self._check(number)
        return True

    def keys(self) -> Iterator[bytes]:
        """The keys. What others take out meanwhile may make it begin anew: it ends after twice as many as there is
        room for.
        """
        fd, last = self.fd, None
        following = ctypes.create_string_buffer(self.key_size)
        for _ in range(2 * self.max_entries):
            number = self._call.bpf_map_get_next_key(fd, last, following)
            if number == -errno.ENOENT:
                return
            self._check(number)
            last = following.raw
            yield last

    def items(self) -> dict[bytes, bytes]:
        """Keys and values, as they are at the moment at which each is asked for."""
        # All keys first, so that the caller may delete on the way.
        return {key: value for key in list(self.keys()) if (value := self.get(key)) is not None}

    def _key(self, key: bytes) -> bytes:
        if len(key) != self.key_size:
            raise ValueError(f"a key of {self.name} has {self.key_size} bytes, not {len(key)}")
        return key

    def _check(self, number: int) -> None:
        if number < 0:
            raise self._library.refused("a map refused", number, self._library.log.mark(), self.name)


class _Ring:
    """One ring buffer, and what was taken out of it."""

    def __init__(self, library: Library, ring: Map) -> None:
        self._call = library.call
        self.samples: list[bytes] = []
        self.most = 0
        self.trouble: BaseException | None = None
        # Kept, since libbpf keeps only the address.
        self._callback = _SAMPLE(self._taken)
        mark = library.log.mark()
        address = ctypes.cast(self._callback, c_void_p)
        self.pointer: int | None = self._call.ring_buffer__new(ring.fd, address, None, None)
        if not self.pointer:
            raise library.refused("a ring buffer cannot be read", ctypes.get_errno(), mark, ring.name)

    def _taken(self, _context: int | None, data: int, size: int) -> int:
        # A signal's handler may raise here, below C code: what it raised is kept, and raised when that has returned.
        # The sample counts as taken whatever is returned; a negative one ends the round. What a handler raises before
        # the first line here Python prints and drops: a watch's handlers only set a flag.
        try:
            self.samples.append(ctypes.string_at(data, size))
            return 0 if len(self.samples) < self.most else -errno.EAGAIN
        except BaseException as error:  # noqa: BLE001 - raised again by `take`
            self.trouble = error
            return -errno.EINTR

    def take(self, most: int) -> list[bytes]:
        self.samples, self.most = [], most
        number = self._call.ring_buffer__consume(self.pointer)
        if self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble
        if number < 0 and number != -errno.EAGAIN:
            raise OSError(-number, "a ring buffer cannot be read")
        return self.samples


class RingBuffers:
    """Ring buffers read together: `fileno` is readable when any holds something, `consume` takes it out."""

    def __init__(self, library: Library, maps: Sequence[Map]) -> None:
        self._call = library.call
        self._rings: list[_Ring] = []
        self._epoll = select.epoll()
        try:
            for one in maps:
                self._rings.append(_Ring(library, one))
                self._epoll.register(self._call.ring_buffer__epoll_fd(self._rings[-1].pointer), select.EPOLLIN)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._epoll.fileno()

    def consume(self, most: int = _MOST_SAMPLES) -> list[list[bytes]]:
        """What each ring holds, in the order of the maps, at most so many samples of each. Never blocks."""
        return [ring.take(most) for ring in self._rings]

    def close(self) -> None:
        """Lets go of the rings; a second call does nothing."""
        self._epoll.close()
        for ring in self._rings:
            if ring.pointer:
                self._call.ring_buffer__free(ring.pointer)
                ring.pointer = None
        self._rings = []
