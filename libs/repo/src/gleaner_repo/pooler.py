"""Whether a pooler stands before the database that loses prepared statements, though nobody said so.

PgBouncer in transaction mode gives each transaction whichever server connection is free: what was prepared on one is
unknown to the next (before 1.21, or without max_prepared_statements). It shows only under load, and then at random.
"""

import asyncpg

from gleaner_repo.settings import DatabaseSettings

FORGOTTEN = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What the server says of statements that were prepared on another connection. It carried out nothing."""

_PATIENCE_S = 2.0
_MY_PID = "SELECT pg_backend_pid()"


async def forgets_statements(settings: DatabaseSettings) -> bool:
    """Whether statements prepared on this way to the database are lost, and are going to be prepared.

    Costs a connection where no pooler is, which would make up the server's process id.
    """
    if settings.database_pooler:
        return False
    preparing = await _connect(settings)
    try:
        # Prepared by its first use, and then known to the driver.
        if await preparing.fetchval(_MY_PID) == preparing.get_server_pid():
            return False
        return not await _survives_another(preparing, settings)
    except FORGOTTEN:  # somebody else's statement has the name already
        return True
    finally:
        preparing.terminate()


async def _survives_another(preparing: "asyncpg.Connection[asyncpg.Record]", settings: DatabaseSettings) -> bool:
    """Whether the statement is known even while somebody else has the server connection it was prepared on."""
    other = await _connect(settings)
    try:
        async with other.transaction():
            await other.execute("SELECT")
            await preparing.fetchval(_MY_PID)
    except FORGOTTEN:
        return False
    except TimeoutError:  # there is one server connection for all, and the other has it: nothing can be mixed up
        return True
    finally:
        other.terminate()
    return True


async def _connect(settings: DatabaseSettings) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(settings.database_url, timeout=_PATIENCE_S, command_timeout=_PATIENCE_S)
