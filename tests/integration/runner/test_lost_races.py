"""Who loses a race to claim or to end a job leaves quietly: no webhook, no move, nobody told."""

import asyncio
from uuid import UUID

from gleaner_core.states import State
from gleaner_repo import ClaimedJob, JobRepository
from support.jobs import TENANT, Events, a_job
from support.legs import Started, TestLeg

LONG = 20


async def submitted_with_callback(jobs: JobRepository) -> UUID:
    [job] = await jobs.submit([a_job(callback_url="https://example.org")])
    return job.id


async def test_a_run_whose_end_comes_too_late_tells_nobody(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.id == cancelled:
            assert await jobs.mark_cancelled(TENANT, job.id, running=True)
        return b"too late"

    cancelled = await submitted_with_callback(jobs)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        await leg.started.get()
        other = await submitted_with_callback(jobs)  # when this one is done, so is the other
        assert await leg.made.get() == (other, "mark_succeeded")
    assert leg.made.empty()
    assert await events.types(cancelled) == ["job.submitted", "job.started", "job.cancelled"]
    assert await jobs.result(TENANT, cancelled) is None
    assert await events.deliveries() == sorted([(cancelled, 3), (other, 3)])


async def test_of_many_workers_one_runs_the_job_and_one_webhook_is_owed(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    legs = [TestLeg() for _ in range(4)]
    async with asyncio.timeout(LONG), started(legs[0]), started(legs[1]), started(legs[2]), started(legs[3]):
        ids = [await submitted_with_callback(jobs) for _ in range(10)]
        while not all(job.state is State.SUCCEEDED for job in (await jobs.get(TENANT, ids)).values()):
            await asyncio.sleep(0.02)
    assert sum(leg.started.qsize() for leg in legs) == len(ids)
    assert await events.deliveries() == [(job_id, 3) for job_id in sorted(ids)]
    await events.check(ids)
