"""The guest as a fixture, packed once for all tests that ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guest import Guest, fetched_kernel


@pytest.fixture(scope="session")
def guest(require: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The machine of guest.py. What its boots said stays in pytest's folder; the archives, which are large, do not."""
    require("dpkg-deb")
    kernel = fetched_kernel(require("apt-get"), require("apt-cache"))
    if isinstance(kernel, str):
        if os.environ.get("CI"):
            pytest.fail(kernel)
        pytest.skip(kernel)
    guest = Guest(kernel, tmp_path_factory.mktemp("guest"), require("qemu-system-x86_64"), Path(require("busybox")))
    yield guest
    guest.drop_archives()
