"""Metrics of what a process stands on: its database, its child processes, its event loop. They know those by shape, for
the libraries that have them know no telemetry.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from opentelemetry import metrics as otel
from opentelemetry import trace

from gleaner_telemetry import names
from gleaner_telemetry.metrics import (
    CHILD_QUESTIONS,
    CHILD_RESTARTS,
    DB_CONNECTIONS,
    DB_CONNECTIONS_MAX,
    DB_DURATION,
    DB_PENDING,
    DB_WAIT,
    LOOP_LAG,
)
from gleaner_telemetry.spans import span

_tracer = trace.get_tracer("gleaner.repo")
_LOOK_EVERY_S = 0.5
_UNTIMED = nullcontext()


def measuring() -> bool:
    """Whether metrics go anywhere."""
    sdk = sys.modules.get("opentelemetry.sdk.metrics")
    return sdk is not None and isinstance(otel.get_meter_provider(), sdk.MeterProvider)


class DatabaseMetrics:
    """How a pool of connections and its statements fare: `gleaner_repo`'s Watch. One a process. With `spans` each
    statement within a span that is recorded has one of its own.

    Made after it is settled whether metrics go anywhere: where they do not, it costs nothing.
    """

    def __init__(self, *, spans: bool = False) -> None:
        self._on = measuring()
        self._spans = spans
        self._pending = 0
        self._waits = DB_WAIT.make()
        self._durations = DB_DURATION.make()

    def opened(self, connections: Callable[[], tuple[int, int]], most: int) -> None:
        """The pool is there: `connections` tells how many are used and idle."""

        def states() -> Iterator[tuple[float, Mapping[str, str]]]:
            used, idle = connections()
            yield used, {names.DB_STATE: "used"}
            yield idle, {names.DB_STATE: "idle"}

        DB_CONNECTIONS.observed(states)
        DB_CONNECTIONS_MAX.observed(lambda: [(most, {})])
        DB_PENDING.observed(lambda: [(self._pending, {})])

    def waiting(self) -> AbstractContextManager[None]:
        """Around the wait for a connection. A statement that gets none has failed."""
        return self._waiting() if self._on else _UNTIMED

    def asking(self, name: str) -> AbstractContextManager[None]:
        """Around a statement. A span tells its name; the text is in the code, and values are told nowhere."""
        return self._asking(name) if self._on or self._spans else _UNTIMED

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        began = time.perf_counter()
        self._pending += 1
        try:
            yield
        except BaseException as error:
            self._failed(error, time.perf_counter() - began)
            raise
        finally:
            self._pending -= 1
            self._waits.record(time.perf_counter() - began)

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            with self._span(name) if self._spans and trace.get_current_span().is_recording() else _UNTIMED:
                yield
        except BaseException as error:
            self._failed(error, time.perf_counter() - began)
            raise
        self._durations.record(time.perf_counter() - began, {names.DB_SYSTEM: "postgresql"})

    def _span(self, name: str) -> AbstractContextManager[trace.Span]:
        attributes = {names.DB_SYSTEM: "postgresql", names.DB_SUMMARY: name}
        return span(_tracer, name, kind=trace.SpanKind.CLIENT, attributes=attributes)

    def _failed(self, error: BaseException, seconds: float) -> None:
        self._durations.record(seconds, {names.DB_SYSTEM: "postgresql", names.ERROR_TYPE: type(error).__name__})


class Children(Protocol):
    """A pool of child processes."""

    @property
    def restarts(self) -> int:
        """How many were replaced so far."""

    @property
    def busy(self) -> int:
        """How many answer now."""

    @property
    def waiting(self) -> int:
        """How many questions wait for a child."""


def observe_children(pools: Mapping[str, Children]) -> None:
    """How the pools fare is exported from here on, by their work. Once a process."""

    def questions() -> Iterator[tuple[float, Mapping[str, str]]]:
        for work, pool in pools.items():
            yield pool.busy, {names.CHILD_WORK: work, names.CHILD_STATE: "answered"}
            yield pool.waiting, {names.CHILD_WORK: work, names.CHILD_STATE: "waiting"}

    CHILD_QUESTIONS.observed(questions)
    CHILD_RESTARTS.observed(lambda: [(pool.restarts, {names.CHILD_WORK: work}) for work, pool in pools.items()])


async def watch_event_loop() -> None:
    """Measures how late the loop is, until it is cancelled."""
    lag = LOOP_LAG.make()
    while True:
        due = time.perf_counter() + _LOOK_EVERY_S
        await asyncio.sleep(_LOOK_EVERY_S)
        lag.record(max(time.perf_counter() - due, 0))
