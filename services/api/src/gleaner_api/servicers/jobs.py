"""JobService: translates, asks the repository, translates."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1 import results_pb2
from gleaner.v1.jobs_pb2_grpc import JobServiceServicer
from gleaner_api import messages, names, outlines, paging
from gleaner_api.batch import Batches
from gleaner_api.patience import patiently
from gleaner_api.submission import Submission
from gleaner_api.validation import RequestCheck
from gleaner_api.watch import Tailer
from gleaner_core.errors import (
    Draining,
    Finding,
    InvalidRequest,
    JobNotCancellable,
    JobNotDeletable,
    JobNotFound,
    JobNotRetryable,
    NoResult,
    ResultNotReady,
    StreamLimit,
    Unavailable,
)
from gleaner_core.states import Refinement, State
from gleaner_repo import Job, JobFilter, JobRepository
from gleaner_repo.jobs import NEWEST
from gleaner_rpc import Context, Offers, Places, tenant

LONGEST_WAIT = timedelta(seconds=60)
"""How long a GetJobResult may wait, by the rules in the proto."""

_PAGE_SIZE = 50
_PAGE_BYTES = 4 << 20
_AT_A_TIME = 100
_SIGN_OF_LIFE_S = 15.0
_AT_WORK = frozenset({State.RUNNING, State.REFINING_BBOXES})
_WITH_VALUES = frozenset({State.PARTIAL_SUCCEEDED, State.REFINING_BBOXES, State.SUCCEEDED})


class JobServicer(JobServiceServicer):
    """Runs extractions in the background."""

    def __init__(
        self,
        *,
        jobs: JobRepository,
        submission: Submission,
        check: RequestCheck,
        tailer: Tailer,
        offers: Offers,
        answers: Places,
        longest: timedelta,
    ) -> None:
        self._jobs = jobs
        self._answers = answers
        self._longest_s = longest.total_seconds()
        self._submission = submission
        self._check = check
        self._tailer = tailer
        self._offers = offers
        self._batches = Batches(jobs=jobs, submission=submission, check=check, offers=offers)

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Context) -> pb.SubmitJobResponse:
        """The job, stored."""
        response = pb.SubmitJobResponse()
        await self._submit(tenant(context), request, response.job)
        return response

    async def BatchSubmitJobs(self, request: pb.BatchSubmitJobsRequest, context: Context) -> pb.BatchSubmitJobsResponse:
        """A result for each request."""
        if findings := outlines.findings_of_batch(request):
            raise InvalidRequest(findings)
        return await self._batches.submit(tenant(context), request.requests)

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        """The job as it is."""
        return pb.GetJobResponse(job=messages.job(await self._found(tenant(context), names.job_id(request.name))))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        """A page of jobs."""
        size = request.page_size or _PAGE_SIZE
        below = paging.position(request, tenant(context))
        await self._answers.take()
        page, more = await self._page(tenant(context), _filter(request), NEWEST if below is None else below[0], size)
        token = paging.next_token(request, tenant(context), page[-1].id) if more else ""
        return pb.ListJobsResponse(jobs=[messages.job(job) for job in page], next_page_token=token)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        """The job, cancelled now or before."""
        tenant_id, job_id = tenant(context), names.job_id(request.name)
        while True:
            cancelled = await patiently(
                lambda: self._jobs.mark_cancelled(
                    tenant_id, job_id, running=request.allow_running, reason=request.reason
                )
            )
            # Only now read why nothing was changed, if nothing was.
            job = await self._found(tenant_id, job_id)
            if cancelled or State.CANCELLED in (job.state, job.refinement):
                return pb.CancelJobResponse(job=messages.job(job))
            if job.over or (job.state in _AT_WORK and not request.allow_running):
                raise JobNotCancellable(str(job_id), job.state)
            # It was at work when it was asked, and waits again.

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        """The job, alive now or before."""
        tenant_id, job_id = tenant(context), names.job_id(request.name)
        job = await self._found(tenant_id, job_id)
        if job.over and job.state is State.SUCCEEDED:
            raise JobNotRetryable(str(job_id), job.state)
        if job.over:
            ended = job.series
            await patiently(lambda: self._jobs.retry(tenant_id, job_id, ended))
            job = await self._found(tenant_id, job_id)  # in its next series, whoever began it, and perhaps over again
            self._offers()
        return pb.RetryJobResponse(job=messages.job(job))

    async def DeleteJob(self, request: pb.DeleteJobRequest, context: Context) -> pb.DeleteJobResponse:
        """Nothing: the job is gone."""
        tenant_id, job_id = tenant(context), names.job_id(request.name)
        if not request.allow_missing:
            await self._found(tenant_id, job_id)  # before: afterwards it might have been ours that is missing
        while not await patiently(lambda: self._jobs.delete(tenant_id, job_id)):
            job = (await self._jobs.get(tenant_id, [job_id])).get(job_id)
            if job is None:
                break
            if not job.over:
                raise JobNotDeletable(str(job_id), job.state)
        return pb.DeleteJobResponse()

    async def GetJobResult(self, request: pb.GetJobResultRequest, context: Context) -> pb.GetJobResultResponse:
        """The newest result, waited for if that is asked."""
        tenant_id, job_id = tenant(context), names.job_id(request.name)
        job = await self._found(tenant_id, job_id)
        if (seconds := request.wait_timeout.ToTimedelta().total_seconds()) and not _has_come(job, request.wait_for):
            await self._wait(job, request.wait_for, seconds)
        await self._answers.take()
        job, result = await self._result(tenant_id, job_id)
        if result is None:
            raise _why_none(job)
        return pb.GetJobResultResponse(job=messages.job(job), result=results_pb2.ExtractionResult.FromString(result))

    async def WatchJob(self, request: pb.WatchJobRequest, context: Context) -> AsyncIterator[pb.WatchJobResponse]:
        """The job as it is, then its moves, until the one that ends it."""
        job = await self._found(tenant(context), names.job_id(request.name))
        yield pb.WatchJobResponse(job=messages.job(job))
        if job.over and not await self._jobs.events_of({job.id: max(request.after_seq, job.seq - 1)}):
            return  # all was seen, or its events are not kept any more
        now, seen = job.seq, request.after_seq
        clock = asyncio.get_running_loop().time
        until = clock() + self._longest_s
        async with self._tailer.following(job.id, request.after_seq) as moves:
            while True:
                if (left := until - clock()) <= 0:
                    raise StreamLimit
                try:
                    async with asyncio.timeout(min(left, _SIGN_OF_LIFE_S)):
                        event = await moves.next()
                except TimeoutError:
                    if await self._was_seen_to_its_end(job, seen):
                        return
                    yield pb.WatchJobResponse()
                    continue
                if event is None:
                    raise Draining
                job, seen = messages.after(job, event), event.seq
                yield pb.WatchJobResponse(job=messages.job(job), event=messages.event(event))
                if event.final and event.seq >= now:
                    return

    async def _submit(self, tenant_id: str, request: pb.SubmitJobRequest, job: pb.Job) -> None:
        """Tells of the job that has the request. Raises InvalidRequest with all findings, or KeyReused."""
        digests = await self._check.admitted(request)
        while True:
            answer = await self._submission.store(tenant_id, request, digests)
            if answer.created:
                self._offers()
                messages.submitted(job, request, answer.id, answer.created_at)
                return
            with suppress(JobNotFound):  # deleted since: nobody has the request now
                job.CopyFrom(messages.job(await self._found(tenant_id, answer.id)))
                return

    async def _page(self, tenant_id: str, only: JobFilter, below: UUID, size: int) -> tuple[list[Job], bool]:
        """The jobs of a page, fewer where what is to be shown of them is much; and whether more come after it."""
        page: list[Job] = []
        room = _PAGE_BYTES
        while True:
            limit = min(_AT_A_TIME, size + 1 - len(page))
            found = await patiently(partial(self._jobs.list_page, tenant_id, only, below=below, limit=limit))
            for job in found:
                if len(page) == size or (page and room < len(job.about)):
                    return page, True
                page.append(job)
                room -= len(job.about)
            if len(found) < limit:
                return page, False
            below = page[-1].id

    async def _was_seen_to_its_end(self, job: Job, seq: int) -> bool:
        """Whether who has seen a job's moves up to a seq has seen the last one, which may not be known as such: a
        failover that loses some has their seqs used anew, and a later version may have other ends."""
        try:
            now = (await self._jobs.get(job.tenant_id, [job.id])).get(job.id)
        except Unavailable:
            return False
        if now is None:
            raise JobNotFound(str(job.id))
        return now.over and now.seq <= seq

    async def _found(self, tenant_id: str, job_id: UUID) -> Job:
        job = (await patiently(lambda: self._jobs.get(tenant_id, [job_id]))).get(job_id)
        if job is None:
            raise JobNotFound(str(job_id))
        return job

    async def _wait(self, job: Job, wait_for: pb.WaitFor.ValueType, seconds: float) -> None:
        """Returns when what is waited for has come, or the time is over. Raises Draining."""
        try:
            async with asyncio.timeout(seconds), self._tailer.following(job.id, job.seq) as moves:
                while True:
                    if (event := await moves.next()) is None:
                        raise Draining
                    job = messages.after(job, event)
                    if _has_come(job, wait_for):
                        return
        except TimeoutError:
            pass  # the answer is what there is

    async def _result(self, tenant_id: str, job_id: UUID) -> tuple[Job, bytes | None]:
        """Job and result of the same moment."""
        job = await self._found(tenant_id, job_id)
        while True:
            result = await patiently(lambda: self._jobs.result(tenant_id, job_id))
            again = await self._found(tenant_id, job_id)
            if again.seq == job.seq:
                return job, result
            job = again


def _has_come(job: Job, wait_for: pb.WaitFor.ValueType) -> bool:
    return job.over or (wait_for == pb.WAIT_FOR_VALUES and job.state in _WITH_VALUES)


def _why_none(job: Job) -> NoResult | ResultNotReady:
    if not job.over:
        return ResultNotReady(str(job.id), job.state)
    why = f"{job.error.reason}: {job.error.message}" if job.error else job.reason or "no reason was given"
    return NoResult(str(job.id), job.state, why)


def _filter(request: pb.ListJobsRequest) -> JobFilter:
    return JobFilter(
        states=frozenset(State(pb.JobState.Name(state).removeprefix("JOB_STATE_")) for state in request.states),
        refinements=frozenset(
            Refinement(pb.RefinementState.Name(state).removeprefix("REFINEMENT_STATE_"))
            for state in request.refinements
        ),
        created_after=_moment(request, "created_after"),
        created_before=_moment(request, "created_before"),
        request_key=request.request_id or None,
    )


def _moment(request: pb.ListJobsRequest, field: Literal["created_after", "created_before"]) -> datetime | None:
    if not request.HasField(field):
        return None
    time: Timestamp = getattr(request, field)
    try:
        return time.ToDatetime(UTC)
    except ValueError:  # valid protobuf, and no time: outside of the years 1 to 9999, or with nanos of a second or more
        raise InvalidRequest([Finding(field, "BAD_TIME", "is no time from year 1 to 9999; mind its nanos")]) from None
