"""The backlog's figures on a real Postgres."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import JobError
from gleaner_repo import BacklogRepository, Database, DeliveryBacklog, DeliveryRepository, JobRepository, LegBacklog
from support.jobs import LEASE, NO_LEASE, RESULT, a_job, refining, running, submitted

NONE = LegBacklog(claimable=0, waiting=0, running=0, suspects=0, oldest=None)
NO_DELIVERIES = DeliveryBacklog(due=0, waiting=0, sending=0, oldest=None)
BUSY = JobError("PROVIDER_BUSY", "it is busy")


@pytest.fixture
def backlog(database: Database) -> BacklogRepository:
    return BacklogRepository(database)


async def test_without_a_job_there_is_nothing_to_do(backlog: BacklogRepository) -> None:
    found = await backlog.read()

    assert (found.extraction, found.refinement, found.deliveries) == (NONE, NONE, NO_DELIVERIES)


async def test_each_job_counts_once_on_its_leg(jobs: JobRepository, backlog: BacklogRepository) -> None:
    await refining(jobs)
    extracted = await running(jobs)
    await jobs.mark_partial_succeeded(extracted.lease, RESULT, b"pages")
    deferred = await running(jobs)
    await jobs.requeue_for_retry(deferred.lease, BUSY, timedelta(hours=1))
    await running(jobs)
    await submitted(jobs, 3)

    found = await backlog.read()

    extraction, refinement = found.extraction, found.refinement
    assert (extraction.claimable, extraction.waiting, extraction.running, extraction.suspects) == (3, 1, 1, 0)
    assert (refinement.claimable, refinement.waiting, refinement.running, refinement.suspects) == (1, 0, 1, 0)


async def test_a_job_that_is_over_counts_no_more(jobs: JobRepository, backlog: BacklogRepository) -> None:
    for _ in range(3):
        claimed = await running(jobs)
        await jobs.mark_succeeded(claimed.lease, RESULT)

    assert (await backlog.read()).extraction == NONE


async def test_the_oldest_is_the_first_that_may_be_claimed(
    jobs: JobRepository, backlog: BacklogRepository, database: Database
) -> None:
    deferred = await running(jobs)
    [old, *_] = await submitted(jobs, 4)
    await _put_back(database, old, timedelta(minutes=7))
    await _put_back(database, deferred.id, timedelta(minutes=9))  # it runs: how long it waited is over

    oldest = (await backlog.read()).extraction.oldest

    assert oldest is not None and timedelta(minutes=7) <= oldest < timedelta(minutes=8)


async def test_a_lease_that_ran_out_still_counts_until_somebody_rescues_the_job(
    jobs: JobRepository, backlog: BacklogRepository
) -> None:
    await running(jobs, lease=NO_LEASE)

    assert (await backlog.read()).extraction.running == 1


async def test_jobs_that_lost_leases_before_are_told_apart(jobs: JobRepository, backlog: BacklogRepository) -> None:
    await submitted(jobs)
    for _ in range(2):
        await jobs.mark_running(1, NO_LEASE, uuid4())
        await jobs.rescue(base=timedelta(0))
    await submitted(jobs)

    extraction = (await backlog.read()).extraction

    assert (extraction.claimable, extraction.suspects) == (2, 1)


async def test_deliveries_count_until_they_are_made(
    jobs: JobRepository, backlog: BacklogRepository, database: Database
) -> None:
    await jobs.submit([a_job(callback_url="https://example.org/hook") for _ in range(4)])
    for claimed in await jobs.mark_running(4, LEASE, uuid4()):
        await jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
    deliveries = DeliveryRepository(database)
    [later] = await deliveries.claim(1, LEASE, uuid4(), rescue=False)
    await deliveries.defer(later.lease, timedelta(hours=1))
    await deliveries.claim(1, LEASE, uuid4(), rescue=False)

    found = (await backlog.read()).deliveries

    assert (found.due, found.waiting, found.sending) == (2, 1, 1)
    assert found.oldest is not None and timedelta(0) < found.oldest < timedelta(minutes=1)


async def test_a_deep_queue_is_not_counted_to_its_end(jobs: JobRepository, database: Database) -> None:
    ids = await submitted(jobs, 30)
    await _put_back(database, ids[-1], timedelta(hours=2))

    extraction = (await BacklogRepository(database, limit=10).read()).extraction

    assert extraction.claimable == 10
    assert extraction.oldest is not None and extraction.oldest >= timedelta(hours=2)


async def _put_back(database: Database, job_id: UUID, by: timedelta) -> None:
    await database.execute("UPDATE queue SET available_at = now() - $2::interval WHERE id = $1", job_id, by)
