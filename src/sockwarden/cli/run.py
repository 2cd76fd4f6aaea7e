"""`sockwarden run`: the scheduled engine, until it is told to end."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click

from sockwarden.cli.detections import chosen, configured
from sockwarden.cli.lasting import Lasting
from sockwarden.cli.output import print_notes
from sockwarden.cli.sinks_of import sinks_of, terminal_of
from sockwarden.cli.sources import Asked, renamed, source_of
from sockwarden.detect import Detection, RuleDetection
from sockwarden.errors import InputError, SockwardenError, UsageError
from sockwarden.pipeline.notify import Notifier
from sockwarden.pipeline.scheduled import Outgoing, Runner, Service, is_scheduled
from sockwarden.settings import Config, state_folder
from sockwarden.settings.load import load_config
from sockwarden.sinks import FORMS
from sockwarden.store import Store

_NAP = 0.2
_RETRY_SECONDS = 10.0


@click.command()
@click.option(
    "--from", "source", metavar="PLACE", required=True, help="Where the events are: store, index, or a folder's path."
)
@click.option("--once", is_flag=True, help="Run every rule once, deliver, and end; 3 when a run failed.")
@click.option("--rule", "selectors", multiple=True, metavar="NAME", help="Only this rule; again for more.")
@click.option(
    "--output",
    type=click.Choice(["text", *FORMS]),
    default="text",
    show_default=True,
    help="For people; whole alerts as JSON lines; the same in plain ECS; findings as Tracee prints them.",
)
@click.option("--config", "config_path", metavar="FILE", help="Settings; else /etc/sockwarden/config.toml, if there.")
@click.option(
    "--state", metavar="DIR", help="Where alerts and runs are kept; else SOCKWARDEN_STATE or the usual place."
)
@click.option(
    "--map", "maps", multiple=True, metavar="FIELD=FIELD", help="Ask the second field where a rule names the first."
)
def run(
    source: str,
    once: bool,
    selectors: tuple[str, ...],
    output: str,
    config_path: str | None,
    state: str | None,
    maps: tuple[str, ...],
) -> int:
    """Run rules at their intervals over events that lie somewhere.

    Each rule looks at its own window of time, makes its alerts once, catches up after a pause and records what it could
    not look at: `sockwarden rules runs` shows that. Ends on Ctrl-C and SIGTERM between two runs; SIGHUP reads settings
    and rules again.
    """
    path = Path(config_path) if config_path else None
    config = load_config(path)
    folder = state_folder(state or config.watch.state)
    running = _Running(path, selectors, output)
    detections = running.detections(config)
    with running.signals(), Store(folder, create=True) as store, _alone(folder):
        asked = Asked(source, config, store, renamed(maps))
        runner = Runner(store, source_of(asked))
        return running.run(store, runner, config, detections, once=once)


class _Running(Lasting):
    """A run under its signals."""

    def run(self, store: Store, runner: Runner, config: Config, detections: Sequence[Detection], *, once: bool) -> int:
        """Runs until something ends it; the exit code."""
        sinks = sinks_of(config, self.output, store.path.parent)
        self.terminal = terminal_of(sinks)
        with closing(Outgoing(store, sinks, self.tell)) as outgoing, closing(Notifier()) as notifier:
            service = Service(store, runner, outgoing, config, self.tell)
            service.change(detections)
            if once:
                service.once(lambda: bool(self.ended))
                print_notes([service.status()])
                return InputError.exit_code if service.failed else 0
            self.tell(f"running over {runner.source.name}: {service.status()}")
            notifier.ready(service.status())
            while not self.ended:
                self._turn(service, notifier)
            notifier.stopping()
        return 0

    def detections(self, config: Config) -> list[Detection]:
        """The rules to run, and those that judge how the engine itself is."""
        known = self.rules(config)
        everything = configured(config, known)
        if not self.selectors:
            return everything
        found = chosen(self.selectors, known)
        for one in found:
            if not isinstance(one, RuleDetection) or not is_scheduled(one.rule):
                raise UsageError(
                    f"{one.detector.name} does not run at intervals",
                    why="Signatures, and rules over sockwarden's own health, judge each document when it comes.",
                    todo="Name a query rule; see `sockwarden rules list`.",
                )
        judges = [one for one in everything if isinstance(one, RuleDetection) and not is_scheduled(one.rule)]
        return [*found, *judges]

    def _turn(self, service: Service, notifier: Notifier) -> None:
        nap = _NAP
        try:
            if service.turn():
                nap = 0
        except InputError as error:
            # A full disk may have room again: what was committed stands, and the next run catches up.
            self.tell(f"{error}\nTried again every {_RETRY_SECONDS:.0f} s.")
            nap = _RETRY_SECONDS
        notifier.alive(time.monotonic())
        if service.outgoing.unheard:
            self.ended = "nobody read its output any more"
        self.rest(nap)
        if self.reload and not self.ended:
            notifier.reloading()
            self._reread(service)
            notifier.ready(service.status())
        self.follow(lambda: self._take_over(service))

    def _take_over(self, service: Service) -> str:
        service.change(self.detections(service.config))
        return service.status()

    def _reread(self, service: Service) -> None:
        """Takes over what can change while it runs; a broken file changes nothing."""
        self.reload = False
        service.outgoing.reopen()
        try:
            config = load_config(self.config_path)
            service.change(self.detections(config))
        except SockwardenError as error:
            self.tell(f"the settings were not taken over\n{error}")
            return
        service.config = config
        self.tell("settings read again: rules and retention; other changes need a restart")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two services over one store would run each rule twice, and each think the other's runs its own."""
    lock = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another `sockwarden run` works on this store",
                where=str(folder),
                todo="End it first, or give this one a folder of its own with --state.",
            ) from None
        yield
    finally:
        os.close(lock)
