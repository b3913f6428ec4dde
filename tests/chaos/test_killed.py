"""kill -9 of the real processes in the middle of real work: no job is lost, none ends twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from gleaner.v1 import jobs_pb2
from gleaner_client import GleanerClient, load_schema
from gleaner_repo import DatabaseSettings, JobRepository, open_database
from gleaner_stack.supervisor import Stack, StackOptions
from support.jobs import Events

SAMPLES = Path(__file__).parents[2] / "samples"
SHORT = {
    "GLEANER_JOB_RUN_LEASE_S": "3",
    "GLEANER_BBOX_REFINE_LEASE_S": "3",
    "GLEANER_HEARTBEAT_S": "1",
    "GLEANER_POLL_MAX_S": "1",
    "GLEANER_RESCUE_INTERVAL_S": "0.5",
    "GLEANER_SLOTS": "2",
}
PATIENCE = 100


@pytest.fixture
async def stack(database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    with (tmp_path / "stack.log").open("w", encoding="utf-8") as log:
        options = StackOptions(database_url=database_url, workers=2, environment=SHORT)
        async with Stack(options, lambda name, line: print(f"{name} | {line}", file=log, flush=True)) as running:
            yield running


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[GleanerClient]:
    async with GleanerClient(stack.api_address) as opened:
        yield opened


async def _submitted(client: GleanerClient, count: int) -> list[str]:
    schema = load_schema(SAMPLES / "receipt.schema.json")
    return [(await client.submit([SAMPLES / "receipt.jpg"], schema)).name for _ in range(count)]


async def _seen(client: GleanerClient, job: str, state: "jobs_pb2.JobState.ValueType") -> None:
    async for message in client.watch(job):
        if message.job.state == state:
            return


async def _all_over(client: GleanerClient, jobs: list[str]) -> list[jobs_pb2.Job]:
    async def over(job: str) -> jobs_pb2.Job:
        async for _ in client.watch(job):
            pass
        return await client.get(job)

    async with asyncio.timeout(PATIENCE):
        return list(await asyncio.gather(*(over(job) for job in jobs)))


@pytest.mark.timeout(180)
async def test_a_worker_killed_in_the_middle_of_a_job_loses_nothing(
    stack: Stack, client: GleanerClient, database_url: str
) -> None:
    jobs = await _submitted(client, 4)
    await _seen(client, jobs[0], jobs_pb2.JOB_STATE_RUNNING)
    stack.kill("worker-1")
    stack.kill("worker-2")
    ended = await _all_over(client, jobs)

    assert {job.state for job in ended} == {jobs_pb2.JOB_STATE_SUCCEEDED}
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        repository = JobRepository(database)
        ids = list(await repository.get("default", [UUID(job.removeprefix("jobs/")) for job in jobs]))
        events = Events(repository, database)
        await events.check(ids)
        rescued = [job_id for job_id in ids if "job.rescued" in await events.types(job_id)]
    assert rescued, "at least the first job ran when its worker was killed"
    result = (await client.result(jobs[0])).result
    assert any(field.HasField("value") for field in result.documents[0].fields)


@pytest.mark.timeout(180)
async def test_a_bbox_worker_and_the_api_may_be_killed_at_any_moment(stack: Stack, client: GleanerClient) -> None:
    jobs = await _submitted(client, 2)
    for name in ("api", "bbox-worker-1", "reaper-1"):
        stack.kill(name)
    await stack.serving()
    assert {job.state for job in await _all_over(client, jobs)} == {jobs_pb2.JOB_STATE_SUCCEEDED}
