import asyncio
from collections.abc import AsyncIterable
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner_core.errors import JobError
from gleaner_repo import DatabaseSettings, open_database
from support.api import RESULT, Api, claimed, id_of
from support.grpc_errors import detail, fields, reason, refused
from support.requests import PDF, a_submit

Code = grpc.StatusCode
NOBODY = "jobs/01890000-0000-7000-8000-000000000000"
FAILED = JobError("DOCUMENT_DAMAGED", "cannot be read")


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=value))
    return duration


class TestSubmit:
    async def test_a_job_is_queued_and_shows_what_was_asked(self, api: Api) -> None:
        job = await api.submitted(
            request_id="r-1", correlation_id="c-1", metadata={"a": "b"}, callback_url="https://example.com/hook"
        )

        assert (job.state, job.seq, job.series) == (pb.JOB_STATE_QUEUED, 1, 1)
        assert (job.request_id, job.correlation_id, dict(job.metadata)) == ("r-1", "c-1", {"a": "b"})
        assert (job.callback_url, list(job.documents)) == ("https://example.com/hook", ["invoice.pdf"])
        assert (await api.stub.GetJob(pb.GetJobRequest(name=job.name))).job == job

    async def test_what_is_stored_is_the_request_with_its_documents_by_digest(self, api: Api) -> None:
        job = await api.submitted()
        request = (await claimed(api, job)).request
        assert request is not None, "it is small"
        stored = stored_pb2.StoredRequest.FromString(request)

        assert stored.schema == a_submit().request.schema
        assert [len(document.sha256) for document in stored.documents] == [32]

    async def test_any_number_of_calls_with_a_request_id_make_one_job(self, api: Api) -> None:
        jobs = await asyncio.gather(*(api.submitted(request_id="same") for _ in range(20)))

        assert len({job.name for job in jobs}) == 1

    async def test_without_a_request_id_every_call_makes_a_job(self, api: Api) -> None:
        first, second = await api.submitted(), await api.submitted()

        assert first.name != second.name

    @pytest.mark.parametrize(
        "other",
        [{"metadata": {"k": "v"}}, {"callback_url": "https://example.com"}, {"content": PDF + b"\n"}],
        ids=["metadata", "callback", "content"],
    )
    async def test_a_request_id_of_another_request_is_refused_with_its_job(
        self, api: Api, other: dict[str, object]
    ) -> None:
        first = await api.submitted(request_id=f"taken-{sorted(other)}")
        answer = await refused(api.submitted(request_id=f"taken-{sorted(other)}", **other))

        assert (answer.code(), reason(answer)) == (Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
        resource = detail(answer, error_details_pb2.ResourceInfo)
        assert resource is not None
        assert resource.resource_name == first.name


class TestCancel:
    async def test_a_waiting_job_is_cancelled_with_its_reason_and_again_is_fine(self, api: Api) -> None:
        job = await api.submitted()
        first = await api.stub.CancelJob(pb.CancelJobRequest(name=job.name, reason="not needed"))
        again = await api.stub.CancelJob(pb.CancelJobRequest(name=job.name))

        assert (first.job.state, first.job.cancel_reason) == (pb.JOB_STATE_CANCELLED, "not needed")
        assert again.job == first.job

    async def test_a_job_that_runs_is_cancelled_only_if_the_caller_says_so(self, api: Api) -> None:
        job = await api.submitted()
        run = await claimed(api, job)
        answer = await refused(api.stub.CancelJob(pb.CancelJobRequest(name=job.name)))
        done = await api.stub.CancelJob(pb.CancelJobRequest(name=job.name, allow_running=True))

        assert (answer.code(), reason(answer)) == (Code.FAILED_PRECONDITION, "JOB_NOT_CANCELLABLE")
        assert "allow_running" in (answer.details() or "")
        assert done.job.state == pb.JOB_STATE_CANCELLED
        assert await api.jobs.mark_succeeded(run.lease, b"") is None

    async def test_cancelling_the_search_for_boxes_keeps_the_result(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_partial_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString(), b"")
        done = await api.stub.CancelJob(pb.CancelJobRequest(name=job.name))
        result = await api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name))

        assert (done.job.state, done.job.refinement) == (
            pb.JOB_STATE_PARTIAL_SUCCEEDED,
            pb.REFINEMENT_STATE_CANCELLED,
        )
        assert result.result == RESULT

    async def test_what_succeeded_or_is_unknown_cannot_be_cancelled(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString())
        over = await refused(api.stub.CancelJob(pb.CancelJobRequest(name=job.name, allow_running=True)))
        nobody = await refused(api.stub.CancelJob(pb.CancelJobRequest(name=NOBODY)))

        assert (over.code(), reason(over)) == (Code.FAILED_PRECONDITION, "JOB_NOT_CANCELLABLE")
        assert (nobody.code(), reason(nobody)) == (Code.NOT_FOUND, "JOB_NOT_FOUND")


class TestResult:
    async def test_before_there_is_one_the_caller_is_told_to_ask_again(self, api: Api) -> None:
        job = await api.submitted()
        answer = await refused(api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name)))
        waited = await refused(api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name, wait_timeout=seconds(0.05))))

        for told in (answer, waited):
            assert (told.code(), reason(told)) == (Code.FAILED_PRECONDITION, "RESULT_NOT_READY")
            assert detail(told, error_details_pb2.RetryInfo) is not None

    async def test_it_can_be_read_as_often_as_wanted(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString())

        for _ in range(2):
            answer = await api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name))
            assert (answer.result, answer.job.state) == (RESULT, pb.JOB_STATE_SUCCEEDED)

    async def test_a_failed_or_cancelled_job_says_why_there_is_none(self, api: Api) -> None:
        failed, cancelled = await api.submitted(), await api.submitted()
        await api.jobs.mark_failed((await claimed(api, failed)).lease, FAILED)
        await api.stub.CancelJob(pb.CancelJobRequest(name=cancelled.name, reason="changed my mind"))
        first = await refused(api.stub.GetJobResult(pb.GetJobResultRequest(name=failed.name)))
        second = await refused(api.stub.GetJobResult(pb.GetJobResultRequest(name=cancelled.name)))

        assert (first.code(), reason(first)) == (Code.FAILED_PRECONDITION, "JOB_FAILED")
        assert "DOCUMENT_DAMAGED" in (first.details() or "")
        assert (second.code(), reason(second)) == (Code.FAILED_PRECONDITION, "JOB_CANCELLED")
        assert "changed my mind" in (second.details() or "")

    async def test_waiting_for_values_and_waiting_for_the_end(self, api: Api) -> None:
        job = await api.submitted()
        run = await claimed(api, job)
        values = asyncio.ensure_future(
            api.stub.GetJobResult(
                pb.GetJobResultRequest(name=job.name, wait_timeout=seconds(30), wait_for=pb.WAIT_FOR_VALUES)
            )
        )
        end = asyncio.ensure_future(
            api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name, wait_timeout=seconds(30)))
        )
        await api.jobs.mark_partial_succeeded(run.lease, RESULT.SerializeToString(), b"")
        assert (await asyncio.wait_for(values, 10)).job.state == pb.JOB_STATE_PARTIAL_SUCCEEDED
        assert not end.done()
        await api.jobs.mark_cancelled("default", id_of(job))

        assert (await asyncio.wait_for(end, 10)).job.refinement == pb.REFINEMENT_STATE_CANCELLED

    async def test_who_waits_for_one_job_waits_for_no_other_writer_of_the_server(
        self, api: Api, served: tuple[str, str]
    ) -> None:
        """What holds back the log, and with it all groups, holds back nobody who waits for a job or watches it."""
        job = await api.submitted()
        async with (
            open_database(DatabaseSettings(database_url=served[1], database_pool_size=1)) as database,
            database.pool.acquire() as other,
            other.transaction(),
        ):
            await other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # however slow this machine is
            await other.execute("SELECT pg_current_xact_id()")
            waiting = asyncio.ensure_future(
                api.stub.GetJobResult(pb.GetJobResultRequest(name=job.name, wait_timeout=seconds(30)))
            )
            stream = api.stub.WatchJob(pb.WatchJobRequest(name=job.name), timeout=20)
            watching = asyncio.ensure_future(_events(stream))
            await api.jobs.mark_succeeded((await claimed(api, job)).lease, RESULT.SerializeToString())
            assert (await asyncio.wait_for(waiting, 20)).result == RESULT
            assert (await asyncio.wait_for(watching, 20))[-1] == "job.succeeded"

    async def test_nobody_has_no_result(self, api: Api) -> None:
        answer = await refused(api.stub.GetJobResult(pb.GetJobResultRequest(name=NOBODY)))

        assert answer.code() is Code.NOT_FOUND


async def _events(stream: AsyncIterable[pb.WatchJobResponse]) -> list[str]:
    return [message.event.type async for message in stream if message.HasField("event")]


class TestWatch:
    async def test_the_job_as_it_is_and_then_every_move_until_the_last(self, api: Api) -> None:
        job = await api.submitted()
        stream = api.stub.WatchJob(pb.WatchJobRequest(name=job.name, after_seq=job.seq), timeout=20)
        messages = aiter(stream)
        first = await anext(messages)
        run = await claimed(api, job)
        started = await anext(messages)
        await api.jobs.mark_failed(run.lease, FAILED)
        rest = [message async for message in messages]

        assert first.job == job
        assert not first.HasField("event")
        assert (started.event.type, started.job.state, started.job.attempt) == (
            "job.started",
            pb.JOB_STATE_RUNNING,
            1,
        )
        assert [message.event.type for message in rest] == ["job.failed"]
        assert rest[-1].event.final
        assert rest[-1].job.error.reason == "DOCUMENT_DAMAGED"

    async def test_a_broken_stream_is_taken_up_where_it_broke(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_failed((await claimed(api, job)).lease, FAILED)

        async def seen(after: int) -> list[int]:
            stream = api.stub.WatchJob(pb.WatchJobRequest(name=job.name, after_seq=after), timeout=20)
            return [message.event.seq async for message in stream if message.HasField("event")]

        everything = await seen(0)
        assert everything == list(range(1, len(everything) + 1))
        assert await seen(everything[-2]) == everything[-1:]
        assert await seen(everything[-1]) == []

    async def test_nobody_cannot_be_watched(self, api: Api) -> None:
        answer = await refused(api.stub.WatchJob(pb.WatchJobRequest(name=NOBODY)).read())

        assert (answer.code(), reason(answer)) == (Code.NOT_FOUND, "JOB_NOT_FOUND")


class TestList:
    async def test_pages_follow_each_other_newest_first(self, api: Api) -> None:
        submitted = [(await api.submitted()).name for _ in range(6)]
        names: list[str] = []
        token = ""
        while len(names) < 6:
            page = await api.stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=token))
            assert len(page.jobs) == 2
            names += [job.name for job in page.jobs]
            token = page.next_page_token

        assert names == submitted[::-1]

    async def test_only_what_the_filter_says(self, api: Api) -> None:
        job = await api.submitted(request_id="only-me")
        before = pb.ListJobsRequest(request_id="only-me", created_before=job.create_time)
        since = pb.ListJobsRequest(request_id="only-me", created_after=job.create_time)
        failed = pb.ListJobsRequest(request_id="only-me", states=[pb.JOB_STATE_FAILED])

        assert [found.name for found in (await api.stub.ListJobs(since)).jobs] == [job.name]
        assert not (await api.stub.ListJobs(before)).jobs
        assert not (await api.stub.ListJobs(failed)).jobs

    async def test_by_the_state_of_the_refinement(self, api: Api) -> None:
        job = await api.submitted()
        await api.jobs.mark_partial_succeeded((await claimed(api, job)).lease, b"", b"")
        page = await api.stub.ListJobs(pb.ListJobsRequest(refinements=[pb.REFINEMENT_STATE_PENDING]))

        assert job.name in [found.name for found in page.jobs]

    async def test_a_token_of_another_filter_or_of_nobody_is_refused(self, api: Api) -> None:
        await asyncio.gather(*(api.submitted() for _ in range(2)))
        token = (await api.stub.ListJobs(pb.ListJobsRequest(page_size=1))).next_page_token
        other = await refused(api.stub.ListJobs(pb.ListJobsRequest(page_token=token, request_id="x")))
        nonsense = await refused(api.stub.ListJobs(pb.ListJobsRequest(page_token="nonsense")))

        assert fields(other) == {"page_token": "OTHER_FILTER"}
        assert fields(nonsense) == {"page_token": "UNKNOWN_TOKEN"}
