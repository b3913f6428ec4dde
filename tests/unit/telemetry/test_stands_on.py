"""Metrics of what a process stands on."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest

from gleaner_telemetry import DatabaseMetrics, metrics, observe_children, watch_event_loop
from support.measured import Measured


@dataclass
class Pool:
    restarts: int
    busy: int
    waiting: int


def test_a_pool_tells_its_connections_and_who_waits(measured: Measured) -> None:
    database = DatabaseMetrics()
    database.opened(lambda: (3, 1), 8)

    with database.waiting():
        assert measured.of(metrics.DB_PENDING) == {(): 1}

    assert measured.of(metrics.DB_PENDING) == {(): 0}
    assert measured.of(metrics.DB_CONNECTIONS) == {("used",): 3, ("idle",): 1}
    assert measured.of(metrics.DB_CONNECTIONS_MAX) == {(): 8}
    assert measured.of(metrics.DB_WAIT)[()][0] == 1


def test_a_statement_that_fails_is_told_by_the_class_of_its_error(measured: Measured) -> None:
    database = DatabaseMetrics()
    with database.asking("a_statement"):
        pass
    with suppress(TimeoutError), database.asking("a_statement"):
        raise TimeoutError

    counts = {labels: count for labels, (count, _) in measured.of(metrics.DB_DURATION).items()}
    assert counts == {("postgresql", ""): 1, ("postgresql", "TimeoutError"): 1}


def test_a_statement_that_gets_no_connection_has_failed(measured: Measured) -> None:
    database = DatabaseMetrics()
    with suppress(ConnectionRefusedError), database.waiting():
        raise ConnectionRefusedError

    assert list(measured.of(metrics.DB_DURATION)) == [("postgresql", "ConnectionRefusedError")]
    assert measured.of(metrics.DB_WAIT)[()][0] == 1


def test_children_are_told_by_their_work(measured: Measured) -> None:
    observe_children({"read": Pool(restarts=2, busy=1, waiting=4), "extract": Pool(0, 0, 0)})

    assert measured.of(metrics.CHILD_RESTARTS) == {("read",): 2, ("extract",): 0}
    assert measured.of(metrics.CHILD_QUESTIONS)["read", "waiting"] == 4


async def test_a_loop_that_is_blocked_is_late_by_as_much(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gleaner_telemetry.stands_on._LOOK_EVERY_S", 0.05)
    watching = asyncio.create_task(watch_event_loop())
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - what is to be seen
    async with asyncio.timeout(10):
        while not measured.of(metrics.LOOP_LAG):
            await asyncio.sleep(0.01)
    watching.cancel()

    _, lag = measured.of(metrics.LOOP_LAG)[()]
    assert lag > 0.2
