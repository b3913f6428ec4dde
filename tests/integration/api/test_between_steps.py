"""The servicer of jobs while somebody else moves the same job between two of its steps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner_api import names
from gleaner_api.documents import DocumentStore
from gleaner_api.servicers import JobServicer
from gleaner_api.servicers import jobs as jobs_servicer
from gleaner_api.submission import Submission
from gleaner_api.validation import DocumentCheck, RequestCheck
from gleaner_api.watch import Tailer
from gleaner_core.errors import JobError, StreamLimit, Unavailable
from gleaner_documents import PageReader, ReaderSettings
from gleaner_repo import Database, DocumentRepository, JobRepository, MovedJob, SubmitCoalescer
from gleaner_rpc import ChannelSettings, Offers, Peers, Places
from support.jobs import LEASE, TENANT, Events, a_job
from support.requests import a_submit

Step = Callable[[UUID], Awaitable[Any]]
CALL: Any = None  # nothing of it is asked


class Watched(JobRepository):
    """What is to happen after a cancel or a retry, and before a look at a job, happens once, or each time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.after_cancel: Step | None = None
        self.after_retry: Step | None = None
        self.before_get: Step | None = None

    async def mark_cancelled(
        self, tenant_id: str, job_id: UUID, *, running: bool = False, reason: str = ""
    ) -> MovedJob | None:
        moved = await super().mark_cancelled(tenant_id, job_id, running=running, reason=reason)
        then, self.after_cancel = self.after_cancel, None
        if then:
            await then(job_id)
        return moved

    async def retry(self, tenant_id: str, job_id: UUID, series: int | None = None) -> MovedJob | None:
        moved = await super().retry(tenant_id, job_id, series)
        if self.after_retry:
            await self.after_retry(job_id)
        return moved

    async def get(self, tenant_id: str, job_ids: Any) -> Any:
        ids = list(job_ids)
        then, self.before_get = self.before_get, None
        if then:
            await then(ids[0])
        return await super().get(tenant_id, ids)


@pytest.fixture
def watched(database: Database) -> Watched:
    return Watched(database)


@pytest.fixture
async def servicer(database: Database, watched: Watched) -> AsyncIterator[JobServicer]:
    coalescer, tailer = SubmitCoalescer(watched), Tailer(watched, every=0.01)
    async with (
        PageReader(ReaderSettings()) as reader,
        Peers("worker", (), ChannelSettings()) as nobody,
        asyncio.TaskGroup() as group,
    ):
        check = RequestCheck(
            DocumentCheck(reader), extractors=("embedded",), max_pages=10, allow_private=False, signs_webhooks=False
        )
        beside = [group.create_task(coalescer.run()), group.create_task(tailer.run(asyncio.Event()))]
        yield JobServicer(
            jobs=watched,
            submission=Submission(coalescer, DocumentStore(DocumentRepository(database))),
            check=check,
            tailer=tailer,
            offers=Offers(nobody, ChannelSettings()),
            answers=Places(4, timedelta(seconds=5)),
            longest=timedelta(minutes=1),
        )
        for task in beside:
            task.cancel()


async def submitted(jobs: JobRepository) -> tuple[UUID, str]:
    [job] = await jobs.submit([replace(a_job(), about=b"")])
    return job.id, names.of_job(job.id)


async def failed(jobs: JobRepository) -> tuple[UUID, str]:
    job_id, name = await submitted(jobs)
    await fail(jobs)
    return job_id, name


async def fail(jobs: JobRepository) -> None:
    [claimed] = await jobs.mark_running(1, LEASE, uuid4())
    assert await jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "cannot be read"))


async def test_a_cancel_that_was_made_is_told_so_though_the_job_was_retried_since(
    servicer: JobServicer, watched: Watched, events: Events
) -> None:
    job_id, name = await submitted(watched)
    watched.after_cancel = lambda _: JobRepository.retry(watched, TENANT, job_id)
    job = (await servicer.CancelJob(pb.CancelJobRequest(name=name), CALL)).job

    assert (job.state, job.series) == (pb.JOB_STATE_QUEUED, 2)
    assert await events.types(job_id) == ["job.submitted", "job.cancelled", "job.retried"]


async def test_a_job_that_waits_again_when_it_is_looked_at_is_cancelled_after_all(
    servicer: JobServicer, watched: Watched
) -> None:
    _, name = await submitted(watched)
    [claimed] = await watched.mark_running(1, LEASE, uuid4())
    watched.after_cancel = lambda _: watched.hand_back(claimed.lease)
    job = (await servicer.CancelJob(pb.CancelJobRequest(name=name), CALL)).job

    assert job.state == pb.JOB_STATE_CANCELLED


async def test_one_retry_begins_one_series_however_soon_that_one_fails(servicer: JobServicer, watched: Watched) -> None:
    _, name = await failed(watched)
    watched.after_retry = lambda _: fail(watched)
    job = (await servicer.RetryJob(pb.RetryJobRequest(name=name), CALL)).job

    assert (job.state, job.series) == (pb.JOB_STATE_FAILED, 2)


async def test_a_retry_whose_answer_was_lost_begins_no_second_series(servicer: JobServicer, watched: Watched) -> None:
    async def fail_and_say_nothing(_: UUID) -> None:
        watched.after_retry = None
        await fail(watched)
        raise Unavailable

    _, name = await failed(watched)
    watched.after_retry = fail_and_say_nothing
    job = (await servicer.RetryJob(pb.RetryJobRequest(name=name), CALL)).job

    assert (job.state, job.series) == (pb.JOB_STATE_FAILED, 2)


@pytest.mark.parametrize("batch", [False, True])
async def test_a_request_whose_job_is_deleted_while_it_is_looked_at_is_stored_anew(
    servicer: JobServicer, watched: Watched, batch: bool
) -> None:
    async def submit() -> pb.Job:
        request = a_submit(request_id="same")
        if not batch:
            return (await servicer.SubmitJob(request, CALL)).job
        [result] = (await servicer.BatchSubmitJobs(pb.BatchSubmitJobsRequest(requests=[request]), CALL)).results
        assert not result.HasField("error")
        return result.job

    before = await submit()

    async def delete(job_id: UUID) -> None:
        assert await JobRepository.mark_cancelled(watched, TENANT, job_id)
        assert await watched.delete(TENANT, job_id)

    watched.before_get = delete
    after = await submit()
    assert after.state == pb.JOB_STATE_QUEUED
    assert after.name != before.name


async def test_a_watch_that_begins_behind_the_last_move_ends_with_the_job(
    servicer: JobServicer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover that lost the job's last moves, whose seqs are used anew."""
    monkeypatch.setattr(jobs_servicer, "_SIGN_OF_LIFE_S", 0.05)
    job_id, name = await submitted(watched)
    watch = servicer.WatchJob(pb.WatchJobRequest(name=name, after_seq=5), CALL)
    async with asyncio.timeout(10):
        assert (await anext(watch)).job.seq == 1
        assert not (await anext(watch)).HasField("job")
        await watched.mark_cancelled(TENANT, job_id)
        assert not [message async for message in watch if message.HasField("event")]


async def test_a_move_that_a_later_version_made_ends_nobodys_watch(
    servicer: JobServicer, watched: Watched, database: Database
) -> None:
    """During a roll-out both versions are at work."""
    job_id, name = await submitted(watched)
    watch = servicer.WatchJob(pb.WatchJobRequest(name=name, after_seq=1), CALL)
    await anext(watch)
    await database.execute("UPDATE queue SET seq = 2 WHERE id = $1", job_id)
    await database.execute(
        "INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt)"
        " VALUES (1, gen_random_uuid(), $1, 2, $2, 77, 1, 1, 0)",
        job_id,
        TENANT,
    )
    async with asyncio.timeout(10):
        unknown = await anext(watch)
        assert (unknown.event.type, unknown.job.seq, unknown.job.state) == ("job.unknown_77", 2, pb.JOB_STATE_QUEUED)
        await watched.mark_cancelled(TENANT, job_id)
        assert [message.event.type async for message in watch] == ["job.cancelled"]


async def test_a_stream_that_has_lasted_long_enough_asks_to_be_taken_up_again(
    servicer: JobServicer, watched: Watched
) -> None:
    servicer._longest_s = 0.1
    _, name = await submitted(watched)
    with pytest.raises(StreamLimit):
        async for _ in servicer.WatchJob(pb.WatchJobRequest(name=name), CALL):
            pass


async def test_a_page_with_much_to_show_is_shorter_and_none_is_left_out(
    servicer: JobServicer, watched: Watched
) -> None:
    about = stored_pb2.JobAbout(metadata={"k": "x" * 100_000}).SerializeToString()
    made = {names.of_job(job.id) for job in await watched.submit([replace(a_job(), about=about) for _ in range(130)])}
    found: list[str] = []
    token, pages = "", 0
    while token or not pages:
        page = await servicer.ListJobs(pb.ListJobsRequest(page_size=110, page_token=token), CALL)
        assert page.ByteSize() < 5 << 20
        found += [job.name for job in page.jobs]
        token, pages = page.next_page_token, pages + 1
    assert (sorted(found), pages) == (sorted(made), 4)
