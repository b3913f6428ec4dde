"""The parts on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from gleaner_repo import Database, DatabaseSettings, JobRepository, open_database
from support.jobs import Events


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own view, which no outage that it makes for others disturbs."""
    async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=16)) as opened:
        yield opened


@pytest.fixture
def jobs(database: Database) -> JobRepository:
    return JobRepository(database)


@pytest.fixture
def events(jobs: JobRepository, database: Database) -> Events:
    return Events(jobs, database)
