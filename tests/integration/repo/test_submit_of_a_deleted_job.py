import asyncio

import pytest

from gleaner_core.errors import Unavailable
from gleaner_repo import JobRepository, SubmitCoalescer
from support.jobs import TENANT, a_job


async def test_a_submit_that_is_repeated_after_its_jobs_deletion_may_be_asked_anew(jobs: JobRepository) -> None:
    gone, other = a_job(), a_job()
    await jobs.submit([gone])
    await jobs.mark_cancelled(TENANT, gone.id)
    assert await jobs.delete(TENANT, gone.id)

    coalescer = SubmitCoalescer(jobs)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        answers = [asyncio.ensure_future(coalescer.submit(job)) for job in (gone, other)]
        running = group.create_task(coalescer.run())
        with pytest.raises(Unavailable):
            await answers[0]
        assert (await answers[1]).created, "it shared the statement"
        running.cancel()
