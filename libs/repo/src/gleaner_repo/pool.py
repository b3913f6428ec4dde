"""The connection pool, and the one place where errors of the driver become ours."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, Protocol, TypeVar

import asyncpg

from gleaner_core.errors import Unavailable
from gleaner_repo import sql
from gleaner_repo.connections import Connection, Connections
from gleaner_repo.migrations import newest_migration
from gleaner_repo.pooler import FORGOTTEN, forgets_statements
from gleaner_repo.settings import DatabaseSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

RACES = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""The server rolled the statement back because of another: the same statement may be sent again."""

FAILURES = (Unavailable, asyncpg.PostgresError)
"""What a statement may raise, whatever ails the database: no answer, or a refusal. A loop that must not end
catches both."""

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
    asyncpg.PostgresSystemError,  # its disk
    asyncpg.InternalServerError,
    asyncpg.UndefinedTableError,  # none is there yet, or all are being restored
    asyncpg.InsufficientPrivilegeError,
    *FORGOTTEN,
)
"""No answer: whether the statement was carried out is not known."""

_RACE_TRIES = 6
_CONNECT_PATIENCE_S = 5.0
_CLOSE_PATIENCE_S = 2.0
_READY = sql.read("ready")

READ_ONLY = "the database takes no writes: a standby, or a primary that was one until a failover"
NOT_MIGRATED = "migrations are missing: run gleaner-migrate"
OLD_ERA = "the log is ahead of this cluster, as after a restore: run gleaner-migrate"
_SHUT = frozenset({NOT_MIGRATED, OLD_ERA})  # what is written then is lost to the readers of the log, if it works at all
FORGETFUL_POOLER = (
    "a pooler in transaction mode that loses prepared statements stands before the database:"
    " set GLEANER_DATABASE_POOLER=true and start again"
)


class Watch(Protocol):
    """Who wants to know how the database fares. Neither waits nor raises."""

    def opened(self, connections: Callable[[], tuple[int, int]], most: int) -> None:
        """The pool is there; `connections` tells, to any thread, how many are used and idle."""

    def waiting(self) -> AbstractContextManager[None]:
        """Around the wait for a connection."""

    def asking(self, name: str) -> AbstractContextManager[None]:
        """Around a statement of that name."""


class _Nobody:
    """Does not want to know."""

    def opened(self, connections: Callable[[], tuple[int, int]], most: int) -> None:
        pass

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def asking(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


NOBODY: Watch = _Nobody()


class Database:
    """Statements against Postgres, each a transaction by itself.

    Raises Unavailable when the database does not answer, or must not be worked with before gleaner-migrate ran; what it
    says no to passes as the driver's error.
    """

    def __init__(
        self,
        pool: Connections,
        timeout_s: float,
        *,
        forgetful: bool = False,
        watch: Watch = NOBODY,
    ) -> None:
        self._pool = pool
        self._watch = watch
        self._timeout_s = timeout_s
        self._forgetful = forgetful
        self._trouble: str | None = None

    @property
    def pool(self) -> Connections:
        """The connections, for what needs one of its own."""
        return self._pool

    async def fetch(self, statement: str, *arguments: Any, within: float | None = None) -> list[asyncpg.Record]:
        """The rows of a statement; `within` so many seconds, if it must be sooner than the settings say."""
        return await self._answered(
            statement, lambda connection, left: connection.fetch(statement, *arguments, timeout=left), within
        )

    async def fetchrow(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def execute(self, statement: str, *arguments: Any) -> str:
        """The command tag of a statement."""
        return await self._answered(
            statement, lambda connection, left: connection.execute(statement, *arguments, timeout=left)
        )

    async def ready(self) -> bool:
        """Whether the database answers, can be written to, and was migrated as far as this code needs.

        Why it is not is logged, once.
        """
        self._note(None if self._forgetful else await self._tried(_READY, _find_trouble))
        return self._trouble is None

    def _note(self, trouble: str | None) -> None:
        trouble = FORGETFUL_POOLER if self._forgetful else trouble
        if trouble and trouble != self._trouble:
            log.error("not ready: %s", trouble)
        self._trouble = trouble

    async def _answered(
        self, statement: str, ask: Callable[[Any, float], Awaitable[T]], within: float | None = None
    ) -> T:
        if self._trouble in _SHUT:
            self._note(await self._tried(_READY, _find_trouble, within))
            if self._trouble in _SHUT:
                raise Unavailable
        return await self._tried(statement, ask, within)

    async def _tried(self, statement: str, ask: Callable[[Any, float], Awaitable[T]], within: float | None = None) -> T:
        """What the database answers in time. A statement that was rolled back because of others is sent again."""
        give_up = asyncio.get_running_loop().time() + min(within or self._timeout_s, self._timeout_s)
        for attempt in range(_RACE_TRIES):
            try:
                return await self._asked(sql.name_of(statement), ask, give_up)
            except RACES:
                if attempt == _RACE_TRIES - 1:
                    raise Unavailable from None
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
            except SILENCE as error:
                # The text may hold host names and values: the class is enough to tell what happened.
                log.warning("the database did not answer: %s", type(error).__name__)
                self._forgetful = self._forgetful or isinstance(error, FORGOTTEN)
                raise Unavailable from error
        raise AssertionError

    async def _asked(self, name: str, ask: Callable[[Any, float], Awaitable[T]], give_up: float) -> T:
        """One try on one connection, which is given up for lost if it does not answer in time.

        The driver would wait for the answer to its cancel request, on the same dead connection and for as long again.
        """
        with self._watch.waiting():
            connection = await self._pool.take(_left(give_up))
        try:
            if not connection.known:  # it may lead to another database than the last one did
                self._note(await _find_trouble(connection, _left(give_up)))
                connection.known = self._trouble not in _SHUT
                if not connection.known and ask is not _find_trouble:
                    raise Unavailable
            with self._watch.asking(name):
                answer = await ask(connection, _left(give_up))
        except asyncpg.PostgresError as error:  # an answer, too
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                self._pool.expire()  # who connects anew finds the primary
            self._pool.give(connection)
            raise
        except TimeoutError:
            connection.terminate()
            self._pool.expire()  # the others may be as dead
            self._pool.give(connection)
            raise
        except BaseException:
            await self._pool.leave(connection)
            raise
        self._pool.give(connection)
        return answer


async def _find_trouble(connection: Connection, left: float) -> str | None:
    """Why what the connection leads to cannot be worked with, if so."""
    try:
        row = await connection.fetchrow(_READY, newest_migration(), timeout=left)
    except asyncpg.UndefinedTableError:
        return NOT_MIGRATED
    assert row is not None
    if not row["writable"]:
        return READ_ONLY
    if not row["migrated"]:
        return NOT_MIGRATED
    return None if row["era_fits"] else OLD_ERA


def _left(give_up: float) -> float:
    return max(give_up - asyncio.get_running_loop().time(), 0.001)


@asynccontextmanager
async def open_database(
    settings: DatabaseSettings, *, name: str = "gleaner", watch: Watch = NOBODY
) -> AsyncIterator[Database]:
    """A pool of connections, closed at the end.

    Waits up to `database_start_timeout_s` for a database that does not answer yet, then raises Unavailable.
    """
    pool, forgetful = await _connected(settings, name)
    watch.opened(pool.count, pool.most)
    try:
        yield Database(pool, settings.database_timeout_s, forgetful=forgetful, watch=watch)
    finally:
        await pool.close(_CLOSE_PATIENCE_S)


async def _connected(settings: DatabaseSettings, name: str) -> tuple[Connections, bool]:
    pool = Connections(lambda: _connect(settings, name), settings.database_pool_size)
    give_up = asyncio.get_running_loop().time() + settings.database_start_timeout_s
    delay = 0.1
    while True:
        try:
            forgetful = await forgets_statements(settings)
            pool.give(await pool.take(_CONNECT_PATIENCE_S))
            return pool, forgetful
        except SILENCE as error:
            if asyncio.get_running_loop().time() + delay > give_up:
                raise Unavailable("the database at GLEANER_DATABASE_URL") from error
            log.warning("waiting for the database: %s", type(error).__name__)
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, 5)


async def _connect(settings: DatabaseSettings, name: str) -> Connection:
    return await asyncpg.connect(
        settings.database_url,
        connection_class=Connection,
        timeout=min(settings.database_timeout_s, _CONNECT_PATIENCE_S),
        statement_cache_size=0 if settings.database_pooler else 200,
        server_settings={"application_name": name},
    )
