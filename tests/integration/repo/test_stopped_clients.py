"""Who stops while the answer is under way, as a frozen worker or a vanished node does, holds up nobody."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from gleaner_core.states import State
from gleaner_repo import Bodies, Database, GroupRepository, JobRepository
from support.jobs import LEASE, RESULT, TENANT, a_job, submitted
from support.pgbouncer import pgbouncer
from support.postgres import Databases
from support.stopped_client import NAME, stopped

LONG = 20
LARGE = os.urandom(16 * 2**20)
"""Much more than the kernels on both ends keep of an answer that nobody reads."""


async def waiting(jobs: JobRepository, move: str) -> UUID:
    """A job with large bodies that waits for that claim."""
    job = replace(a_job(), request=LARGE)
    await jobs.submit([job])
    if move == "mark_bbox_refining":
        [extracted] = await jobs.mark_running(1, LEASE, uuid4())
        assert await jobs.mark_partial_succeeded(extracted.lease, RESULT, LARGE)
    return job.id


@pytest.mark.parametrize("move", ["mark_running", "mark_bbox_refining"])
async def test_a_worker_that_stops_amid_its_claim_holds_up_neither_the_jobs_nor_the_log(
    jobs: JobRepository, database: Database, database_url: str, move: str
) -> None:
    job_id = await waiting(jobs, move)
    async with asyncio.timeout(LONG), stopped(database_url, move):
        while (await jobs.get(TENANT, [job_id]))[job_id].state not in (State.RUNNING, State.REFINING_BBOXES):
            await asyncio.sleep(0.02)
        while await GroupRepository(database).horizon():
            await asyncio.sleep(0.02)
        assert await jobs.mark_cancelled(TENANT, job_id, running=True)


async def test_bodies_that_do_not_come_with_the_claim_are_read_after_it(jobs: JobRepository) -> None:
    await waiting(jobs, "mark_running")
    [extracting] = await jobs.mark_running(1, LEASE, uuid4())
    assert extracting.request is None
    assert await jobs.bodies(extracting) == Bodies(LARGE)

    assert await jobs.mark_partial_succeeded(extracting.lease, RESULT, b"pages")
    [refining] = await jobs.mark_bbox_refining(1, LEASE, uuid4())
    assert await jobs.bodies(refining) == Bodies(LARGE, RESULT, b"pages")

    assert await jobs.mark_cancelled(TENANT, refining.id, running=True)
    assert await jobs.delete(TENANT, refining.id)
    assert await jobs.bodies(refining) is None


@pytest.fixture(params=["direct", "PgBouncer"])
def way(request: pytest.FixtureRequest, databases: Databases, database_url: str) -> Iterator[str]:
    """A way to the test's database."""
    if request.param == "direct":
        yield database_url
        return
    with pgbouncer(databases.url, mode="session") as pooler:
        yield pooler.url(database_url)


async def test_a_session_that_writes_and_is_not_read_from_ends(
    jobs: JobRepository, database: Database, way: str
) -> None:
    """Whatever the statement: the server gives up an answer that nobody takes. Of ours it does after ten seconds."""
    await database.execute(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET tcp_user_timeout = 500',"
        " current_user, current_database()); END $$"
    )
    [job_id] = await submitted(jobs)
    write = "UPDATE queue SET hand_backs = hand_backs RETURNING repeat('x', $1)"
    async with asyncio.timeout(LONG), stopped(way, write, str(len(LARGE))):
        while await database.fetch("SELECT FROM pg_stat_activity WHERE application_name = $1", NAME):
            await asyncio.sleep(0.02)
        assert [job.id for job in await jobs.mark_running(1, LEASE, uuid4())] == [job_id]
