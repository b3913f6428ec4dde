"""A database in trouble: every statement ends in time, says Unavailable or works, and afterwards all is as before."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from uuid import uuid4

import asyncpg
import pytest

from gleaner_core.errors import Unavailable
from gleaner_repo import Database, DatabaseSettings, JobRepository, open_database
from gleaner_repo.migrate import migrate
from gleaner_repo.pool import NOT_MIGRATED, READ_ONLY
from gleaner_stack.postgres import EmbeddedPostgres
from support.jobs import LEASE, TENANT, submitted
from support.postgres import end_statements_after
from support.proxy import Proxy
from support.standby import SETTINGS, standby

TIMEOUT = 1.0
SLACK = 0.9  # to give a connection up, and for a slow machine
SOON = 2.0
FLAKY = """
CREATE SEQUENCE tries;
CREATE FUNCTION fails(times bigint, code text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    try bigint := nextval('tries');
BEGIN
    IF try <= times THEN
        RAISE EXCEPTION USING ERRCODE = code;
    END IF;
    RETURN try;
END
$$;
"""


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).running() as running:
        yield running


@pytest.fixture
async def reached(proxy: Proxy) -> AsyncIterator[Database]:
    """The database by way of the proxy, over four connections."""
    settings = DatabaseSettings(database_url=proxy.url, database_pool_size=4, database_timeout_s=TIMEOUT)
    async with open_database(settings) as opened:
        await asyncio.gather(*(opened.fetch("SELECT pg_sleep(0.05)") for _ in range(4)))
        yield opened


async def unavailable(answer: Awaitable[object]) -> float:
    """Fails unless it says Unavailable; how long that took."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await answer
    return time.monotonic() - began


async def recovered(database: Database) -> float:
    """How long until it answers again."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        while True:
            try:
                await database.fetch("SELECT 1")
                return time.monotonic() - began
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_a_connection_that_breaks_in_mid_statement_is_told_at_once(reached: Database, proxy: Proxy) -> None:
    asked = asyncio.create_task(reached.fetch("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.1)
    proxy.cut()
    assert await unavailable(asked) < TIMEOUT
    assert await unavailable(reached.fetch("SELECT 1")) < TIMEOUT
    proxy.mend()
    assert await recovered(reached) < SOON


async def test_a_server_that_hangs_holds_nobody_longer_than_the_time_out(reached: Database, proxy: Proxy) -> None:
    """More callers than connections: each one's time counts from its call."""
    proxy.swallow_answers()
    took = await asyncio.gather(*(unavailable(reached.fetch("SELECT 1")) for _ in range(12)))
    assert max(took) < TIMEOUT + SLACK
    proxy.mend()
    assert await recovered(reached) < SOON
    assert await asyncio.gather(*(reached.fetch("SELECT 1") for _ in range(12)))


async def test_after_one_dead_connection_the_others_are_not_tried(reached: Database, proxy: Proxy) -> None:
    """All that were open hang for ever, as behind a firewall that forgot them; new ones work."""
    proxy.freeze()
    began = time.monotonic()
    await recovered(reached)
    assert time.monotonic() - began < TIMEOUT + SOON


async def test_a_statement_may_be_asked_to_hurry(reached: Database, proxy: Proxy) -> None:
    proxy.swallow_answers()
    assert await unavailable(reached.fetch("SELECT 1", within=0.2)) < 0.2 + SLACK


async def test_a_cancelled_caller_of_a_server_that_hangs_is_let_go(reached: Database, proxy: Proxy) -> None:
    proxy.swallow_answers()
    asked = asyncio.create_task(reached.fetch("SELECT 1"))
    await asyncio.sleep(0.1)
    asked.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert time.monotonic() - began < SLACK


async def test_the_pool_is_closed_in_time_though_the_server_hangs(proxy: Proxy) -> None:
    settings = DatabaseSettings(database_url=proxy.url, database_pool_size=2, database_timeout_s=60)
    async with open_database(settings) as hanging:
        proxy.swallow_answers()
        asked = asyncio.create_task(hanging.fetch("SELECT 1"))
        await asyncio.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 2 + SLACK
    await unavailable(asked)


async def test_whoever_waits_for_a_connection_waits_no_longer_than_the_time_out(reached: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(reached.pool.acquire())
        assert TIMEOUT - 0.1 < await unavailable(reached.fetch("SELECT 1")) < TIMEOUT + SLACK
    assert await reached.fetch("SELECT 1")


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_url: str) -> None:
    await end_statements_after(0.2, database_url)
    async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=1)) as database:
        assert await unavailable(database.fetch("SELECT pg_sleep(10)")) < SOON
        assert await database.fetch("SELECT 1")


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_what_was_rolled_back_because_of_others_is_sent_again_and_not_for_ever(
    database: Database, code: str
) -> None:
    await database.execute(FLAKY)
    row = await database.fetchrow("SELECT fails(3, $1) AS tries", code)
    assert row and row["tries"] == 4
    await unavailable(database.fetch("SELECT fails(1000, $1)", code))
    row = await database.fetchrow("SELECT last_value FROM tries")
    assert row and 6 <= row["last_value"] <= 20


async def test_two_that_deadlock_are_both_carried_out(database: Database, jobs: JobRepository) -> None:
    """A real one: each locks what the other wants next."""
    first, second = await submitted(jobs, 2)
    touch = """
        WITH one AS MATERIALIZED (SELECT id FROM queue WHERE id = $1 FOR UPDATE),
        slept AS MATERIALIZED (SELECT id, pg_sleep(0.3) FROM one)
        UPDATE queue SET hand_backs = hand_backs + 1
        WHERE id = $2 AND EXISTS (SELECT FROM slept)
    """
    done = await asyncio.gather(database.execute(touch, first, second), database.execute(touch, second, first))
    assert list(done) == ["UPDATE 1", "UPDATE 1"]


async def test_a_server_that_is_restarted_is_found_again(jobs: JobRepository) -> None:
    async with EmbeddedPostgres(settings=SETTINGS) as server:
        await migrate(server.url)
        settings = DatabaseSettings(database_url=server.url, database_pool_size=4, database_timeout_s=2)
        async with open_database(settings) as database:
            mine = JobRepository(database)
            [job_id] = await submitted(mine)
            server.stop()
            assert not await ready(database)
            await unavailable(mine.mark_running(1, LEASE, uuid4()))
            await server.start_async()
            assert await recovered(database) < SOON
            assert await database.ready()
            assert [job.id for job in await mine.mark_running(1, LEASE, uuid4())] == [job_id]


async def test_after_a_failover_the_new_primary_is_written_to() -> None:
    """The old one lives on and takes no writes: connections to it must not be kept."""
    async with EmbeddedPostgres(settings=SETTINGS) as primary:
        await migrate(primary.url)
        with standby(primary) as other:
            url = both(primary.url, other.url)
            async with open_database(DatabaseSettings(database_url=url, database_pool_size=4)) as database:
                jobs = JobRepository(database)
                ids = await submitted(jobs, 3)
                await replicated(other.url, len(ids))
                await on(primary.url, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
                await on(other.url, "SELECT pg_promote()")
                began = time.monotonic()
                while True:
                    try:
                        claimed = await jobs.mark_running(3, LEASE, uuid4())
                        break
                    except Unavailable:
                        assert time.monotonic() - began < 10
                assert {job.id for job in claimed} == set(ids)
                assert await database.ready()
                assert all(job.state == "RUNNING" for job in (await jobs.get(TENANT, ids)).values())


async def test_a_standby_is_not_ready_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="gleaner_repo")
    async with EmbeddedPostgres(settings=SETTINGS) as primary:
        await migrate(primary.url)
        with standby(primary) as other:
            async with open_database(DatabaseSettings(database_url=other.url)) as database:
                assert not await database.ready()
                await unavailable(JobRepository(database).mark_running(1, LEASE, uuid4()))
                await on(other.url, "SELECT pg_promote()")
                async with asyncio.timeout(10):
                    while not await ready(database):
                        await asyncio.sleep(0.05)
    assert [record.getMessage() for record in caplog.records] == [f"not ready: {READ_ONLY}"]


async def test_a_database_without_tables_is_not_ready_and_says_so(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(DatabaseSettings(database_url=empty_database_url)) as database:
        assert not await database.ready()
        assert NOT_MIGRATED in caplog.text
        with pytest.raises(Unavailable):
            await database.fetch("SELECT FROM jobs")  # as a worker would, that came up before the migration
        await migrate(empty_database_url)
        assert await database.fetch("SELECT FROM jobs") == []
        assert await database.ready()


async def ready(database: Database) -> bool:
    """As the server's health asks: no answer is a no."""
    try:
        return await database.ready()
    except Unavailable:
        return False


async def on(url: str, *statements: str) -> None:
    """Statements as the administrator."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def replicated(url: str, jobs: int) -> None:
    """Waits until the standby has so many jobs."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(20):
        while await connection.fetchval("SELECT count(*) FROM queue") < jobs:
            await asyncio.sleep(0.02)
    await connection.close()


def both(first: str, second: str) -> str:
    """One address for two servers, of which the one that takes writes is wanted."""
    credentials, _, rest = first.rpartition("@")
    host, _, query = rest.partition("/")
    other = second.rpartition("@")[2].partition("/")[0]
    return f"{credentials}@{host},{other}/{query}&target_session_attrs=read-write"
