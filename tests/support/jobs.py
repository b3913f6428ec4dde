"""Jobs as tests make and watch them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from gleaner_core.ids import uuid7
from gleaner_repo import ClaimedJob, Database, JobRepository, NewJob

TENANT = "default"
LEASE = timedelta(seconds=15)
NO_LEASE = timedelta(0)
"""A lease that has run out when it is given."""

RESULT = b"result"


def a_job(
    *,
    tenant_id: str = TENANT,
    request_key: str | None = None,
    fingerprint: bytes = b"fingerprint",
    callback_url: str | None = None,
    digests: tuple[bytes, ...] = (),
) -> NewJob:
    """A job that nobody has submitted yet."""
    return NewJob(
        id=uuid7(),
        tenant_id=tenant_id,
        fingerprint=fingerprint,
        request=b"request",
        about=b"about",
        request_key=request_key,
        callback_url=callback_url,
        digests=digests,
    )


async def submitted(jobs: JobRepository, count: int = 1) -> list[UUID]:
    """The ids of new jobs that wait to be taken."""
    return [job.id for job in await jobs.submit([a_job() for _ in range(count)])]


async def running(jobs: JobRepository, *, lease: timedelta = LEASE) -> ClaimedJob:
    """A new job, claimed by a holder of its own."""
    await submitted(jobs)
    [claimed] = await jobs.mark_running(1, lease, uuid4())
    return claimed


async def refining(jobs: JobRepository, *, lease: timedelta = LEASE) -> ClaimedJob:
    """A new job whose values are there and whose refinement is claimed by a holder of its own."""
    extracted = await running(jobs)
    assert await jobs.mark_partial_succeeded(extracted.lease, RESULT, b"pages")
    [claimed] = await jobs.mark_bbox_refining(1, lease, uuid4())
    return claimed


async def race(*contenders: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What the contenders answer, started all at once, and in any order: who comes last to the gate goes first."""
    gate = asyncio.Barrier(len(contenders))
    places = random.sample(range(len(contenders)), len(contenders))

    async def run(contender: Callable[[], Awaitable[Any]]) -> Any:
        await gate.wait()
        return await contender()

    answers = await asyncio.gather(*(run(contenders[place]) for place in places))
    return [answers[places.index(place)] for place in range(len(contenders))]


class Events:
    """What the log says of jobs."""

    def __init__(self, jobs: JobRepository, database: Database) -> None:
        self._jobs = jobs
        self._database = database

    async def types(self, job_id: UUID) -> list[str]:
        """The types of a job's events in the order of their seq."""
        return [event.type for event in await self._jobs.events_of({job_id: 0})]

    async def check(self, job_ids: Iterable[UUID]) -> None:
        """Asserts what holds for every job at any time: seq without gaps, at most one final event a series, and that
        the log, the rows and the public state say the same."""
        ids = list(job_ids)
        states = await self._jobs.get(TENANT, ids)
        for job_id in ids:
            events = await self._jobs.events_of({job_id: 0})
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            finals = [event.series for event in events if event.final]
            assert len(finals) == len(set(finals)), "a series ended twice"
            last, job = events[-1], states[job_id]
            assert (job.state, job.refinement, job.seq, job.series) == (
                last.state,
                last.refinement,
                last.seq,
                last.series,
            )
            assert job.over == last.final

    async def deliveries(self) -> Sequence[tuple[UUID, int]]:
        """Job and seq of everything that must be sent."""
        rows = await self._database.fetch("SELECT job_id, seq FROM deliveries ORDER BY job_id, seq")
        return [(row["job_id"], row["seq"]) for row in rows]
