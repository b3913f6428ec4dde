"""Events written to the log without the moves that make them: many, or by transactions that take their time."""

import asyncio
import random
from collections import Counter
from uuid import UUID

import asyncpg

from gleaner_repo import Database

_WRITE = """
INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt)
SELECT (SELECT era FROM log_era), gen_random_uuid(), gen_random_uuid(), 1, $2, $3, 1, 1, 1
FROM generate_series(1, $1)
RETURNING event_id
"""
_HELD_BACK = "SELECT WHERE pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot())"


async def write_events(database: Database, count: int, *, tenant_id: str = "default", number: int = 2) -> list[UUID]:
    """Writes events of new jobs in one statement; their ids in the log's order, once readers get them."""
    ids = [row["event_id"] for row in await database.fetch(_WRITE, count, tenant_id, number)]
    await readable(database)
    return ids


async def readable(database: Database) -> None:
    """Returns when no transaction of the server, autovacuum's or another test's, holds the log back any more."""
    async with asyncio.timeout(30):
        while await database.fetch(_HELD_BACK):
            await asyncio.sleep(0.005)


async def write_slowly(url: str, transactions: int, longest: float) -> list[UUID]:
    """Writes two events in each of some transactions, which stay open for a while around each of them."""
    connection = await asyncpg.connect(url)
    ids = []
    try:
        for _ in range(transactions):
            async with connection.transaction():
                for _ in range(2):
                    ids += [row["event_id"] for row in await connection.fetch(_WRITE, 1, "default", 2)]
                    await asyncio.sleep(random.uniform(0, longest))
    finally:
        await connection.close()
    return ids


async def in_sink(database: Database) -> Counter[UUID]:
    """How often each event came to the sink."""
    return Counter(row["event_id"] for row in await database.fetch("SELECT event_id FROM sink"))
