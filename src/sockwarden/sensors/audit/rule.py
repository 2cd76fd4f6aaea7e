"""One audit rule: struct audit_rule_data (include/uapi/linux/audit.h) read, made, and printed as auditctl prints it."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sockwarden.auditrecords import types
from sockwarden.auditrecords.syscalls import ARCHES

USER, TASK, EXIT, EXCLUDE, FILESYSTEM, IO_URING = 0, 1, 4, 5, 6, 7
"""AUDIT_FILTER_*: the lists."""
NEVER, POSSIBLE, ALWAYS = 0, 1, 2

ARCH, MSGTYPE, FSTYPE, SUCCESS, PATH, PERM, DIR, KEY = 11, 12, 26, 104, 105, 106, 107, 210
"""AUDIT_*: the fields that are of interest here by themselves."""
EQUAL, NOT_EQUAL = 0x40000000, 0x30000000

FILESYSTEMS = {0x64626720: "debugfs", 0x74726163: "tracefs"}
"""Magic numbers (include/uapi/linux/magic.h) of the file systems that auditctl knows by name."""

_LISTS = {USER: "user", TASK: "task", EXIT: "exit", EXCLUDE: "exclude", FILESYSTEM: "filesystem", IO_URING: "io_uring"}
_ACTIONS = {NEVER: "never", POSSIBLE: "possible", ALWAYS: "always"}
_OPERATORS = {
    EQUAL: "=",
    NOT_EQUAL: "!=",
    0x20000000: ">",
    0x60000000: ">=",
    0x10000000: "<",
    0x50000000: "<=",
    0x08000000: "&",
    0x48000000: "&=",
}
_COMPARE = 111
_NAMES = (
    {0: "pid", 1: "uid", 2: "euid", 3: "suid", 4: "fsuid", 5: "gid", 6: "egid", 7: "sgid", 8: "fsgid", 9: "auid"}
    | {10: "pers", ARCH: "arch", MSGTYPE: "msgtype", 18: "ppid", 24: "loginuid_set", 25: "sessionid", FSTYPE: "fstype"}
    | {13: "subj_user", 14: "subj_role", 15: "subj_type", 16: "subj_sen", 17: "subj_clr"}
    | {19: "obj_user", 20: "obj_role", 21: "obj_type", 22: "obj_lev_low", 23: "obj_lev_high"}
    | {100: "devmajor", 101: "devminor", 102: "inode", 103: "exit", SUCCESS: "success", PATH: "path", PERM: "perm"}
    | {DIR: "dir", 108: "filetype", 109: "obj_uid", 110: "obj_gid", 112: "exe", 113: "saddr_fam", KEY: "key"}
    | {200: "a0", 201: "a1", 202: "a2", 203: "a3"}
)
_STRINGS = frozenset({*range(13, 18), *range(19, 24), PATH, DIR, 112, KEY})
_SIGNED = frozenset({*range(10), 103, 109, 110})
_PERMISSIONS = ((4, "r"), (2, "w"), (1, "x"), (8, "a"))
_COMPARED = (
    (1, "uid", "obj_uid"),
    (2, "gid", "obj_gid"),
    (3, "euid", "obj_uid"),
    (4, "egid", "obj_gid"),
    (5, "auid", "obj_uid"),
    (6, "suid", "obj_uid"),
    (7, "sgid", "obj_gid"),
    (8, "fsuid", "obj_uid"),
    (9, "fsgid", "obj_gid"),
    (10, "uid", "auid"),
    (11, "uid", "euid"),
    (12, "uid", "fsuid"),
    (13, "uid", "suid"),
    (14, "auid", "fsuid"),
    (15, "auid", "suid"),
    (16, "auid", "euid"),
    (17, "euid", "suid"),
    (18, "euid", "fsuid"),
    (19, "suid", "fsuid"),
    (20, "gid", "egid"),
    (21, "gid", "fsgid"),
    (22, "gid", "sgid"),
    (23, "egid", "fsgid"),
    (24, "egid", "sgid"),
    (25, "sgid", "fsgid"),
)
"""AUDIT_COMPARE_*."""
_COMPARISONS = {number: names for number, *names in _COMPARED}

URING_OPS = {0: "nop", 16: "connect", 18: "openat", 28: "openat2"}
"""enum io_uring_op (include/uapi/linux/io_uring.h)."""

_HEAD = struct.Struct("=3I")
_WORDS = 64
"""AUDIT_MAX_FIELDS, and as many words of 32 bits in the mask of calls."""
_TABLE = struct.Struct(f"={_WORDS}I")
_LENGTH = struct.Struct("=I")
_EVERY_CALL = (1 << 32 * (_WORDS - 1)) - 1
"""The last word holds classes of calls, which auditctl does not count."""


class Field(NamedTuple):
    """One condition: AUDIT_* number, operator, and a number or, for a string, its bytes."""

    kind: int
    operator: int
    value: int | bytes

    @property
    def comparison(self) -> str:
        """The operator as auditctl writes it."""
        return _OPERATORS.get(self.operator, "?")


class Rule(msgspec.Struct, frozen=True):
    """A rule. filter: its list. calls: a bit for each system call, or each operation of io_uring."""

    filter: int
    action: int
    calls: int
    fields: tuple[Field, ...]

    def value(self, kind: int) -> int | bytes | None:
        """What a field asks for with `=`; None without such a field."""
        return next((field.value for field in self.fields if field.kind == kind and field.operator == EQUAL), None)

    @property
    def keys(self) -> list[bytes]:
        key = self.value(KEY)
        return key.split(b"\1") if isinstance(key, bytes) else []

    def names_call(self, number: int) -> bool:
        return bool(self.calls >> number & 1)

    def __str__(self) -> str:
        return _watch(self) or _syscall_rule(self)


def mask(numbers: Iterable[int]) -> int:
    """The calls of a rule from their numbers."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def encode(rule: Rule) -> bytes:
    """A rule as the kernel takes it."""
    values = [len(value) if isinstance(value, bytes) else value for _, _, value in rule.fields]
    strings = b"".join(value for _, _, value in rule.fields if isinstance(value, bytes))
    columns = [[field.kind for field in rule.fields], values, [field.operator for field in rule.fields]]
    return b"".join(
        (
            _HEAD.pack(rule.filter, rule.action, len(rule.fields)),
            _TABLE.pack(*(rule.calls >> 32 * word & 0xFFFFFFFF for word in range(_WORDS))),
            *(_TABLE.pack(*column, *[0] * (_WORDS - len(column))) for column in columns),
            _LENGTH.pack(len(strings)),
            strings,
        )
    )


@lru_cache(maxsize=4096)
def decode(data: bytes) -> Rule:
    """A rule as the kernel lists it. OSError EBADMSG for bytes that are none."""
    try:
        flags, action, count = _HEAD.unpack_from(data)
        words, kinds, values, operators = (
            _TABLE.unpack_from(data, _HEAD.size + _TABLE.size * column) for column in range(4)
        )
    except struct.error:
        raise OSError(errno.EBADMSG, "shorter than struct audit_rule_data") from None
    if count > _WORDS:
        raise OSError(errno.EBADMSG, f"a rule of {count} fields")
    at = _HEAD.size + _TABLE.size * 4 + _LENGTH.size
    fields = []
    for kind, value, operator in zip(kinds[:count], values, operators, strict=False):
        if kind in _STRINGS:
            if at + value > len(data):
                raise OSError(errno.EBADMSG, "a string reaches beyond its rule")
            fields.append(Field(kind, operator, data[at : at + value]))
            at += value
        else:
            fields.append(Field(kind, operator, value))
    calls = 0
    for word, bits in enumerate(words):
        calls |= bits << 32 * word
    return Rule(flags & 7, action, calls, tuple(fields))


def call_names(rule: Rule) -> list[str]:
    """The calls of a rule by name on its architecture, by number where it has none here; `all` alone for every one."""
    if rule.calls & _EVERY_CALL == _EVERY_CALL:
        return ["all"]
    known = URING_OPS if rule.filter == IO_URING else _names_of(rule.value(ARCH))
    return [known.get(number, str(number)) for number in range(32 * (_WORDS - 1)) if rule.names_call(number)]


def _names_of(arch: int | bytes | None) -> dict[int, str]:
    if not isinstance(arch, int):
        machine = os.uname().machine
        return next((known.calls for known in ARCHES.values() if known.name == machine), {})
    return ARCHES[arch].calls if arch in ARCHES else {}


def _watch(rule: Rule) -> str:
    """The `-w` form, for a rule that says no more than that."""
    target, perm = rule.value(PATH) or rule.value(DIR), rule.value(PERM)
    if not isinstance(target, bytes) or not isinstance(perm, int) or (rule.filter, rule.action) != (EXIT, ALWAYS):
        return ""
    if call_names(rule) != ["all"] or not {field.kind for field in rule.fields} <= {PATH, DIR, PERM, KEY}:
        return ""
    return " ".join([f"-w {_text(target)}", f"-p {_permissions(perm)}", *(f"-k {_text(key)}" for key in rule.keys)])


def _syscall_rule(rule: Rule) -> str:
    words = [f"-a {_ACTIONS.get(rule.action, rule.action)},{_LISTS.get(rule.filter, rule.filter)}"]
    words += [_printed(field) for field in rule.fields if field.kind == ARCH]
    if rule.filter in (EXIT, IO_URING) and rule.calls:
        words.append("-S " + ",".join(call_names(rule)))
    words += [_printed(field) for field in rule.fields if field.kind not in (ARCH, KEY)]
    words += [f"-F key={_text(key)}" for key in rule.keys]
    return " ".join(words)


def _printed(field: Field) -> str:
    if field.kind == _COMPARE and field.value in _COMPARISONS:
        left, right = _COMPARISONS[int(field.value)]
        return f"-C {left}{field.comparison}{right}"
    return f"-F {_NAMES.get(field.kind, f'f{field.kind}')}{field.comparison}{_value(field)}"


def _value(field: Field) -> str:
    if isinstance(field.value, bytes):
        return _text(field.value)
    signed = field.value - (1 << 32) if field.value >> 31 else field.value
    if field.kind == ARCH:
        return "b64" if field.value & 0x80000000 else "b32"
    if field.kind == MSGTYPE:
        name = types.name_of(field.value)
        return str(field.value) if name.startswith("UNKNOWN") else name
    if field.kind == 103 and -signed in errno.errorcode:
        return f"-{errno.errorcode[-signed]}"
    if field.kind == PERM:
        return _permissions(field.value)
    if field.kind == FSTYPE:
        return FILESYSTEMS.get(field.value, f"0x{field.value:x}")
    if 200 <= field.kind <= 203:
        return f"0x{field.value:x}"
    return str(signed if field.kind in _SIGNED else field.value)


def _permissions(bits: int) -> str:
    return "".join(letter for bit, letter in _PERMISSIONS if bits & bit)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
