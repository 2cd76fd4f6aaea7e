"""What root can do to a running watch's programs behind its back, and that the watch tells of it."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Callable, Iterator
from ctypes import c_uint32, get_errno
from pathlib import Path

import pytest
from doors import Door
from tracing import close_descriptors
from watching import SENSORS, Watch, watching

from sockwarden.document import Document, get
from sockwarden.sensors.ebpf import libbpf
from sockwarden.sensors.ebpf.records import IDENTITY, Identity

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures", "door_fixtures"]

HASH, LRU_HASH = 1, 9
"""BPF_MAP_TYPE_*."""
IDENTITIES = {HASH: "watched", LRU_HASH: "left_alone"}
"""The maps by their kind, among those whose key is a struct identity."""
IN_SECONDS = 10
"""Two looks, and what a slow machine takes."""


@pytest.fixture
def watch(door: Door, tmp_path: Path) -> Iterator[Watch]:
    with watching(tmp_path, *SENSORS["ebpf"]) as running:
        door.knock("before")
        running.until_marked("before")
        yield running


def infos(watch: Watch) -> Iterator[tuple[int, dict[str, str]]]:
    """The descriptors of the watch with what the kernel says of them."""
    for file in Path(f"/proc/{watch.process.pid}/fdinfo").iterdir():
        yield int(file.name), dict(re.findall(r"^([a-z_]+):\s*(.*)$", file.read_text(), re.MULTILINE))


def maps(watch: Watch) -> dict[str, int]:
    """Descriptors of our own of the watch's maps, opened by their numbers as bpftool does."""
    call = libbpf.load().call
    found = {}
    for _, info in infos(watch):
        if info.get("key_size") == str(IDENTITY.size) and int(info["map_type"]) in IDENTITIES:
            found[IDENTITIES[int(info["map_type"])]] = call.bpf_map_get_fd_by_id(c_uint32(int(info["map_id"])))
    return found


def is_told(alert: Document) -> bool:
    return bool(get(alert, "event.action") == "sensor-not-watching")


def test_links_cannot_be_detached_by_others(watch: Watch, door: Door) -> None:
    """What `bpftool link detach` does, to every link of the watch."""
    call = libbpf.load().call
    numbers = [int(info["link_id"]) for _, info in infos(watch) if "link_id" in info]
    assert len(numbers) > 5
    for number in numbers:
        link = call.bpf_link_get_fd_by_id(c_uint32(number))
        assert link >= 0
        assert call.bpf_link_detach(link) < 0 and get_errno() == errno.EOPNOTSUPP
        os.close(link)
    door.knock("still-seen")
    watch.until_marked("still-seen")
    assert not any(map(is_told, watch.alerts))


def test_sockets_taken_out_of_the_map_are_put_back_and_told(watch: Watch, door: Door) -> None:
    call, opened = libbpf.load().call, maps(watch)
    key = IDENTITY.pack(Identity.BY_LISTENER, 0, door.inode)
    assert call.bpf_map_delete_elem(opened["watched"], key) == 0
    assert call.bpf_map_update_elem(opened["left_alone"], key, struct.pack("=I", 1), 0) == 0
    for descriptor in opened.values():
        os.close(descriptor)
    alert = watch.until_alert("of the tampering", is_told, IN_SECONDS)
    assert "taken out of the programs' map" in get(alert, "message")
    door.knock("seen-again")
    watch.until_marked("seen-again")


def test_programs_that_are_detached_are_told(watch: Watch, require: Callable[..., str]) -> None:
    """By ptrace, the watch itself is made to close every link: its programs are gone, and it runs on."""
    require("setpriv", root=True)
    close_descriptors(watch.process.pid, [number for number, info in infos(watch) if "link_id" in info])
    assert not any("link_id" in info for _, info in infos(watch))
    alert = watch.until_alert("of its programs", is_told, IN_SECONDS)
    assert "no longer tell of the watch's own connect" in get(alert, "message")
    assert "restart the watch" in get(alert, "message")
