"""Busy sockets that are no runtime's: a journal, a message bus and a database, each real and on its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runtimes import run, until

JOURNALD = "/usr/lib/systemd/systemd-journald"
_OWN_RUN = """\
mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\\nAudit=\\n' >/run/systemd/journald.conf.d/audit.conf
exec "$0"
"""
"""Debian's journald switches audit off when it starts unless it is told to leave it; a watch then rightly complains."""
_BUS = """\
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
"""


@contextmanager
def busy_sockets(folder: Path, require: Callable[..., str]) -> Iterator[list[Path]]:
    """Where they listen."""
    with ExitStack() as undo:
        yield [undo.enter_context(one(folder, require)) for one in (_journal, _bus, _database)]


@contextmanager
def _started(command: list[str], log: Path, ready: Callable[[int], bool], user: str | None = None) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, user=user, cwd="/")
    try:
        until(lambda: process.poll() is not None or ready(process.pid), f"{command[0]} starts; see {log}")
        assert process.poll() is None, log.read_text()[-2000:]
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def _journal(folder: Path, require: Callable[..., str]) -> Iterator[Path]:
    """systemd's journal, which always listens in /run; it has one of its own."""

    def socket_of(pid: int) -> Path:
        return Path(f"/proc/{pid}/root/run/systemd/journal/stdout")

    command = [require("unshare", root=True), "--mount", "sh", "-ec", _OWN_RUN, require(JOURNALD)]
    with _started(command, folder / "journald.log", lambda pid: socket_of(pid).is_socket()) as pid:
        yield socket_of(pid)


@contextmanager
def _bus(folder: Path, require: Callable[..., str]) -> Iterator[Path]:
    address, config = folder / "bus.sock", folder / "bus.conf"
    config.write_text(_BUS.format(path=address), encoding="ascii")
    command = [require("dbus-daemon"), f"--config-file={config}", "--nofork"]
    with _started(command, folder / "bus.log", lambda _: address.is_socket()):
        yield address


@contextmanager
def _database(folder: Path, require: Callable[..., str]) -> Iterator[Path]:
    """PostgreSQL, which refuses to run as root."""
    # Debian has its programs on no path.
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql"))
    require(str(programs / "postgres"))
    home = folder / "postgres"
    home.mkdir()
    shutil.chown(home, "postgres")
    initdb = [str(programs / "initdb"), f"--pgdata={home}/data", "--no-sync", "--auth=trust", "--no-locale"]
    subprocess.run(initdb, user="postgres", check=True, capture_output=True, cwd="/", timeout=60)
    command = [str(programs / "postgres"), "-D", f"{home}/data", "-k", str(home), "-c", "listen_addresses="]
    address = home / ".s.PGSQL.5432"
    with _started([*command, "-c", "fsync=off"], folder / "postgres.log", lambda _: address.is_socket(), "postgres"):
        query = ["psql", f"--host={home}", "--username=postgres", "--dbname=postgres", "--command=select 1"]
        until(lambda: subprocess.run(query, capture_output=True, check=False).returncode == 0, "it answers")
        run(*query)
        yield address
