"""The connection pool, and the one place where errors of the driver become ours."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from gleaner_core.errors import Unavailable
from gleaner_repo import sql
from gleaner_repo.migrations import newest_migration
from gleaner_repo.settings import DatabaseSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

RACES = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""The server rolled the statement back because of another: the same statement may be sent again."""

SILENCE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, failover, statement_timeout
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary is another by now
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ProtocolViolationError,  # PgBouncer's word for a server that is gone
)
"""No answer: whether the statement was carried out is not known."""

_RACE_TRIES = 6
_READY = sql.read("ready")


class _Connection(asyncpg.Connection):
    """A connection whose return to the pool costs no round trip: our statements leave no session state behind."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Statements against Postgres, each a transaction by itself.

    Raises Unavailable when the database does not answer; what it says no to passes as the driver's error.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The driver's pool, for what needs a connection of its own."""
        return self._pool

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of a statement."""

        async def once() -> list[asyncpg.Record]:
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                return await connection.fetch(statement, *arguments, timeout=self._timeout_s)

        return await _answered(once)

    async def fetchrow(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def execute(self, statement: str, *arguments: Any) -> str:
        """The command tag of a statement."""

        async def once() -> str:
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                return await connection.execute(statement, *arguments, timeout=self._timeout_s)

        return await _answered(once)

    async def ready(self) -> bool:
        """Whether the database answers, can be written to, and was migrated as far as this code needs."""
        try:
            row = await self.fetchrow(_READY, newest_migration())
        except asyncpg.UndefinedTableError:
            return False
        return row is not None and row["is_primary"] and row["migrated"] and row["era_fits"]


async def _answered(once: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(_RACE_TRIES):
        try:
            return await once()
        except RACES:
            if attempt == _RACE_TRIES - 1:
                raise Unavailable from None
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        except SILENCE as error:
            # The text may hold host names and values: the class is enough to tell what happened.
            log.warning("the database did not answer: %s", type(error).__name__)
            raise Unavailable from error
    raise AssertionError


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, name: str = "gleaner") -> AsyncIterator[Database]:
    """A pool of connections, closed at the end.

    Waits up to `database_start_timeout_s` for a database that does not answer yet, then raises Unavailable.
    """
    pool = await _connected(settings, name)
    try:
        yield Database(pool, settings.database_timeout_s)
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=5)
        except TimeoutError:
            pool.terminate()


async def _connected(settings: DatabaseSettings, name: str) -> "asyncpg.Pool[asyncpg.Record]":
    give_up = asyncio.get_running_loop().time() + settings.database_start_timeout_s
    delay = 0.1
    while True:
        try:
            pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
                settings.database_url,
                min_size=1,
                max_size=settings.database_pool_size,
                connection_class=_Connection,
                timeout=min(settings.database_timeout_s, 5),
                statement_cache_size=0 if settings.database_pooler else 200,
                max_inactive_connection_lifetime=60,
                server_settings={"application_name": name},
            )
        except SILENCE as error:
            if asyncio.get_running_loop().time() + delay > give_up:
                raise Unavailable("the database at GLEANER_DATABASE_URL") from error
            log.warning("waiting for the database: %s", type(error).__name__)
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, 5)
        else:
            return pool
