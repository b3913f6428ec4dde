"""The refinement leg on a real database, with real work in its child processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from gleaner.internal.v1 import bbox_worker_pb2, stored_pb2
from gleaner_bbox_worker.grounder import Grounder
from gleaner_bbox_worker.leg import RefinementLeg
from gleaner_bbox_worker.settings import GrounderSettings
from gleaner_core.ids import uuid7
from gleaner_core.states import Refinement, State
from gleaner_repo import Database, JobRepository, NewJob
from gleaner_runner import LegSettings, Runner, Slots
from support.jobs import LEASE, TENANT, Events
from support.legs import QUICK, SHORT_LEASE
from support.packs import a_pack
from support.processes import at_work, is_alive

LONG = 100  # the work is ten seconds of a processor that may be busy


@pytest.fixture
async def grounder() -> AsyncIterator[Grounder]:
    async with Grounder(GrounderSettings(children=1)) as opened:
        yield opened


@asynccontextmanager
async def refining(jobs: JobRepository, grounder: Grounder, *, max_result_bytes: int = 2**20) -> AsyncIterator[None]:
    """A runner of the leg with a short lease, drained at the end of the block."""
    settings = LegSettings(
        lease=SHORT_LEASE, run_limit=timedelta(seconds=LONG), max_attempts=3, max_result_bytes=max_result_bytes
    )
    runner = Runner(RefinementLeg(settings=settings, grounder=grounder), jobs, Slots(1), QUICK)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        try:
            yield
        finally:
            stop.set()


async def partial(jobs: JobRepository, asked: bbox_worker_pb2.GroundRequest) -> UUID:
    """A job whose values are there and whose boxes are wanted."""
    request = stored_pb2.StoredRequest(schema=asked.schema).SerializeToString()
    job = NewJob(id=uuid7(), tenant_id=TENANT, fingerprint=b"fingerprint", request=request, about=b"about")
    await jobs.submit([job])
    [extracted] = await jobs.mark_running(1, LEASE, uuid7())
    result, pages = asked.result.SerializeToString(), asked.pages.SerializeToString()
    assert await jobs.mark_partial_succeeded(extracted.lease, result, pages)
    return job.id


def pid_of_child(grounder: Grounder) -> int:
    process = grounder.children._children[0]._process
    assert process is not None
    return process.pid


async def test_the_lease_is_kept_through_work_that_takes_longer_than_it(
    jobs: JobRepository, database: Database, grounder: Grounder
) -> None:
    job_id = await partial(jobs, a_pack())
    began = time.monotonic()
    async with asyncio.timeout(LONG), refining(jobs, grounder):
        while (await jobs.get(TENANT, [job_id]))[job_id].state is not State.SUCCEEDED:
            await asyncio.sleep(0.05)
    assert time.monotonic() - began > SHORT_LEASE.total_seconds()
    types = await Events(jobs, database).types(job_id)
    assert types[2:] == ["job.partial_succeeded", "job.refinement_started", "job.succeeded"]


async def test_a_lost_lease_ends_the_child_within_a_second_and_the_next_job_is_done(
    jobs: JobRepository, grounder: Grounder
) -> None:
    lost = await partial(jobs, a_pack())
    async with asyncio.timeout(LONG), refining(jobs, grounder):
        pid = pid_of_child(grounder)
        await at_work(pid)

        cancelled_at = time.monotonic()
        assert await jobs.mark_cancelled(TENANT, lost, running=True, reason="")
        while is_alive(pid):
            await asyncio.sleep(0.01)
        assert time.monotonic() - cancelled_at < QUICK.heartbeat_s + 1

        following = await partial(jobs, a_pack(2, pages=3))
        while (await jobs.get(TENANT, [following]))[following].state is not State.SUCCEEDED:
            await asyncio.sleep(0.05)


async def test_boxes_that_no_answer_has_room_for_end_the_refinement_and_the_values_stay(
    jobs: JobRepository, grounder: Grounder
) -> None:
    asked = a_pack(2, pages=3)
    values = asked.result.SerializeToString()
    job_id = await partial(jobs, asked)
    async with asyncio.timeout(LONG), refining(jobs, grounder, max_result_bytes=len(values)):
        while not (job := (await jobs.get(TENANT, [job_id]))[job_id]).over:
            await asyncio.sleep(0.05)
    assert (job.state, job.refinement) == (State.PARTIAL_SUCCEEDED, Refinement.FAILED)
    assert job.error and job.error.reason == "RESULT_TOO_LARGE"
    assert await jobs.result(TENANT, job_id) == values
