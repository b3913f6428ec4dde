"""The loop on a real database, which a proxy can take away from it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gleaner_repo import DatabaseSettings, JobRepository, open_database
from gleaner_runner import Leg, Runner, RunnerSettings, Slots
from support.legs import QUICK, Started
from support.proxy import Proxy


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).running() as running:
        yield running


@pytest.fixture
def started(proxy: Proxy) -> Started:
    """Starts a runner that reaches the database by the proxy; it is drained at the end of its block."""

    @asynccontextmanager
    async def start(
        leg: Leg, settings: RunnerSettings = QUICK, stop: asyncio.Event | None = None
    ) -> AsyncIterator[Runner]:
        reach = DatabaseSettings(database_url=proxy.url, database_pool_size=2, database_timeout_s=1)
        async with open_database(reach) as own, asyncio.TaskGroup() as group:
            runner = Runner(leg, JobRepository(own), Slots(settings.slots), settings)
            stop = stop or asyncio.Event()
            group.create_task(runner.run(stop))
            try:
                yield runner
            finally:
                stop.set()

    return start
