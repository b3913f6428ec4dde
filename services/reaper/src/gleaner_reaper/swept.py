"""What a sweep tells: a line of its report, an event of its span, and the figures of the last one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from opentelemetry import trace

from gleaner_telemetry import failed, metrics, names, span

_tracer = trace.get_tracer("gleaner.reaper")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one class of orphans came to: a line of the report."""

    orphans: str
    found: int
    rescued: int = 0
    failed: int = 0
    offered: int = 0
    expired: int = 0
    removed: int = 0

    def counts(self) -> dict[str, int]:
        """How many there were, and what became of them."""
        return {what: count for what, count in asdict(self).items() if what != "orphans"}


class LastSweep:
    """The last sweep's figures, as metrics. Once a process."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._ended: float | None = None
        metrics.REAPER_ORPHANS.observed(self._observe_counts)
        metrics.REAPER_SWEPT.observed(self._observe_end)

    @contextmanager
    def recorded(self) -> Iterator["Record"]:
        """A span over a sweep. Its end is written down if the whole of it was done."""
        with span(_tracer, "sweep") as made:
            record = Record(made, self._counts)
            yield record
            if record.whole:
                self._ended = time.time()

    def _observe_counts(self) -> Iterator[tuple[float, dict[str, str]]]:
        for (orphans, what), count in list(self._counts.items()):
            yield count, {names.ORPHANS: orphans, names.OUTCOME: what}

    def _observe_end(self) -> Iterator[tuple[float, dict[str, str]]]:
        if self._ended is not None:
            yield self._ended, {}


class Record:
    """A sweep under way."""

    def __init__(self, made: trace.Span, counts: dict[tuple[str, str], int]) -> None:
        self.whole = True
        self._span = made
        self._counts = counts

    def add(self, swept: Swept) -> None:
        """One class was swept."""
        self._span.add_event(swept.orphans, swept.counts())
        self._counts.update({(swept.orphans, what): count for what, count in swept.counts().items()})

    def failed(self, error: Exception) -> None:
        """A part of the sweep could not be done."""
        self.whole = False
        failed(self._span, type(error).__name__)
