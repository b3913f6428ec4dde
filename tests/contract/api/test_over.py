"""What can be done with a job that is over: retry it, delete it; and what cannot."""

import asyncio

import grpc
import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner_core.errors import JobError
from gleaner_core.ids import uuid7
from support.api import RESULT, Api, claimed, id_of
from support.grpc_errors import reason, refused
from support.jobs import LEASE
from support.requests import a_submit

Code = grpc.StatusCode
NOBODY = "jobs/01890000-0000-7000-8000-000000000000"
FAILED = JobError("DOCUMENT_DAMAGED", "cannot be read")


async def failed(api: Api, **rest: str) -> pb.Job:
    job = await api.submitted(**rest)
    await api.jobs.mark_failed((await claimed(api, job)).lease, FAILED)
    return job


async def succeeded(api: Api) -> pb.Job:
    job = await api.submitted()
    await api.jobs.mark_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString())
    return job


async def refinement_cancelled(api: Api) -> pb.Job:
    job = await api.submitted()
    await api.jobs.mark_partial_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString(), b"")
    await api.stub.CancelJob(pb.CancelJobRequest(name=job.name, reason="enough"))
    return job


async def retried(api: Api, job: pb.Job) -> pb.Job:
    answer: pb.RetryJobResponse = await api.stub.RetryJob(pb.RetryJobRequest(name=job.name))
    return answer.job


async def deleted(api: Api, job: pb.Job, *, allow_missing: bool = False) -> None:
    await api.stub.DeleteJob(pb.DeleteJobRequest(name=job.name, allow_missing=allow_missing))


class TestRetry:
    async def test_a_failed_job_waits_again_as_the_next_series(self, api: Api) -> None:
        job = await retried(api, await failed(api))

        assert (job.state, job.series, job.attempt) == (pb.JOB_STATE_QUEUED, 2, 0)
        assert not job.HasField("error")
        assert not job.HasField("end_time")
        assert await claimed(api, job)

    async def test_a_cancelled_search_for_boxes_waits_again_and_the_values_stay(self, api: Api) -> None:
        job = await retried(api, await refinement_cancelled(api))
        result = await api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name))

        assert (job.state, job.refinement) == (pb.JOB_STATE_PARTIAL_SUCCEEDED, pb.REFINEMENT_STATE_PENDING)
        assert job.series == 2
        assert result.result == RESULT

    async def test_what_is_alive_or_retried_already_is_answered_unchanged(self, api: Api) -> None:
        job = await failed(api)
        waiting = await api.submitted()
        answers = await asyncio.gather(*(retried(api, job) for _ in range(10)))

        assert await retried(api, waiting) == waiting
        assert {(answer.series, answer.seq) for answer in answers} == {(2, answers[0].seq)}

    async def test_what_succeeded_or_is_unknown_cannot_be_retried(self, api: Api) -> None:
        over = await refused(retried(api, await succeeded(api)))
        nobody = await refused(retried(api, pb.Job(name=NOBODY)))

        assert (over.code(), reason(over)) == (Code.FAILED_PRECONDITION, "JOB_NOT_RETRYABLE")
        assert (nobody.code(), reason(nobody)) == (Code.NOT_FOUND, "JOB_NOT_FOUND")

    async def test_each_series_has_one_final_event(self, api: Api) -> None:
        job = await failed(api)
        await retried(api, job)
        await api.jobs.mark_failed((await claimed(api, job)).lease, FAILED)
        stream = api.stub.WatchJob(pb.WatchJobRequest(name=job.name), timeout=20)
        events = [message.event async for message in stream if message.HasField("event")]

        assert [event.series for event in events if event.final] == [1, 2]
        assert "job.retried" in [event.type for event in events]

    async def test_one_whose_events_are_not_kept_any_more_is_shown_as_it_is(self, api: Api) -> None:
        job = await failed(api)
        await api.jobs._database.execute("DELETE FROM events WHERE job_id = $1", id_of(job))
        stream = api.stub.WatchJob(pb.WatchJobRequest(name=job.name), timeout=20)

        [only] = [message async for message in stream]
        assert (only.job.name, only.job.state, only.HasField("event")) == (job.name, pb.JOB_STATE_FAILED, False)


class TestDelete:
    async def test_a_job_that_is_over_is_gone_with_its_result(self, api: Api) -> None:
        for job in (await succeeded(api), await failed(api), await refinement_cancelled(api)):
            await deleted(api, job)
            for call in (
                api.stub.GetJob(pb.GetJobRequest(name=job.name)),
                api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name)),
                api.stub.CancelJob(pb.CancelJobRequest(name=job.name)),
                api.stub.RetryJob(pb.RetryJobRequest(name=job.name)),
                api.stub.WatchJob(pb.WatchJobRequest(name=job.name)).read(),
            ):
                answer = await refused(call)
                assert (answer.code(), reason(answer)) == (Code.NOT_FOUND, "JOB_NOT_FOUND")

    async def test_what_is_alive_is_left_alone(self, api: Api) -> None:
        waiting, at_work, refining = await api.submitted(), await api.submitted(), await api.submitted()
        await api.jobs.mark_partial_succeeded((await claimed(api, refining)).lease, b"", b"")
        await claimed(api, at_work)

        for job in (waiting, at_work, refining):
            answer = await refused(deleted(api, job, allow_missing=True))
            assert (answer.code(), reason(answer)) == (Code.FAILED_PRECONDITION, "JOB_NOT_DELETABLE")
            assert (await api.stub.GetJob(pb.GetJobRequest(name=job.name))).job.name == job.name

    async def test_what_is_not_there_is_told_unless_the_caller_does_not_mind(self, api: Api) -> None:
        job = await failed(api)
        await deleted(api, job)
        again = await refused(deleted(api, job))
        await deleted(api, job, allow_missing=True)

        assert (again.code(), reason(again)) == (Code.NOT_FOUND, "JOB_NOT_FOUND")

    async def test_its_request_id_is_free_again_and_its_document_stored_again(self, api: Api) -> None:
        job = await failed(api, request_id="deleted")
        await deleted(api, job)
        second = await api.submitted(request_id="deleted")

        assert second.name != job.name
        assert second.state == pb.JOB_STATE_QUEUED

    async def test_a_document_whose_bytes_were_removed_meanwhile_is_stored_again(self, api: Api) -> None:
        request = a_submit()
        request.request.documents[0].content += b"% removed\n"
        job = (await api.stub.SubmitJob(request)).job
        await api.stub.CancelJob(pb.CancelJobRequest(name=job.name))
        await deleted(api, job)
        removed = await api.jobs._database.fetch(
            "DELETE FROM documents WHERE doomed_at IS NOT NULL AND size = $1 RETURNING digest",
            len(request.request.documents[0].content),
        )
        again = (await api.stub.SubmitJob(request)).job

        assert len(removed) == 1
        assert (await claimed(api, again)).id == id_of(again)


class TestCancel:
    async def test_a_cancelled_search_for_boxes_can_be_cancelled_again(self, api: Api) -> None:
        job = await refinement_cancelled(api)
        again = await api.stub.CancelJob(
            pb.CancelJobRequest(name=job.name, reason="another reason", allow_running=True)
        )

        assert (again.job.state, again.job.refinement, again.job.cancel_reason) == (
            pb.JOB_STATE_PARTIAL_SUCCEEDED,
            pb.REFINEMENT_STATE_CANCELLED,
            "enough",
        )

    @pytest.mark.parametrize("running", [False, True], ids=["waiting", "running"])
    async def test_a_search_for_boxes_is_cancelled_with_its_reason(self, api: Api, running: bool) -> None:
        job = await api.submitted()
        await api.jobs.mark_partial_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString(), b"")
        if running:
            [mine] = [one for one in await api.jobs.mark_bbox_refining(100, LEASE, uuid7()) if one.id == id_of(job)]
            refusal = await refused(api.stub.CancelJob(pb.CancelJobRequest(name=job.name)))
            assert reason(refusal) == "JOB_NOT_CANCELLABLE"
        done = await api.stub.CancelJob(pb.CancelJobRequest(name=job.name, reason="late", allow_running=running))

        assert (done.job.refinement, done.job.cancel_reason) == (pb.REFINEMENT_STATE_CANCELLED, "late")
        if running:
            assert await api.jobs.mark_bbox_refined(mine.lease, b"") is None

    async def test_a_job_whose_refinement_failed_is_over_and_cannot_be_cancelled(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_partial_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString(), b"")
        [mine] = [one for one in await api.jobs.mark_bbox_refining(100, LEASE, uuid7()) if one.id == id_of(job)]
        await api.jobs.mark_bbox_refine_failed(mine.lease, FAILED)
        answer = await refused(api.stub.CancelJob(pb.CancelJobRequest(name=job.name, allow_running=True)))

        assert (answer.code(), reason(answer)) == (Code.FAILED_PRECONDITION, "JOB_NOT_CANCELLABLE")
