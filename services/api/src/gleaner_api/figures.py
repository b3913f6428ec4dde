"""The queue's and the log's figures as metrics: read now and then, told whenever somebody exports.

Every api tells the same ones: join them by `max`, never by `sum`. What was not read for long is not told any more.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from gleaner_core.errors import Unavailable
from gleaner_repo import Backlog, Lag
from gleaner_telemetry import metrics, names

_log = logging.getLogger(__name__)

_STALE = 3  # pauses
_STALLED_S = 5.0  # from when on the log says who holds it up
_APPLICATIONS = 50  # names of others' applications, which may hold anything, that get a series of their own
Told = Iterator[tuple[float, Mapping[str, str]]]


class Figures:
    """Reads the figures every `every`, while `run` runs."""

    def __init__(
        self, backlog: Callable[[], Awaitable[Backlog]], lag: Callable[[], Awaitable[Lag]], every: timedelta
    ) -> None:
        self._read_backlog = backlog
        self._read_lag = lag
        self._every = every.total_seconds()
        self._applications: set[str] = set()
        self._latest: tuple[float, Backlog, Lag] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Reads, until `stop` is set."""
        self._observe()
        while not stop.is_set():
            with suppress(Unavailable):
                self._latest = (time.monotonic(), await self._read_backlog(), await self._read_lag())
                self._tell_who_stalls(self._latest[2])
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every)

    def _observe(self) -> None:
        metrics.QUEUE_DEPTH.observed(lambda: self._of_backlog(_depth))
        metrics.QUEUE_OLDEST_AGE.observed(lambda: self._of_backlog(_oldest))
        metrics.QUEUE_SUSPECTS.observed(lambda: self._of_backlog(_suspects))
        metrics.WEBHOOK_BACKLOG.observed(lambda: self._of_backlog(_deliveries))
        metrics.WEBHOOK_OLDEST_AGE.observed(lambda: self._of_backlog(_oldest_delivery))
        metrics.EVENTS_LAG.observed(lambda: self._of_lag(_lag))
        metrics.EVENTS_STALL.observed(lambda: self._of_lag(_stall))
        metrics.EVENTS_PARKED.observed(lambda: self._of_lag(_parked))
        metrics.EVENTS_WRITER_AGE.observed(lambda: self._of_lag(self._writer))

    def _of_backlog(self, told: Callable[[Backlog], Told]) -> Told:
        if (latest := self._fresh()) is not None:
            yield from told(latest[1])

    def _of_lag(self, told: Callable[[Lag], Told]) -> Told:
        if (latest := self._fresh()) is not None:
            yield from told(latest[2])

    def _fresh(self) -> tuple[float, Backlog, Lag] | None:
        latest = self._latest
        return latest if latest and time.monotonic() - latest[0] < _STALE * self._every else None

    def _writer(self, lag: Lag) -> Told:
        writer = lag.writer
        if writer is None or writer.age is None:
            return
        yield (
            writer.age.total_seconds(),
            {
                names.DATABASE: writer.database or "",
                names.APPLICATION: self._bounded(writer.application or "") if writer.pid else "(prepared transaction)",
                names.SESSION_STATE: writer.state or "",
            },
        )

    def _bounded(self, application: str) -> str:
        if len(self._applications) < _APPLICATIONS:
            self._applications.add(application)
        return application if application in self._applications else "(another)"

    def _tell_who_stalls(self, lag: Lag) -> None:
        writer = lag.writer
        if writer and lag.stalled.total_seconds() > _STALLED_S:
            facts = {"pid": writer.pid, "database": writer.database, "application": writer.application}
            _log.warning(
                "a writer that is open for long holds up the log",
                extra=facts | {"state": writer.state, "stalled_s": round(lag.stalled.total_seconds(), 1)},
            )


def _depth(backlog: Backlog) -> Told:
    for name, leg in (("extraction", backlog.extraction), ("refinement", backlog.refinement)):
        for state, count in (("claimable", leg.claimable), ("waiting", leg.waiting), ("running", leg.running)):
            yield count, {names.LEG: name, names.QUEUE_STATE: state}


def _oldest(backlog: Backlog) -> Told:
    yield _seconds(backlog.extraction.oldest), {names.LEG: "extraction"}
    yield _seconds(backlog.refinement.oldest), {names.LEG: "refinement"}


def _suspects(backlog: Backlog) -> Told:
    yield backlog.extraction.suspects, {names.LEG: "extraction"}
    yield backlog.refinement.suspects, {names.LEG: "refinement"}


def _deliveries(backlog: Backlog) -> Told:
    of = backlog.deliveries
    for state, count in (("due", of.due), ("waiting", of.waiting), ("sending", of.sending)):
        yield count, {names.QUEUE_STATE: state}


def _oldest_delivery(backlog: Backlog) -> Told:
    yield _seconds(backlog.deliveries.oldest), {}


def _lag(lag: Lag) -> Told:
    for name, age in lag.groups.items():
        yield age.total_seconds(), {names.GROUP: name}
    if lag.tenants is not None:
        yield lag.tenants.total_seconds(), {names.GROUP: "tenants"}


def _stall(lag: Lag) -> Told:
    yield lag.stalled.total_seconds(), {}


def _parked(lag: Lag) -> Told:
    yield lag.parked, {}


def _seconds(age: timedelta | None) -> float:
    return age.total_seconds() if age else 0.0
