"""The queue's and the log's figures as metrics."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from gleaner_api.figures import Figures
from gleaner_core.errors import Unavailable
from gleaner_repo import Backlog, DeliveryBacklog, Horizon, Lag, LegBacklog
from gleaner_telemetry import metrics
from support.measured import Measured

BACKLOG = Backlog(
    extraction=LegBacklog(claimable=7, waiting=2, running=3, suspects=1, oldest=timedelta(seconds=90)),
    refinement=LegBacklog(claimable=0, waiting=0, running=0, suspects=0, oldest=None),
    deliveries=DeliveryBacklog(due=4, waiting=5, sending=6, oldest=timedelta(seconds=3)),
)
NEVER = timedelta(hours=1)


def a_lag(application: str = "pg_dump", pid: int | None = 42, stalled: float = 8) -> Lag:
    writer = Horizon(timedelta(seconds=9), pid, "gleaner", application, "active")
    return Lag({"audit": timedelta(seconds=2)}, timedelta(seconds=30), timedelta(seconds=stalled), 1, writer)


@asynccontextmanager
async def running(
    lag: Lag, every: timedelta = NEVER, backlog: Callable[[], Awaitable[Backlog]] | None = None
) -> AsyncIterator[None]:
    """Figures that were read once."""
    read = asyncio.Event()

    async def a_backlog() -> Backlog:
        return BACKLOG

    async def read_lag() -> Lag:
        read.set()
        return lag

    stop = asyncio.Event()
    task = asyncio.create_task(Figures(backlog or a_backlog, read_lag, every).run(stop))
    await read.wait()
    yield
    stop.set()
    await task


async def test_the_backlog_is_told_by_leg_and_state(measured: Measured) -> None:
    async with running(a_lag()):
        depth = measured.of(metrics.QUEUE_DEPTH)
        assert depth["extraction", "claimable"] == 7
        assert depth["extraction", "waiting"] == 2
        assert depth["extraction", "running"] == 3
        assert depth["refinement", "claimable"] == 0
        assert measured.of(metrics.QUEUE_OLDEST_AGE) == {("extraction",): 90, ("refinement",): 0}
        assert measured.of(metrics.WEBHOOK_BACKLOG) == {("due",): 4, ("waiting",): 5, ("sending",): 6}
        assert measured.of(metrics.WEBHOOK_OLDEST_AGE) == {(): 3}


async def test_the_lag_is_told_by_group_and_the_culprit_by_name(
    measured: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(a_lag()):
            assert measured.of(metrics.EVENTS_LAG) == {("audit",): 2, ("tenants",): 30}
            assert measured.of(metrics.EVENTS_STALL) == {(): 8}
            assert measured.of(metrics.EVENTS_WRITER_AGE) == {("gleaner", "pg_dump", "active"): 9}
    assert [vars(record)["pid"] for record in caplog.records] == [42]


async def test_the_name_of_a_prepared_transaction_makes_no_series(measured: Measured) -> None:
    async with running(a_lag(application="b1c7-4711", pid=None)):
        assert list(measured.of(metrics.EVENTS_WRITER_AGE)) == [("gleaner", "(prepared transaction)", "active")]


async def test_a_database_that_does_not_answer_leaves_no_old_figures_behind(measured: Measured) -> None:
    answers = iter([BACKLOG])
    silent = asyncio.Event()

    async def once() -> Backlog:
        try:
            return next(answers)
        except StopIteration:
            silent.set()
            raise Unavailable from None

    async with running(a_lag(), timedelta(milliseconds=50), once):
        assert measured.of(metrics.QUEUE_DEPTH)
        await silent.wait()
        async with asyncio.timeout(10):
            while measured.of(metrics.QUEUE_DEPTH):
                await asyncio.sleep(0.01)
        assert measured.of(metrics.EVENTS_STALL) == {}
