"""The repository on a database of the test's own, of the newest Postgres and, for some, of the oldest too."""

import os
from collections.abc import Iterator

import pytest

from gleaner_repo import Database, DocumentRepository
from gleaner_stack.postgres import EmbeddedPostgres
from support.needs import postgres_15
from support.postgres import Databases, settings

ON_THE_OLDEST_TOO = {"test_plans", "test_moves", "test_retention", "test_deliveries", "test_groups"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The modules whose statements a server's version may change run on two, unless somebody chose one for all."""
    chosen = {"GLEANER_TEST_POSTGRES", "GLEANER_TEST_DATABASE_URL"} & os.environ.keys()
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in ON_THE_OLDEST_TOO and "databases" in metafunc.fixturenames and not chosen:
        servers = ["postgres", "oldest_postgres"]
        metafunc.parametrize("databases", servers, ids=["newest", "15"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def oldest_postgres() -> Iterator[Databases]:
    """A server of the oldest version that is supported; as `postgres`."""
    with EmbeddedPostgres(settings=settings(), bindir=postgres_15()) as server, Databases(server.url) as databases:
        yield databases


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The server that the test is for."""
    server: Databases = request.getfixturevalue(getattr(request, "param", "postgres"))
    return server


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of this test's own, on the server that the test is for."""
    url = databases.clone()
    yield url
    databases.drop(url)


@pytest.fixture
def documents(database: Database) -> DocumentRepository:
    return DocumentRepository(database)
