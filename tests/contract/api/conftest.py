from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio

from gleaner_repo import DatabaseSettings, JobRepository, open_database
from support.api import API, Api
from support.postgres import Databases
from support.service_process import running

SETTINGS = {
    "GLEANER_WORKER_ADDRESSES": "",
    "GLEANER_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "GLEANER_CHECK_TIMEOUT_S": "60",  # a look that takes too long lets a broken document in
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(postgres: Databases) -> AsyncIterator[tuple[str, str]]:
    """Address of an api process and of its database, the module's own."""
    url = postgres.clone()
    async with running(API, SETTINGS, GLEANER_DATABASE_URL=url) as process:
        await process.logged("ready")
        yield process.address, url
    postgres.drop(url)


@pytest.fixture
async def api(served: tuple[str, str]) -> AsyncIterator[Api]:
    address, url = served
    async with (
        open_database(DatabaseSettings(database_url=url, database_pool_size=2)) as database,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Api(channel, JobRepository(database))
