"""One real Postgres for each process of a test run, and a fresh, migrated database for every test that asks for one.

Which Postgres: GLEANER_TEST_DATABASE_URL names a running server (its role must be allowed to create databases); else
GLEANER_TEST_POSTGRES says `embedded` (the default), `docker` (image by GLEANER_TEST_POSTGRES_IMAGE) or the path of
a directory with another Postgres's programs, such as /usr/lib/postgresql/15/bin.
"""

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

from gleaner_stack.postgres import EmbeddedPostgres

T = TypeVar("T")

# Nothing here outlives the run, so nothing waits for a disk. GLEANER_TEST_FSYNC=1 for tests of durability and speed.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
ROOMY = {"max_connections": "300", "shared_buffers": "128MB"}


def settings() -> dict[str, str]:
    """Settings of the server that the run starts."""
    return ROOMY if os.environ.get("GLEANER_TEST_FSYNC") else ROOMY | CARELESS


@contextmanager
def server() -> Iterator[str]:
    """The address of the run's server, as somebody who may create databases; ended with the block if it is ours."""
    kind = os.environ.get("GLEANER_TEST_POSTGRES", "embedded")
    if url := os.environ.get("GLEANER_TEST_DATABASE_URL"):
        yield url
    elif kind == "docker":
        with _container() as url:
            yield url
    else:
        bindir = None if kind == "embedded" else Path(kind)
        with EmbeddedPostgres(settings=settings(), bindir=bindir) as embedded:
            yield embedded.url


@contextmanager
def _container() -> Iterator[str]:
    # Settled before the import, which reads them: no Ryuk image to pull, and ports of loopback even inside a container.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    os.environ.setdefault("TC_HOST", "127.0.0.1")
    from testcontainers.community.postgres import PostgresContainer

    image = os.environ.get("GLEANER_TEST_POSTGRES_IMAGE", "postgres:15")
    container = PostgresContainer(image, driver=None)
    container.ports = {"5432/tcp": ("127.0.0.1", None)}  # type: ignore[dict-item]  # docker-py takes it
    container.with_command(["postgres", *(f"-c{name}={value}" for name, value in settings().items())])
    with container:
        yield container.get_connection_url()


class Databases:
    """Databases of one server, cloned from a template that was migrated once.

    The work is done by an event loop in a thread of its own, so that neither fixtures nor tests depend on which loop
    pytest gives them, and a test need not wait for the database of the one before to be dropped.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._run = uuid.uuid4().hex[:8]
        self._made = 0
        self._template: str | None = None
        self._drops: list[Future[str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-databases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._template:
            self.drop(self._template)
        for drop in self._drops:
            drop.result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def clone(self, of: str | None = None) -> str:
        """The address of a new database with all migrations applied; with what is in `of`, if nobody uses that."""
        if self._template is None:
            self._template = self._migrated()
        url = self.create(template=_name(of or self._template))
        self._wait(self._set_role(url))
        return url

    def _migrated(self) -> str:
        from gleaner_repo.migrate import migrate  # late: tests without a database need nothing of it

        url = self.create(template=None)
        self._wait(migrate(url))
        self._wait(self._sql(f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS false"))  # not even autovacuum's
        return url

    def create(self, template: str | None) -> str:
        """The address of a new database; an empty one unless there is a template."""
        self._made += 1
        name = f"gleaner_test_{self._run}_{self._made}"
        self._wait(self._sql(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY file_copy"))
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> Future[str]:
        """Drop a database in the background, whoever is still connected to it."""
        drop = self._start(self._sql(f"DROP DATABASE {_name(url)} WITH (FORCE)"))
        self._drops.append(drop)
        return drop

    async def _set_role(self, url: str) -> None:
        """What the migration set for the role in the template, which CREATE DATABASE does not copy."""
        from gleaner_repo.migrate import set_role

        connection = await asyncpg.connect(url)
        try:
            await set_role(connection)
        finally:
            await connection.close()

    async def _sql(self, statement: str) -> str:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.execute(statement)
        finally:
            await connection.close()

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._start(work).result(60)


async def end_statements_after(seconds: float, url: str) -> None:
    """Connections that are made to this database from now on have their statements ended by the server by then."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET statement_timeout = "
            f"{round(seconds * 1000)}', current_user, current_database()); END $$"
        )
    finally:
        await connection.close()


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """The run's server: `.url` is its administrator's, `.clone()` a migrated database, `.create(None)` an empty one."""
    with server() as url, Databases(url) as databases:
        yield databases


@pytest.fixture
def database_url(postgres: Databases) -> Iterator[str]:
    """A migrated database of this test's own."""
    url = postgres.clone()
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_database_url(postgres: Databases) -> Iterator[str]:
    """A database of this test's own without any table."""
    url = postgres.create(template=None)
    yield url
    postgres.drop(url)
