from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from sockwarden.errors import InputError
from sockwarden.sensors.audit.changes import BACKLOG, planned, refuse
from sockwarden.sensors.audit.protocol import Status
from sockwarden.sensors.audit.runtime import Changes, Runtime, boot_id

OFF = Status(
    enabled=0, failure=1, pid=0, rate_limit=0, backlog_limit=64, lost=0, backlog=0, features=0, backlog_wait_time=0
)
ON = msgspec.structs.replace(OFF, enabled=1, backlog_limit=BACKLOG)
EARLIER = Changes(
    boot_id(), 4711, 0, 12.5, {"enabled": 0, "backlog_limit": 64}, {"enabled": 1, "backlog_limit": BACKLOG}
)


def held(folder: Path) -> Runtime:
    runtime = Runtime(folder)
    runtime.lock()
    return runtime


def test_one_run_at_a_time(tmp_path: Path) -> None:
    first = held(tmp_path / "run")
    with pytest.raises(InputError, match=rf"already running \(pid {os.getpid()}\)"):
        Runtime(tmp_path / "run").lock()
    first.release()
    held(tmp_path / "run").release()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_changes_are_found_again_with_the_time(tmp_path: Path) -> None:
    runtime = held(tmp_path)
    runtime.write(EARLIER)
    os.utime(tmp_path / "audit.json", (1000, 1000))
    assert (runtime.read(), runtime.seen_alive()) == (EARLIER, 1000)
    runtime.alive()
    assert (runtime.seen_alive() or 0) >= time.time() - 60
    runtime.clear()
    runtime.clear()
    assert (runtime.read(), runtime.seen_alive()) == (None, None)
    runtime.release()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"boot_id": 1}',
        msgspec.json.encode(msgspec.structs.replace(EARLIER, boot_id="other")),
    ],
)
def test_what_is_broken_or_of_another_boot_does_not_count(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "audit.json").write_bytes(content)
    assert Runtime(tmp_path).read() is None


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(InputError, match="not ours alone"):
        Runtime(tmp_path).lock()


def test_links_are_not_followed(tmp_path: Path) -> None:
    real, target = tmp_path / "real", tmp_path / "target"
    real.mkdir(mode=0o700)
    target.write_text("keep", encoding="ascii")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(InputError, match="not ours alone"):
        Runtime(tmp_path / "link").lock()
    (real / "lock").symlink_to(target)
    with pytest.raises(InputError, match="cannot be used"):
        Runtime(real).lock()
    (real / "lock").unlink()
    (real / "audit.new").symlink_to(target)
    runtime = held(real)
    runtime.write(EARLIER)
    runtime.release()
    assert target.read_text(encoding="ascii") == "keep"


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used"):
        Runtime(tmp_path / "file").lock()


def test_only_what_has_to_change_is_planned() -> None:
    plan = planned(OFF, None)
    assert plan.before == {"enabled": 0, "backlog_limit": 64}
    assert plan.ours == {"enabled": 1, "backlog_limit": BACKLOG}
    assert plan.enabled_at == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)
    none = planned(ON, None)
    assert (none.before, none.ours, none.enabled_at) == ({}, {}, None)


@pytest.mark.parametrize("backlog", [0, BACKLOG, 320000])
def test_a_larger_or_unlimited_backlog_stays(backlog: int) -> None:
    assert planned(msgspec.structs.replace(ON, backlog_limit=backlog), None).ours == {}


def test_after_a_killed_run_the_original_values_are_kept() -> None:
    plan = planned(ON, EARLIER)
    assert (plan.before, plan.ours) == (EARLIER.before, EARLIER.ours)


def test_when_audit_was_first_enabled_outlives_a_run(tmp_path: Path) -> None:
    runtime = held(tmp_path)
    assert runtime.enabled_at() is None
    runtime.write(EARLIER)
    runtime.clear()
    assert runtime.enabled_at() == 12.5
    assert planned(OFF, None, enabled_at=runtime.enabled_at()).enabled_at == 12.5
    (tmp_path / "enabled.json").write_bytes(b'{"boot_id": "other", "enabled_at": 1}')
    assert runtime.enabled_at() is None
    runtime.release()


def test_what_an_admin_changed_after_a_killed_run_is_what_was_before() -> None:
    plan = planned(msgspec.structs.replace(ON, backlog_limit=1024), EARLIER)
    assert plan.before == {"enabled": 0, "backlog_limit": 1024}


@pytest.mark.parametrize(("change", "message"), [({"enabled": 2}, "locked"), ({"failure": 2}, "panic")])
def test_refused_status_names_the_way_on(change: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        refuse(msgspec.structs.replace(OFF, **change))
    assert raised.value.todo
