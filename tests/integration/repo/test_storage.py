"""What the tables and the role must be like for the rest to hold."""

from uuid import uuid4

from gleaner_repo import Database, JobRepository, sql
from support.jobs import LEASE, RESULT, submitted


async def test_a_renewal_touches_no_index(jobs: JobRepository, database: Database) -> None:
    """Else every heartbeat of every job writes to all of them (0 % HOT, 309 instead of 158 bytes, when tried)."""
    rows = await database.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'queue'")
    assert rows
    assert not [row["indexdef"] for row in rows if "lease_expires_at" in row["indexdef"] or "holder" in row["indexdef"]]

    await submitted(jobs, 20)
    claimed = await jobs.mark_running(20, LEASE, uuid4())
    counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'queue'"
    async with database.pool.acquire() as connection, connection.transaction():
        before = await connection.fetchrow(counted)
        for _ in range(5):
            renewed = await connection.fetch(
                sql.read("renew"), [job.id for job in claimed[:1]], [job.lease.token for job in claimed[:1]], LEASE
            )
            assert [row["answer"] for row in renewed] == ["kept"]
        after = await connection.fetchrow(counted)
    assert before and after
    assert [after[column] - before[column] for column in ("n_tup_upd", "n_tup_hot_upd")] == [5, 5]


async def test_the_hot_table_is_empty_when_all_is_done(jobs: JobRepository, database: Database) -> None:
    await submitted(jobs, 20)
    for job in await jobs.mark_running(20, LEASE, uuid4()):
        await jobs.mark_succeeded(job.lease, RESULT)
    assert not await database.fetch("SELECT FROM queue")


async def test_no_session_of_the_role_may_sit_on_a_transaction_or_a_lock(database: Database) -> None:
    found = await database.fetch(
        "SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout' AND source = 'database user'"
    )
    assert {row["name"]: int(row["setting"]) for row in found} == {
        "idle_in_transaction_session_timeout": 5_000,
        "lock_timeout": 2_000,
        "statement_timeout": 8_000,
        "tcp_user_timeout": 10_000,
    }
