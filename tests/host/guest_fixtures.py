"""The guest as a fixture, packed once for all tests that ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from guest import Guest, fetched_kernel
from runtimes import run


@pytest.fixture(scope="session")
def guest(require: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The machine of guest.py. What its boots said stays in pytest's folder; the archives, which are large, do not."""
    require("dpkg-deb")
    kernel = fetched_kernel(require("apt-get"), require("apt-cache"))
    if isinstance(kernel, str):
        _missing(kernel)
    guest = Guest(kernel, tmp_path_factory.mktemp("guest"), require("qemu-system-x86_64"), Path(require("busybox")))
    yield guest
    guest.drop_archives()


@pytest.fixture(scope="session")
def libbpf(require: Callable[..., str]) -> Path:
    """The library that loads BPF programs, for a boot's `programs`: it is looked for where it is here."""
    lines = run(require("ldconfig"), "-p").splitlines()
    found = [line.split()[-1] for line in lines if "libbpf.so.1 " in line and "x86-64" in line]
    return Path(found[0]) if found else _missing("libbpf.so.1 is not installed")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
