"""`sockwarden watch`: live, until it is told to end."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import click

from sockwarden.cli.lasting import Lasting
from sockwarden.cli.sensors_of import AUTO, SENSORS, Asked, lookers_of, sources_of
from sockwarden.cli.sinks_of import sinks_of, terminal_of
from sockwarden.errors import InputError, SockwardenError
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.export import Exporter
from sockwarden.pipeline.notify import Notifier
from sockwarden.pipeline.notifying import Notify
from sockwarden.pipeline.source import LiveSource, Opened, described, open_first
from sockwarden.pipeline.watch import Watch
from sockwarden.sensors.audit import DEFAULT
from sockwarden.sensors.capabilities import drop, kept
from sockwarden.settings import Config, state_folder
from sockwarden.settings.load import load_config
from sockwarden.sinks import FORMS
from sockwarden.sockets import Catalogue, RuntimeSocket, packaged
from sockwarden.store import Keeper


@click.command()
@click.option("--config", "config_path", metavar="FILE", help="Settings; else /etc/sockwarden/config.toml, if there.")
@click.option(
    "--notify",
    type=click.Choice(["graded", "all"]),
    help="What reaches webhook, syslog and journald: alerts of stories at or above high, or every alert. Else [watch] "
    "notify of the settings.",
)
@click.option("--rule", "selectors", multiple=True, metavar="NAME", help="Only this rule or signature; again for more.")
@click.option(
    "--sensor",
    type=click.Choice([AUTO, *SENSORS]),
    help="By what to watch; `auto`, the default, takes the best that works. Else [sensors] use of the settings.",
)
@click.option(
    "--output",
    type=click.Choice(["text", *FORMS]),
    default="text",
    show_default=True,
    help="For people; whole alerts as JSON lines; the same in plain ECS; findings as Tracee prints them.",
)
@click.option(
    "--state", metavar="DIR", help="Where accesses and alerts are kept; else SOCKWARDEN_STATE, else the system's place."
)
@click.option(
    "--runtime-dir", "runtime", metavar="DIR", default=str(DEFAULT), show_default=True, help="Lock and what to restore."
)
@click.option(
    "--audit-unicast",
    is_flag=True,
    help="Own audit's connection instead of listening beside it: auditd cannot start meanwhile.",
)
def watch(
    config_path: str | None,
    notify: Notify | None,
    selectors: tuple[str, ...],
    sensor: str | None,
    output: str,
    state: str | None,
    runtime: str,
    audit_unicast: bool,
) -> int:
    """Watch the runtime sockets of this host, live.

    Puts its sensor in place (by audit: rules on each socket), raises alerts as accesses happen, keeps every access, and
    takes the sensor away at the end. Ends on Ctrl-C and SIGTERM; SIGHUP reads the settings again.
    """
    _need_root()
    path = Path(config_path) if config_path else None
    config = load_config(path)
    folder = state_folder(state or config.watch.state)
    run = _Run(path, selectors, output, notify or config.watch.notify)
    with run.signals():
        if audit_unicast and sensor == "ebpf":
            raise click.UsageError("--audit-unicast is for the sensor audit")
        asked = Asked(config, Path(runtime), audit_unicast)
        run.watch(config, folder, Path(runtime), sources_of(sensor or config.sensors.use, asked))
    return 0


class _Run(Lasting):
    """A watch under its signals."""

    def __init__(self, config_path: Path | None, selectors: Sequence[str], output: str, notify: Notify) -> None:
        super().__init__(config_path, selectors, output)
        self._notify: Notify = notify
        self._config = Config()
        self._catalogue = packaged()

    def watch(self, config: Config, folder: Path, runtime: Path, sources: Sequence[LiveSource]) -> None:
        """Opens the first sensor that works, gives up what that does not need, and runs until something ends it."""
        opened = open_first(sources, self.tell)
        try:
            drop(kept(opened.source.name, _written(config, folder)))
            watching = self._watching(config, folder, runtime, opened)
        except BaseException:
            opened.source.close()
            raise
        self._run(config, watching, opened)

    def _watching(self, config: Config, folder: Path, runtime: Path, opened: Opened) -> Watch:
        keeper = Keeper(folder, max_age_days=config.retention.days, max_bytes=config.retention.max_bytes)
        sinks = sinks_of(config, self.output, folder)
        self.terminal = terminal_of(sinks)
        delivery = Delivery(list(sinks.values()), keeper, self.tell, self._notify)
        self._config, self._catalogue = config, _catalogue_of(config)
        return Watch(
            self.detections(config),
            catalogue=self._catalogue,
            opened=opened,
            lookers=lookers_of(config),
            delivery=delivery,
            state=folder,
            runtime=runtime,
            tell=self.tell,
        )

    def _run(self, config: Config, watching: Watch, opened: Opened) -> None:
        notifier, delivery = Notifier(), watching.delivery
        watching.start()
        try:
            exporter = Exporter(config.metrics.file, config.metrics.listen, watching, self.tell)
            self._greet(watching, opened)
            notifier.ready(watching.status().line().plain)
            watching.poll(self.woken)
            while not self.ended:
                watching.turn()
                self.hear()
                now = time.monotonic()
                self._show(watching)
                exporter.tick(now)
                notifier.alive(now)
                if delivery.unheard:
                    self.ended = "nobody read its output any more"
                if self.reload:
                    notifier.reloading()
                    self._reread(watching)
                    notifier.ready(watching.status().line().plain)
                self.follow(lambda: self._take_over(watching))
            notifier.stopping()
            exporter.close()
        finally:
            watching.stop(self.ended or "an error")
            notifier.close()

    def _take_over(self, watching: Watch) -> str:
        detections = self.detections(self._config)
        watching.change(detections, self._catalogue)
        return f"{len(detections)} rules and signatures now"

    def _greet(self, watching: Watch, opened: Opened) -> None:
        """What is watched, and what is not."""
        self.tell(_greeting(watching))
        for refused in opened.refused:
            self.tell(str(refused))
        if watching.delivery.notifies:
            self.tell(watching.delivery.notifying.line())
        spots = "".join(f"\n{spot.what}" for spot in watching.blind_spots())
        self.tell(f"blind to (`sockwarden doctor` says why, and what can be done):{spots}")

    def _show(self, watching: Watch) -> None:
        if self.terminal:
            self.terminal.show(watching.status())

    def _reread(self, watching: Watch) -> None:
        """Takes over what can change while it runs; a broken file changes nothing."""
        self.reload = False
        watching.delivery.reopen()
        try:
            config = load_config(self.config_path)
            detections, catalogue = self.detections(config), _catalogue_of(config)
        except SockwardenError as error:
            self.tell(f"the settings were not taken over\n{error}")
            return
        watching.change(detections, catalogue)
        self._config, self._catalogue = config, catalogue
        keeper = watching.delivery.keeper
        keeper.max_age_days, keeper.max_bytes = config.retention.days, config.retention.max_bytes
        self.tell("settings read again: rules, sockets and retention; other changes need a restart")


def _written(config: Config, folder: Path) -> list[Path]:
    """Where it goes on writing: a file of an output, and the folders of what is made anew."""
    files = [Path(file) for file in (config.sinks.file.path, config.metrics.file) if file]
    return [folder, *files, *(file.parent for file in files)]


def _catalogue_of(config: Config) -> Catalogue:
    """The packaged catalogue with what the settings add and take away."""
    extra = [RuntimeSocket(one.address, one.runtime, one.name or one.runtime) for one in config.sockets.extra]
    return packaged().changed(extra, config.sockets.ignore) if extra or config.sockets.ignore else packaged()


def _greeting(watching: Watch) -> str:
    """What is watched, in one line and one for each socket."""
    found, by = watching.inventory.live(), described(watching.source)
    if not found:
        return f"watching by {by}: no runtime socket exists yet; one that appears is watched at once"
    count = f"{len(found)} runtime socket{'s' if len(found) > 1 else ''}"
    return "\n".join(
        [f"watching by {by}: {count}", *(f"{live.socket.runtime} {live.socket.address}" for live in found)]
    )


def _need_root() -> None:
    if os.geteuid() != 0:
        raise InputError(
            "watching takes root: programs in the kernel, audit rules and the processes of others are root's alone",
            todo="Run `sudo make watch` or `sudo sockwarden watch`.\n"
            "Without root, `make demo` shows on a recorded log what it prints.",
        )
