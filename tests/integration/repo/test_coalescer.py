"""Submits that share a statement: each caller gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gleaner_core.errors import DocumentGone, Unavailable
from gleaner_repo import Database, JobRepository, NewJob, Submitted
from gleaner_repo.coalescer import SubmitCoalescer
from support.jobs import TENANT, a_job


class Batches(JobRepository):
    """A repository that notes how many jobs came with each statement."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []

    async def submit(self, jobs: "list[NewJob]") -> list[Submitted]:  # type: ignore[override]
        self.sizes.append(len(jobs))
        return await super().submit(jobs)


@pytest.fixture
def batches(database: Database) -> Batches:
    return Batches(database)


@pytest.fixture
async def coalescer(batches: Batches) -> AsyncIterator[SubmitCoalescer]:
    coalescer = SubmitCoalescer(batches, max_rows=50, max_bytes=20_000)
    running = asyncio.create_task(coalescer.run())
    yield coalescer
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_many_callers_share_few_statements_and_each_gets_its_own_job(
    coalescer: SubmitCoalescer, batches: Batches
) -> None:
    jobs = [a_job() for _ in range(200)]
    answers = await asyncio.gather(*(coalescer.submit(job) for job in jobs))
    assert [answer.id for answer in answers] == [job.id for job in jobs]
    assert sum(batches.sizes) == 200
    assert len(batches.sizes) <= 5
    assert max(batches.sizes) == 50


async def test_a_batch_is_no_larger_than_its_bytes_and_a_large_job_goes_alone(
    coalescer: SubmitCoalescer, batches: Batches
) -> None:
    await asyncio.gather(*(coalescer.submit(replace(a_job(), request=b"x" * 30_000)) for _ in range(3)))
    assert batches.sizes == [1, 1, 1]


async def test_a_row_the_database_refuses_costs_its_own_caller_only(coalescer: SubmitCoalescer) -> None:
    good = [a_job() for _ in range(20)]
    bad = a_job(digests=(b"\0" * 32,))  # a document that is not there
    answers = await asyncio.gather(*(coalescer.submit(job) for job in [*good, bad]), return_exceptions=True)
    assert isinstance(answers[-1], DocumentGone)
    assert [answer.id for answer in answers[:-1] if isinstance(answer, Submitted)] == [job.id for job in good]


async def test_a_batch_shares_its_statements_and_each_of_it_has_its_own_answer(
    coalescer: SubmitCoalescer, batches: Batches
) -> None:
    good = [a_job() for _ in range(30)]
    bad = a_job(digests=(b"\0" * 32,))
    answers = await coalescer.submit_all([*good[:10], bad, *good[10:]])
    assert isinstance(answers.pop(10), DocumentGone)
    assert [answer.id for answer in answers if isinstance(answer, Submitted)] == [job.id for job in good]
    assert batches.sizes[0] == 31


async def test_a_cancelled_caller_cancels_nobody_else(coalescer: SubmitCoalescer, jobs: JobRepository) -> None:
    first, second = a_job(), a_job()
    calls = [asyncio.create_task(coalescer.submit(job)) for job in (first, second)]
    await asyncio.sleep(0)
    calls[0].cancel()
    assert (await calls[1]).id == second.id
    assert second.id in await jobs.get(TENANT, [second.id])


async def test_one_key_twice_in_a_batch_is_one_job(coalescer: SubmitCoalescer) -> None:
    answers = await asyncio.gather(*(coalescer.submit(a_job(request_key="once")) for _ in range(10)))
    assert len({answer.id for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1


async def test_who_still_waits_at_the_end_is_told_to_try_again(batches: Batches) -> None:
    coalescer = SubmitCoalescer(batches)
    running = asyncio.create_task(coalescer.run())
    waiting = [asyncio.create_task(coalescer.submit(a_job())) for _ in range(3)]
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in await asyncio.gather(*waiting, return_exceptions=True))
    with pytest.raises(Unavailable):
        await coalescer.submit(a_job())


async def test_a_submit_that_is_repeated_after_its_jobs_deletion_makes_no_other(jobs: JobRepository) -> None:
    gone, other = a_job(), a_job()
    [submitted] = await jobs.submit([gone])
    await jobs.mark_cancelled(TENANT, gone.id)
    assert await jobs.delete(TENANT, gone.id)

    coalescer = SubmitCoalescer(jobs)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        answers = [asyncio.ensure_future(coalescer.submit(job)) for job in (gone, other)]
        running = group.create_task(coalescer.run())
        repeated, neighbour = await asyncio.gather(*answers)
        running.cancel()
    assert (repeated.id, repeated.created) == (submitted.id, True)
    assert timedelta(0) <= repeated.created_at - submitted.created_at < timedelta(seconds=1)
    assert neighbour.created, "it shared the statement"
    assert set(await jobs.get(TENANT, [gone.id, other.id])) == {other.id}
