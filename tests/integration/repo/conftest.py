"""The repository on a database of the test's own, of the newest Postgres and, for some, of the oldest too."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from gleaner_repo import Database, DatabaseSettings, DocumentRepository, JobRepository, open_database
from gleaner_stack.postgres import EmbeddedPostgres
from support.jobs import Events
from support.needs import postgres_15
from support.postgres import Databases, settings

ON_THE_OLDEST_TOO = {"test_plans", "test_moves", "test_retention", "test_deliveries", "test_groups"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The modules whose statements a server's version may change run on two, unless somebody chose one for all."""
    chosen = {"GLEANER_TEST_POSTGRES", "GLEANER_TEST_DATABASE_URL"} & os.environ.keys()
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in ON_THE_OLDEST_TOO and "database_url" in metafunc.fixturenames and not chosen:
        metafunc.parametrize("database_url", ["postgres", "oldest_postgres"], ids=["newest", "15"], indirect=True)


@pytest.fixture(scope="session")
def oldest_postgres() -> Iterator[Databases]:
    """A server of the oldest version that is supported; as `postgres`."""
    with EmbeddedPostgres(settings=settings(), bindir=postgres_15()) as server, Databases(server.url) as databases:
        yield databases


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of this test's own, on the server that the test is for."""
    databases: Databases = request.getfixturevalue(getattr(request, "param", "postgres"))
    url = databases.clone()
    yield url
    databases.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=16)) as opened:
        yield opened


@pytest.fixture
def jobs(database: Database) -> JobRepository:
    return JobRepository(database)


@pytest.fixture
def documents(database: Database) -> DocumentRepository:
    return DocumentRepository(database)


@pytest.fixture
def events(jobs: JobRepository, database: Database) -> Events:
    return Events(jobs, database)
