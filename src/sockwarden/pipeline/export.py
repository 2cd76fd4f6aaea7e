"""What a watch exports of its counts, into a file and on a port, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sockwarden.pipeline.metrics import Metric, MetricsServer, render, write_file
from sockwarden.pipeline.watch import Watch

_SECONDS = 10.0
"""Between two writes of the file; Prometheus asks every 15 to 60 s."""


class Exporter:
    """Exports until it is closed. file, listen: where to, empty for not at all. Raises InputError where the port cannot
    be had; a file that cannot be written is told once, and tried again.
    """

    def __init__(self, file: str, listen: str, watch: Watch, tell: Callable[[str], None]) -> None:
        self._file = Path(file) if file else None
        self._watch = watch
        self._tell = tell
        self._due = float("-inf")
        self._failing = False
        self._text = render(metrics_of(watch))
        self._server = MetricsServer(listen, lambda: self._text) if listen else None

    def tick(self, now: float) -> None:
        """Call it some times a second. now: time.monotonic."""
        if not (self._file or self._server) or now < self._due:
            return
        self._due = now + (_SECONDS if self._file and not self._server else 1)
        self._text = render(metrics_of(self._watch))
        if self._file:
            self._write(self._file)

    def close(self) -> None:
        """Takes the port down. The file stays: its age tells that nobody writes it."""
        if self._server:
            self._server.close()

    def _write(self, file: Path) -> None:
        try:
            write_file(file, self._text)
        except OSError as error:
            if not self._failing:
                self._tell(f"{file}: metrics cannot be written\n{error.strerror or error}; tried again every 10 s.")
            self._failing = True
        else:
            self._failing = False


def metrics_of(watch: Watch) -> list[Metric]:
    """The counts of a watch."""
    delivery, losses, source = watch.delivery, watch.losses, watch.source
    counts, keeper = delivery.counts, delivery.keeper

    def counter(name: str, text: str, *samples: tuple[dict[str, str], float]) -> Metric:
        return Metric(f"sockwarden_{name}_total", "counter", text, samples)

    def gauge(name: str, text: str, value: float, labels: dict[str, str] | None = None) -> Metric:
        return Metric(f"sockwarden_{name}", "gauge", text, ((labels or {}, value),))

    return [
        counter("accesses", "Accesses to runtime sockets that were seen.", ({}, counts.accesses)),
        counter("alerts", "Alerts raised.", ({}, counts.alerts)),
        counter(
            "lost",
            "Events that the kernel could not deliver, by where.",
            *(({"where": place}, count) for place, count in losses.places.items()),
            ({"where": "process-events"}, source.processes.lost),
        ),
        counter("folded", "Accesses of floods, counted and not told one by one.", ({}, counts.folded)),
        counter("incomplete", "Events of the kernel with records missing.", ({}, losses.incomplete)),
        counter("rejected", "Messages of the kernel that could not be read.", ({}, losses.rejected)),
        counter("unread", "Programs that had ended before their argv could be read.", ({}, watch.unread)),
        counter("unkept", "Accesses and alerts that the store did not take.", ({}, keeper.dropped)),
        counter("undelivered", "Alerts that a sink did not take.", ({}, delivery.undelivered)),
        gauge("sensor_info", "By what is watched.", 1, {"sensor": source.name, "hook": source.hook}),
        gauge("sockets", "Runtime sockets under watch.", len(watch.inventory.live())),
        gauge("store_waiting", "Accesses and alerts that wait for the store.", keeper.waiting),
    ]
