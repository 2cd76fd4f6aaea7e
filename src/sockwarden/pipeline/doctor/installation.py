"""Checks of what sockwarden itself needs: sockets to watch, a watch, its store, its configuration, its service."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sockwarden.errors import InputError
from sockwarden.pipeline import rules_file
from sockwarden.pipeline.doctor import canary, trial
from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.pipeline.doctor.host import Host
from sockwarden.sensors.audit.targets import ours
from sockwarden.settings.load import load_config
from sockwarden.sockets import LiveSocket
from sockwarden.store import Store

_MOST_SOCKETS = 20
"""Sockets with a line of their own, and canaries: a host with many containers has a shim's socket for each."""
_UNIT = Path("/etc/systemd/system/sockwarden.service")


def sockets(host: Host) -> Iterator[Finding]:
    """The runtime sockets of this host, and whether an access to each would be recorded now."""
    if not host.sockets:
        yield Finding("runtime sockets", "ok", "none here; a watch finds them when a runtime starts")
    for live in host.sockets[:_MOST_SOCKETS]:
        yield _socket(host, live)
    if (more := len(host.sockets) - _MOST_SOCKETS) > 0:
        recorded = sum(_recorded(host, live) for live in host.sockets[_MOST_SOCKETS:])
        yield Finding("more sockets", "ok" if recorded == more else "warn", f"{more}, of which {recorded} are watched")


def _socket(host: Host, live: LiveSocket) -> Finding:
    name = f"socket {live.socket.address}"
    listener = ", ".join(f"{one.executable or 'unknown'} (pid {one.pid})" for one in live.listeners[:2])
    heard = f"{listener} listens" if listener else "nobody listens" if live.listening is False else "listener unknown"
    facts = f"{live.socket.name}; {heard}"
    if live.kind != "path":
        return _without_file(host, name, facts)
    if live.path is None:
        seen = host.watched_by_ebpf
        message = f"{facts}; its file was moved out of sight{', which ebpf does not mind' if seen else ''}"
        todo = "Restart the runtime; find who moved the file."
        return Finding(name, "warn" if seen else "fail", message, todo)
    where = "" if live.path == live.socket.address else f"; its file is now {live.path}"
    if host.watched_by_ebpf:
        return Finding(name, "ok", f"{facts}{where}; watched")
    if os.geteuid():
        return Finding(name, "warn", f"{facts}{where}; whether it is watched cannot be told without root")
    if not _recorded(host, live):
        state = "fail" if host.watcher else "warn"
        return Finding(name, "fail" if state == "fail" else "warn", f"{facts}{where}; not watched", "sockwarden watch")
    by = (
        "watched"
        if any(ours(rule) for rule in host.covering(live.path)) and host.watcher
        else "recorded, not watched live"
    )
    return Finding(name, "ok", f"{facts}{where}; {by}")


def _without_file(host: Host, name: str, facts: str) -> Finding:
    """An abstract socket's or a port's."""
    if host.watched_by_ebpf:
        return Finding(name, "ok", f"{facts}; watched")
    if host.sensor == "ebpf":
        return Finding(name, "warn", f"{facts}; not watched", "sockwarden watch")
    todo = "Let the runtime listen on a path alone."
    return Finding(name, "warn", f"{facts}; audit rules go by path, so it is not seen", todo)


def _recorded(host: Host, live: LiveSocket) -> bool:
    if host.watched_by_ebpf:
        return True
    on = host.status is not None and host.status.enabled > 0
    return on and live.path is not None and bool(host.covering(live.path))


def configuration(_: Host) -> Iterator[Finding]:
    """/etc/sockwarden/config.toml."""
    try:
        load_config()
    except InputError as error:
        yield Finding("configuration", "fail", str(error).replace("\n", "; "), "sockwarden config check")
    else:
        yield Finding("configuration", "ok", "valid, or absent and all defaults")


def store(folder: Path) -> Iterator[Finding]:
    """The store of accesses and alerts."""
    path = folder / "sockwarden.db"
    try:
        if not path.exists():
            yield Finding("store", "ok", f"{path} is not there yet; a watch makes it")
            return
        with Store(folder, create=False, wait=2) as opened:
            counts = f"{opened.count_accesses():,} accesses, {opened.count():,} alerts"
        size = path.stat().st_size
    except InputError as error:
        yield Finding("store", "fail", ": ".join(filter(None, (error.what, error.where, error.why))), error.todo)
    except OSError as error:
        yield Finding("store", "warn" if os.geteuid() else "fail", f"{path}: {error.strerror}", "Look at it as root.")
    else:
        yield Finding("store", "ok", f"{path}: {counts}, {size / 1e6:,.1f} MB")


def service(_: Host) -> Iterator[Finding]:
    """The systemd unit."""
    if not Path("/run/systemd/system").is_dir():
        yield Finding("service", "ok", "systemd does not run here; start `sockwarden watch` by whatever does")
        return
    if not _UNIT.exists():
        yield Finding("service", "warn", "not installed, so no watch starts at boot", "sudo make install")
        return
    state = _systemctl("is-enabled")
    if state == "enabled":
        yield Finding("service", "ok", f"{_UNIT} is installed and enabled; {_systemctl('is-active')} now")
    else:
        yield Finding("service", "warn", f"{_UNIT} is installed, but {state}", "systemctl enable --now sockwarden")


def watch(host: Host) -> Iterator[Finding]:
    """Whether a watch runs."""
    if host.watcher:
        since = host.watcher.since
        moment = (
            f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC" if since is not None else "an unknown time"
        )
        yield Finding("watch", "ok", f"runs as pid {host.watcher.pid} since {moment}, on {host.by}")
    elif host.changes:
        todo = "Start it again, or put audit's status back: sockwarden setup audit remove --for auditd"
        yield Finding(
            "watch",
            "warn",
            f"the last one (pid {host.changes.pid}) was killed, and audit's status is as it had set it",
            todo,
        )
    elif _is_hidden(host.runtime / "lock"):
        yield Finding("watch", "warn", "whether one runs cannot be told without root", "sudo sockwarden doctor")
    else:
        yield Finding(
            "watch", "warn", "none runs: no access is judged live", "systemctl start sockwarden, or: sockwarden watch"
        )


def _is_hidden(file: Path) -> bool:
    """Whether this process may not even know if a file is there."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def canaries(host: Host, state: Path) -> Iterator[Finding]:
    """A connect of the doctor's own to each listening socket, seen from end to end."""
    if os.geteuid():
        yield Finding("canary", "warn", "not tried: it takes root")
        return
    listening = [live for live in host.sockets if live.path and live.listening and live.kind == "path"]
    if not listening:
        yield Finding("canary", "ok", "nothing to try: no runtime socket with a file listens")
        return
    chosen = listening[:_MOST_SOCKETS]
    lasting = rules_file.content(rules_file.FILES["auditd"]) or ""
    expected = {
        live.path
        for live in chosen
        if live.path and (host.watcher or host.covering(live.path) or f" path={live.path} " in lasting)
    }
    try:
        if host.watched_by_ebpf:
            yield from trial.by_watch(chosen, f"{host.sensor}, {host.hook}", state)
        elif host.sensor == "ebpf" and not expected:
            yield from trial.on_trial(chosen, host.by, host.only)
        else:
            sights = canary.attempt(chosen)
            yield from canary.judge(sights, expected=expected, watching=host.watcher is not None, state=state)
    except InputError as error:
        yield Finding("canary", "fail", ": ".join(filter(None, (error.what, error.why))), error.todo)
    if more := len(listening) - len(chosen):
        yield Finding("canary", "ok", f"{more} more sockets were not tried")


def _systemctl(question: str) -> str:
    program = shutil.which("systemctl")
    if not program:
        return "unknown"
    try:
        asked = subprocess.run(  # noqa: S603 - fixed words
            [program, question, "sockwarden.service"], capture_output=True, timeout=5, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return asked.stdout.strip()[:40] or "unknown"
