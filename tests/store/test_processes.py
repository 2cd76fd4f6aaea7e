"""Several processes on one store, and one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from sockwarden.store import Store

KEEP = """
import sys, time
from pathlib import Path
from sockwarden.store import Keeper
keeper = Keeper(Path(sys.argv[1]), max_age_days=30, max_bytes=1 << 30)
moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
for number in range(100):
    keeper.keep({"_id": f"{sys.argv[2]}-{number}", "@timestamp": moment, "process": {"pid": number}})
while keeper.waiting:
    keeper.flush(time.monotonic())
print(*keeper.notes(), keeper.saved, flush=True)
sys.stdin.read()
"""


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", KEEP, str(folder), name]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_was_written_outlives_a_kill(tmp_path: Path) -> None:
    with start(tmp_path, "a") as process:
        assert process.stdout and process.stdout.readline() == "100\n"
        process.send_signal(signal.SIGKILL)
    with Store(tmp_path, create=False) as store:
        assert store.count_accesses() == 100


def test_several_begin_one_store_and_another_reads(tmp_path: Path) -> None:
    processes = [start(tmp_path, str(number)) for number in range(6)]
    for process in processes:
        assert process.stdout and process.stdout.readline().endswith("100\n")
    with Store(tmp_path, create=False) as store:
        assert store.count_accesses() == 600
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    with Store(tmp_path, create=False) as store:
        assert store.count_accesses() == 600
