import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2

from gleaner.v1 import jobs_pb2 as pb
from gleaner_core import errors
from gleaner_core.errors import Finding, GleanerError
from gleaner_rpc import Context
from gleaner_rpc.status import TABLE
from support.grpc_errors import detail, fields, reason, refused

Code = grpc.StatusCode
NAME = "jobs/01890000-0000-7000-8000-000000000000"
GET = "/gleaner.v1.JobService/GetJob"
SUBMIT = "/gleaner.v1.JobService/SubmitJob"
WATCH = "/gleaner.v1.JobService/WatchJob"

ROWS: list[tuple[GleanerError, Code, str]] = [
    (errors.InvalidRequest([Finding("a", "B", "c")]), Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    (errors.JobNotFound("1"), Code.NOT_FOUND, "JOB_NOT_FOUND"),
    (errors.DeliveryNotFound("deliveries/1"), Code.NOT_FOUND, "DELIVERY_NOT_FOUND"),
    (errors.EndpointNotFound("endpoints/1"), Code.NOT_FOUND, "ENDPOINT_NOT_FOUND"),
    (errors.JobNotCancellable("1", "RUNNING"), Code.FAILED_PRECONDITION, "JOB_NOT_CANCELLABLE"),
    (errors.JobNotRetryable("1", "SUCCEEDED"), Code.FAILED_PRECONDITION, "JOB_NOT_RETRYABLE"),
    (errors.JobNotDeletable("1", "RUNNING"), Code.FAILED_PRECONDITION, "JOB_NOT_DELETABLE"),
    (errors.ResultNotReady("1", "RUNNING"), Code.FAILED_PRECONDITION, "RESULT_NOT_READY"),
    (errors.NoResult("1", "FAILED", "why"), Code.FAILED_PRECONDITION, "JOB_FAILED"),
    (errors.NoResult("1", "CANCELLED", "why"), Code.FAILED_PRECONDITION, "JOB_CANCELLED"),
    (errors.KeyReused("1"), Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED"),
    (errors.EndpointDiffers("endpoints/1"), Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED"),
    (errors.TooManyEndpoints(), Code.RESOURCE_EXHAUSTED, "TOO_MANY_ENDPOINTS"),
    (errors.GroupNotFound("audit"), Code.NOT_FOUND, "GROUP_NOT_FOUND"),
    (errors.GroupExpired("audit"), Code.OUT_OF_RANGE, "GROUP_EXPIRED"),
    (errors.GroupDiffers("audit"), Code.FAILED_PRECONDITION, "GROUP_DIFFERS"),
    (errors.GroupLost("audit"), Code.ABORTED, "GROUP_LOST"),
    (errors.NoRoom(), Code.RESOURCE_EXHAUSTED, "NO_ROOM"),
    (errors.DeadlinePassed(timedelta(seconds=1)), Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
    (errors.Unavailable(), Code.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
    (errors.PeerUnavailable("the worker"), Code.UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    (errors.Draining(), Code.UNAVAILABLE, "DRAINING"),
    (errors.StreamLimit(), Code.UNAVAILABLE, "STREAM_LIMIT"),
    (errors.DocumentEncrypted("x"), Code.FAILED_PRECONDITION, "DOCUMENT_ENCRYPTED"),
    (errors.ModelRefused("x"), Code.FAILED_PRECONDITION, "MODEL_REFUSED"),
    (errors.ModelRejected("x"), Code.FAILED_PRECONDITION, "MODEL_REJECTED"),
    (errors.ModelUnknown("x"), Code.FAILED_PRECONDITION, "MODEL_UNKNOWN"),
    (errors.ModelThrottled("x"), Code.RESOURCE_EXHAUSTED, "MODEL_THROTTLED"),
    (errors.ModelUnavailable("x"), Code.ABORTED, "MODEL_UNAVAILABLE"),
    (errors.WorkTimeout("x"), Code.DEADLINE_EXCEEDED, "WORK_TIMEOUT"),
    (errors.ChildDied("x"), Code.ABORTED, "CHILD_DIED"),
    (errors.WorkError("x"), Code.FAILED_PRECONDITION, "WORK_FAILED"),
]


@pytest.mark.parametrize(("error", "code", "told"), ROWS, ids=lambda value: type(value).__name__)
async def test_an_error_is_answered_as_its_row_says(
    started: Any, script: Any, error: GleanerError, code: Code, told: str
) -> None:
    async def fail(context: Context) -> pb.GetJobResponse:
        raise error

    script.get = fail
    async with started() as running:
        answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))

    assert (answer.code(), reason(answer)) == (code, told)
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    assert (detail(answer, error_details_pb2.RetryInfo) is not None) == row.retry
    assert (detail(answer, error_details_pb2.ResourceInfo) is not None) == hasattr(error, "job_id")
    assert (detail(answer, error_details_pb2.PreconditionFailure) is not None) == (code is Code.FAILED_PRECONDITION)


def test_every_row_of_the_table_is_tried() -> None:
    tried = {kind for error, _, _ in ROWS for kind in type(error).__mro__}

    assert set(TABLE) <= tried


async def test_a_bug_is_internal_and_told_to_the_log_alone(
    started: Any, script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(context: Context) -> pb.GetJobResponse:
        raise RuntimeError("secret")

    script.get = fail
    async with started() as running:
        with caplog.at_level(logging.ERROR):
            answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))

    assert answer.code() is Code.INTERNAL
    assert "secret" not in str(answer.debug_error_string()) + str(answer.details())
    told = detail(answer, error_details_pb2.RequestInfo)
    assert told is not None
    [record] = [record for record in caplog.records if record.name == "gleaner_rpc.concerns"]
    assert vars(record)["request_id"] == told.request_id


async def test_all_violations_are_told_at_once_with_their_paths(started: Any) -> None:
    async with started() as running:
        request = pb.SubmitJobRequest(request_id="a b", correlation_id="\0", metadata={"k": "\0"})
        request.request.documents.add(name="\0")
        answer = await refused(running.jobs.SubmitJob(request))

    assert answer.code() is Code.INVALID_ARGUMENT
    assert fields(answer) == {
        "request.documents[0].source": "REQUIRED",
        "request.documents[0].name": "NUL",
        "request.schema": "REQUIRED",
        "request_id": "STRING_PATTERN",
        "correlation_id": "NUL",
        'metadata["k"]': "NUL",
    }


async def test_more_findings_than_fit_into_a_trailer_are_counted(started: Any) -> None:
    async with started() as running:
        request = pb.SubmitJobRequest()
        for _ in range(20):
            request.request.documents.add(name="\0", media_type="\0" * 500, document_type="\0" * 100)
        answer = await refused(running.jobs.SubmitJob(request))

    assert answer.code() is Code.INVALID_ARGUMENT
    assert fields(answer)[""] == "MORE"


async def test_bytes_that_are_no_message_are_the_callers_fault(started: Any) -> None:
    async with started() as running:
        answer = await refused(running.channel.unary_unary(GET)(b"\xff\xff\xff"))

    assert answer.code() is Code.INVALID_ARGUMENT
    assert fields(answer) == {"": "MALFORMED"}


async def test_a_message_beyond_the_limit_is_resource_exhausted(started: Any) -> None:
    async with started(max_message_bytes=1024 * 1024) as running:
        answer = await refused(running.channel.unary_unary(SUBMIT)(b"x" * (1024 * 1024 + 1)))

    assert answer.code() is Code.RESOURCE_EXHAUSTED


async def forever(context: Context) -> pb.GetJobResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_call_without_a_deadline_gets_the_servers(started: Any, script: Any) -> None:
    script.get = forever
    async with started(limits={GET: timedelta(milliseconds=50)}) as running:
        answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))

    assert (answer.code(), reason(answer)) == (Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    assert script.cancelled.is_set()


async def test_the_callers_deadline_ends_the_servicer(started: Any, script: Any) -> None:
    script.get = forever
    async with started() as running:
        answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME), timeout=0.05))
        await asyncio.wait_for(script.cancelled.wait(), 5)

    assert answer.code() is Code.DEADLINE_EXCEEDED


async def test_a_caller_who_hangs_up_ends_the_servicer(started: Any, script: Any) -> None:
    script.get = forever
    async with started() as running:
        call = running.jobs.GetJob(pb.GetJobRequest(name=NAME))
        await asyncio.wait_for(script.began.wait(), 5)
        call.cancel()
        await asyncio.wait_for(script.cancelled.wait(), 5)


async def test_a_stream_that_is_hung_up_on_leaves_nothing_open(started: Any, script: Any) -> None:
    async with started() as running:
        call = running.jobs.WatchJob(pb.WatchJobRequest(name=NAME))
        await call.read()
        call.cancel()
        await asyncio.wait_for(script.cancelled.wait(), 5)


async def test_calls_beyond_the_limit_are_refused_at_once(started: Any, script: Any) -> None:
    script.get = forever
    async with started(max_concurrent_rpcs=1) as running:
        first = running.jobs.GetJob(pb.GetJobRequest(name=NAME))
        await asyncio.wait_for(script.began.wait(), 5)
        answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))
        stream = await refused(running.jobs.WatchJob(pb.WatchJobRequest(name=NAME)).read())
        first.cancel()

    assert (answer.code(), reason(answer)) == (Code.RESOURCE_EXHAUSTED, "NO_ROOM")
    assert (stream.code(), reason(stream)) == (Code.RESOURCE_EXHAUSTED, "NO_ROOM")


async def test_calls_with_documents_wait_for_each_other(started: Any, script: Any) -> None:
    running_at_once, most = 0, 0

    async def count(context: Context) -> pb.GetJobResponse:
        nonlocal running_at_once, most
        running_at_once += 1
        most = max(most, running_at_once)
        await asyncio.sleep(0)
        running_at_once -= 1
        return pb.GetJobResponse()

    script.get = count
    async with started(heavy=(GET,), max_document_rpcs=2) as running:
        await asyncio.gather(*(running.jobs.GetJob(pb.GetJobRequest(name=NAME)) for _ in range(20)))

    assert most <= 2


async def test_a_call_with_documents_that_waited_too_long_is_refused(started: Any, script: Any) -> None:
    script.get = forever
    async with started(heavy=(GET,), max_document_rpcs=1, admission_wait=timedelta(milliseconds=20)) as running:
        first = running.jobs.GetJob(pb.GetJobRequest(name=NAME))
        await asyncio.wait_for(script.began.wait(), 5)
        answer = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))
        first.cancel()
        await asyncio.wait_for(script.cancelled.wait(), 5)
        script.get = script._answer
        await running.jobs.GetJob(pb.GetJobRequest(name=NAME))

    assert reason(answer) == "NO_ROOM"


async def test_a_request_that_does_not_arrive_is_given_up_and_its_slot_is_free(started: Any, script: Any) -> None:
    async with started(
        heavy=(GET,), max_document_rpcs=1, upload_limit=timedelta(milliseconds=50), admission_wait=timedelta(seconds=5)
    ) as running:
        dawdling = running.channel.stream_unary(GET)()  # opened, and nothing said
        answer = await refused(dawdling)
        await running.jobs.GetJob(pb.GetJobRequest(name=NAME))

    assert (answer.code(), reason(answer)) == (Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    assert running.server.gate.running == 0


async def test_a_request_that_has_arrived_has_the_whole_of_its_time(started: Any, script: Any) -> None:
    limit, upload = timedelta(seconds=30), timedelta(seconds=29.99)

    async def longer_than_the_difference(context: Context) -> pb.GetJobResponse:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.Event().wait()
        return pb.GetJobResponse()

    script.get = longer_than_the_difference
    async with started(limits={GET: limit}, upload_limit=upload) as running:
        await running.jobs.GetJob(pb.GetJobRequest(name=NAME))


async def test_a_call_that_ends_without_a_request_is_the_callers_fault(started: Any) -> None:
    async with started() as running:
        answer = await refused(running.channel.stream_unary(GET)(iter(())))

    assert (answer.code(), fields(answer)) == (Code.INVALID_ARGUMENT, {"": "MALFORMED"})


async def test_a_drain_ends_streams_lets_calls_finish_and_takes_no_more(started: Any, script: Any) -> None:
    finish = asyncio.Event()

    async def wait(context: Context) -> pb.GetJobResponse:
        await finish.wait()
        return pb.GetJobResponse()

    script.get = wait
    async with started() as running:
        stream = running.jobs.WatchJob(pb.WatchJobRequest(name=NAME))
        await stream.read()
        under_way = running.jobs.GetJob(pb.GetJobRequest(name=NAME))
        await asyncio.wait_for(script.began.wait(), 5)

        drained = asyncio.create_task(running.server.gate.drain())
        ended = await refused(stream.read())
        late = await refused(running.jobs.GetJob(pb.GetJobRequest(name=NAME)))
        assert not drained.done()
        finish.set()
        await under_way
        await asyncio.wait_for(drained, 5)

    assert (ended.code(), reason(ended)) == (Code.UNAVAILABLE, "DRAINING")
    assert (late.code(), reason(late)) == (Code.UNAVAILABLE, "DRAINING")


async def test_clients_are_asked_to_connect_anew_and_lose_no_call(started: Any, script: Any) -> None:
    """Else new replicas would get nothing: a client looks for them only when a connection ends."""
    peers: set[str] = set()

    async def tell(context: Context) -> pb.GetJobResponse:
        peers.add(context.peer())
        return pb.GetJobResponse(job=pb.Job(name=NAME))

    script.get = tell
    async with started(GLEANER_MAX_CONNECTION_AGE_S=1.0) as running, asyncio.timeout(20):
        while len(peers) < 3:
            assert (await running.jobs.GetJob(pb.GetJobRequest(name=NAME))).job.name == NAME
            await asyncio.sleep(0.02)
