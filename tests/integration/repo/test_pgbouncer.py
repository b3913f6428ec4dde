"""The repository through a real PgBouncer in transaction mode, with the setting and without it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from gleaner_core.errors import JobError, Unavailable
from gleaner_repo import Database, DatabaseSettings, GroupRepository, JobRepository, Retention, open_database
from gleaner_repo.migrate import migrate
from gleaner_repo.pool import FORGETFUL_POOLER
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, Events, refining, running, submitted
from support.pgbouncer import PgBouncer, pgbouncer
from support.postgres import Databases

JOBS = 60


@pytest.fixture(scope="module")
def bouncer(postgres: Databases) -> Iterator[PgBouncer]:
    with pgbouncer(postgres.url) as started:
        yield started


@pytest.fixture
async def database(bouncer: PgBouncer, database_url: str) -> AsyncIterator[Database]:
    """Twelve connections to four of the server's."""
    settings = DatabaseSettings(
        database_url=bouncer.url(database_url), database_pooler=True, database_pool_size=12, database_timeout_s=5
    )
    async with open_database(settings) as opened:
        yield opened


async def test_every_kind_of_move_is_made(jobs: JobRepository, events: Events) -> None:
    done, failed, again, back, lost = [await running(jobs) for _ in range(4)] + [await running(jobs, lease=NO_LEASE)]
    refined = await refining(jobs)
    [cancelled] = await submitted(jobs)
    error = JobError("INTERNAL", "no", retryable=True)

    assert (await jobs.renew([done.lease, failed.lease], LEASE)).kept == {done.lease, failed.lease}
    assert await jobs.mark_succeeded(done.lease, RESULT)
    assert await jobs.mark_failed(failed.lease, error)
    assert await jobs.requeue_for_retry(again.lease, error, timedelta(0))
    assert await jobs.hand_back(back.lease)
    assert [job.id for job in (await jobs.rescue())["rescue"]] == [lost.id]
    assert await jobs.mark_bbox_refined(refined.lease, RESULT)
    assert await jobs.mark_cancelled(TENANT, cancelled)
    assert await jobs.retry(TENANT, failed.id)
    assert await jobs.result(TENANT, done.id) == RESULT
    await events.check([job.id for job in (done, failed, again, back, lost, refined)] + [cancelled])


async def test_more_clients_than_connections_end_every_job_once(jobs: JobRepository, events: Events) -> None:
    async def work() -> None:
        while claimed := await jobs.mark_running(3, LEASE, uuid4()):
            assert await jobs.renew([job.lease for job in claimed], LEASE)
            for job in claimed:
                assert await jobs.mark_succeeded(job.lease, RESULT)

    ids = [job_id for some in await asyncio.gather(*(submitted(jobs, 3) for _ in range(JOBS // 3))) for job_id in some]
    async with asyncio.timeout(30):
        await asyncio.gather(*(work() for _ in range(24)))
    assert {job.state for job in (await jobs.get(TENANT, ids)).values()} == {"SUCCEEDED"}
    await events.check(ids)


async def test_groups_are_read(jobs: JobRepository, database: Database) -> None:
    groups = GroupRepository(database)
    await groups.make(TENANT, "billing", earliest=True)
    ids = await submitted(jobs, 5)
    async with asyncio.timeout(20):
        while not (lease := await groups.take(TENANT, "billing", uuid4(), LEASE)):
            pass
        batch = None
        while not batch or len(batch.events) < len(ids):
            batch = await groups.read(lease, lease.position, 100)
            assert batch
    assert batch.reached
    assert {logged.event.job_id for logged in batch.events} == set(ids)
    assert await groups.ack(lease, batch.reached, len(ids), LEASE) == 0


async def test_what_is_old_is_removed(jobs: JobRepository, database: Database) -> None:
    for job_id in await submitted(jobs, 3):
        await jobs.mark_cancelled(TENANT, job_id)
    retention = Retention(database, batch=2)

    classes = (retention.jobs, retention.deliveries, retention.events, retention.parked, retention.documents)
    removed = [sum([count async for count in batches(timedelta(0))]) for batches in classes]
    assert removed == [3, 0, 6, 0, 0]


async def test_it_is_ready_and_its_migrations_are_taken_through_it(
    database: Database, bouncer: PgBouncer, empty_database_url: str
) -> None:
    assert await database.ready()
    assert await migrate(bouncer.url(empty_database_url))
    assert await migrate(bouncer.url(empty_database_url)) == []


async def test_without_the_setting_it_is_never_ready_and_says_why(
    bouncer: PgBouncer, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="gleaner_repo")
    async with open_database(DatabaseSettings(database_url=bouncer.url(database_url))) as wrong:
        assert not await wrong.ready()
        assert not await wrong.ready()
    assert [record.getMessage() for record in caplog.records] == [f"not ready: {FORGETFUL_POOLER}"]


async def test_a_statement_that_was_lost_is_an_answer_that_was_lost(bouncer: PgBouncer, database_url: str) -> None:
    """The look at the start may be mistaken; the first error under load is not."""
    settings = DatabaseSettings(database_url=bouncer.url(database_url), database_pool_size=12, database_timeout_s=2)
    async with open_database(settings) as wrong:
        late = Database(wrong.pool, timeout_s=2)
        jobs = JobRepository(late)
        answers = await asyncio.gather(*(submitted(jobs) for _ in range(60)), return_exceptions=True)
        assert any(isinstance(answer, Unavailable) for answer in answers)
        assert all(isinstance(answer, list | Unavailable) for answer in answers)
        assert not await late.ready()


async def test_a_session_pooler_is_no_trouble(postgres: Databases, database_url: str) -> None:
    with pgbouncer(postgres.url, mode="session") as kind:
        async with open_database(DatabaseSettings(database_url=kind.url(database_url))) as database:
            assert await database.ready()
