"""Renewal: kept, lost or unknown, and never blocked by somebody else's lock."""

from uuid import uuid4

from gleaner_repo import Database, JobRepository, Renewal
from support.jobs import LEASE, NO_LEASE, TENANT, running


async def test_a_renewed_lease_is_counted_from_before_the_statement_was_sent(jobs: JobRepository) -> None:
    claimed = await running(jobs, lease=NO_LEASE)
    assert claimed.lease.lapsed()
    renewal = await jobs.renew([claimed.lease], LEASE)
    assert renewal.kept == {claimed.lease}
    assert 14 < claimed.lease.left <= 15
    assert not any((await jobs.rescue()).values())


async def test_what_was_ended_taken_or_handed_back_is_lost(jobs: JobRepository) -> None:
    ended, taken, back = await running(jobs), await running(jobs, lease=NO_LEASE), await running(jobs)
    await jobs.mark_cancelled(TENANT, ended.id, running=True)
    await jobs.rescue()
    await jobs.mark_running(1, LEASE, uuid4())
    await jobs.hand_back(back.lease)
    renewal = await jobs.renew([ended.lease, taken.lease, back.lease], LEASE)
    assert renewal.lost == {ended.lease, taken.lease, back.lease}
    assert not renewal.kept and not renewal.unknown


async def test_one_locked_row_is_unknown_and_costs_the_others_nothing(jobs: JobRepository, database: Database) -> None:
    locked, free = await running(jobs), await running(jobs)
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM queue WHERE id = $1 FOR UPDATE", locked.id)
        renewal = await jobs.renew([locked.lease, free.lease], LEASE)
    assert renewal == Renewal(frozenset({free.lease}), frozenset(), frozenset({locked.lease}))


async def test_nothing_held_is_nothing_asked(jobs: JobRepository) -> None:
    renewal = await jobs.renew([], LEASE)
    assert not renewal.kept | renewal.lost | renewal.unknown
