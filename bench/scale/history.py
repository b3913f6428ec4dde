"""What a suite would have kept of so many jobs that are over: rows as the moves write them, in the order of time.

One job in ten had its boxes refined (two outcomes, five events), two of a hundred failed, one was cancelled, of one the
refinement failed, and of one of a hundred somebody was told. Request keys and digests of documents are random, as those
of the client are; bodies are small, for no statement but the one that wants a body reads it.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SPAN = timedelta(days=29)
CHUNK = 20_000
TABLES = ("jobs", "outcomes", "events", "documents", "job_documents", "deliveries")

_ID = """
CREATE OR REPLACE FUNCTION bench_uuid7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT overlay(
        replace(gen_random_uuid()::text, '-', '')
        PLACING lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' FROM 1 FOR 13
    )::uuid
$$
"""

# Kinds of jobs by the last two digits of their number: f failed, c cancelled, r refined, p refinement failed.
_CHUNK = """
WITH made AS MATERIALIZED (
    SELECT n, at, bench_uuid7(at) AS id, sha256(int8send(n)) AS digest,
        CASE
            WHEN n % 100 < 2 THEN 'f'
            WHEN n % 100 = 2 THEN 'c'
            WHEN n % 100 = 3 THEN 'p'
            WHEN n % 10 = 4 THEN 'r'
            ELSE 's'
        END AS kind
    FROM (
        SELECT n, $3::timestamptz + n * $4::interval AS at FROM generate_series($1::bigint, $2::bigint) AS n
    ) AS numbered
),
step AS MATERIALIZED (
    SELECT made.id, made.at + seq * interval '300 ms' AS at, seq, kind, type, leg,
        bench_uuid7(made.at + seq * interval '300 ms') AS event_id
    FROM made
    CROSS JOIN LATERAL (VALUES
        (1, 1, 1, true), (2, 2, 1, kind <> 'c'), (2, 9, 1, kind = 'c'),
        (3, 7, 1, kind = 's'), (3, 8, 1, kind = 'f'), (3, 6, 1, kind IN ('r', 'p')),
        (4, 10, 2, kind IN ('r', 'p')), (5, 7, 2, kind = 'r'), (5, 14, 2, kind = 'p')
    ) AS steps (seq, type, leg, made)
    WHERE steps.made
),
document AS (
    INSERT INTO documents (tenant_id, digest, size, media_type, created_at)
    SELECT 'default', digest, 100000, 'application/pdf', at FROM made
),
job AS (
    INSERT INTO jobs (tenant_id, id, created_at, request_key, fingerprint, request, about)
    SELECT 'default', id, at, gen_random_uuid()::text, digest,
        decode(repeat('ab', 200), 'hex'), decode(repeat('cd', 100), 'hex')
    FROM made
),
link AS (
    INSERT INTO job_documents (job_id, tenant_id, digest) SELECT id, 'default', digest FROM made
),
event AS (
    INSERT INTO events (at, event_id, job_id, seq, era, type, leg, series, attempt, tenant_id)
    SELECT at, event_id, id, seq, 1, type, leg, 1, 1, 'default' FROM step ORDER BY at
),
outcome AS (
    INSERT INTO outcomes (job_id, started_at, ended_at, seq, lease_token, leg, series, attempt, lapses, has_callback,
        tenant_id, state, refinement, error, result)
    SELECT id, at, at, seq, leg, leg, 1, 1, 0, false, 'default',
        CASE type WHEN 7 THEN 'SUCCEEDED' WHEN 8 THEN 'FAILED' WHEN 9 THEN 'CANCELLED' ELSE 'PARTIAL_SUCCEEDED' END,
        CASE WHEN leg = 2 THEN CASE type WHEN 7 THEN 'SUCCEEDED' ELSE 'FAILED' END END,
        CASE WHEN type IN (8, 14) THEN '{"reason": "BAD_DOCUMENT", "message": "none", "retryable": false}'::jsonb END,
        CASE WHEN type IN (6, 7) THEN decode(repeat('ef', 300), 'hex') END
    FROM step
    WHERE type IN (6, 7, 8, 9, 14)
    ORDER BY at
)
INSERT INTO deliveries (event_id, endpoint_id, tenant_id, job_id, seq, type, url, state, ready,
    created_at, available_at, ended_at, last_status)
SELECT event_id, '00000000-0000-0000-0000-000000000000', 'default', id, seq, type, 'https://receiver.example/hook',
    'DELIVERED', false, at, at, at, 200
FROM step
WHERE type = 8
"""

_HASTY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
"""While rows are loaded only: what a crash would do to them does not matter, and nothing is measured."""


async def count(connection: Connection) -> int:
    """How many jobs have been loaded so far."""
    await connection.execute(_ID)
    await connection.execute("CREATE TABLE IF NOT EXISTS bench_loaded (first bigint PRIMARY KEY, jobs bigint NOT NULL)")
    return int(await connection.fetchval("SELECT coalesce(sum(jobs), 0) FROM bench_loaded"))


async def load(url: str, rows: int, *, until: datetime, free_gb: float, deadline: float, loaders: int = 2) -> int:
    """Adds finished jobs in the order of time until there are `rows`, and returns how many there are.

    Ends earlier at `deadline` (of time.time()), or when less than `free_gb` of the disk are left. Their times are
    those of `rows` jobs spread evenly over SPAN before `until`. Repeated, it goes on where it ended.
    """
    connection = await asyncpg.connect(url)
    try:
        there = await count(connection)
        place = Path(await connection.fetchval("SHOW data_directory"))
        begins, pace = until - SPAN, SPAN / rows
        chunks = iter(range(there, rows, CHUNK))

        async def loader() -> None:
            async with _loading(url) as own:
                for first in chunks:
                    if time.time() > deadline or shutil.disk_usage(place).free < free_gb * 1e9:
                        return
                    last = min(first + CHUNK, rows) - 1
                    async with own.transaction():
                        await own.execute(_CHUNK, first, last, begins, pace)
                        await own.execute("INSERT INTO bench_loaded VALUES ($1, $2)", first, last - first + 1)

        if there < rows:
            async with _hasty(connection):
                await asyncio.gather(*(loader() for _ in range(loaders)))
        return await count(connection)
    finally:
        await connection.close()


async def settle(url: str) -> None:
    """Vacuums and analyses what was loaded, as autovacuum would have done long ago, and writes it to the disk."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET statement_timeout = 0; SET maintenance_work_mem = '512MB'")
        for table in TABLES:
            await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
        await connection.execute("CHECKPOINT", timeout=3600)
    finally:
        await connection.close()


@asynccontextmanager
async def _loading(url: str) -> AsyncIterator[Connection]:
    """A connection that trusts what it loads: no look for each link's document."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SET session_replication_role = replica; SET statement_timeout = 0; SET work_mem = '64MB'"
        )
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _hasty(connection: Connection) -> AsyncIterator[None]:
    """The server writes without care inside the block."""
    for name, value in _HASTY.items():
        await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
    await connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in _HASTY:
            await connection.execute(f"ALTER SYSTEM RESET {name}")
        await connection.execute("SELECT pg_reload_conf()")
