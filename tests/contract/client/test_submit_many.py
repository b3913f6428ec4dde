"""Many jobs in few calls, and what becomes of each."""

import grpc
import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import (
    GleanerClient,
    InvalidRequest,
    KeyReused,
    NotDeletable,
    NotRetryable,
    document,
    submit_request,
)
from support.client_messages import JOB, a_job, a_schema
from support.scripted_server import Failure, ScriptedServer

DOWN = Failure(grpc.StatusCode.UNAVAILABLE, "the database does not answer", reason="DATABASE_UNAVAILABLE")


async def a_request(request_id: str = "", size: int = 8) -> pb.SubmitJobRequest:
    return await submit_request([document(bytes(size), name="a.pdf")], a_schema(), request_id=request_id)


def stored(count: int) -> pb.BatchSubmitJobsResponse:
    return pb.BatchSubmitJobsResponse(results=[pb.BatchSubmitJobsResult(job=a_job())] * count)


async def test_each_request_has_its_job_or_its_error(client: GleanerClient, server: ScriptedServer) -> None:
    refusal = Failure(
        grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST", violations=[("request.schema", "REQUIRED", "x")]
    )
    reused = Failure(grpc.StatusCode.ALREADY_EXISTS, reason="IDEMPOTENCY_KEY_REUSED", resource=JOB)
    answer = stored(1)
    answer.results.add(error=refusal.status())
    answer.results.add(error=reused.status())
    server.script("BatchSubmitJobs", answer)

    job, invalid, taken = await client.submit_many([await a_request() for _ in range(3)])

    assert isinstance(job, pb.Job)
    assert isinstance(invalid, InvalidRequest)
    assert [finding.field for finding in invalid.findings] == ["request.schema"]
    assert isinstance(taken, KeyReused)
    assert taken.resource == JOB


async def test_every_try_sends_the_same_request_ids_and_the_callers_own(
    client: GleanerClient, server: ScriptedServer
) -> None:
    server.script("BatchSubmitJobs", DOWN, stored(2))

    await client.submit_many([await a_request("mine"), await a_request()])

    tries = [[request.request_id for request in call.requests] for call in server.calls["BatchSubmitJobs"]]
    assert len(tries) == 2
    assert tries[0] == tries[1]
    assert tries[0][0] == "mine"
    assert tries[0][1]


@pytest.mark.parametrize(
    ("count", "size", "calls"),
    [(0, 1, []), (1000, 1, [1000]), (1001, 1, [1000, 1]), (5, 15 << 20, [2, 2, 1])],
    ids=["none", "full", "too many", "too large"],
)
async def test_a_call_holds_as_many_as_it_may(
    client: GleanerClient, server: ScriptedServer, count: int, size: int, calls: list[int]
) -> None:
    server.script("BatchSubmitJobs", *map(stored, calls or [0]))

    found = await client.submit_many([await a_request("r", size)] * count)

    assert [len(call.requests) for call in server.calls["BatchSubmitJobs"]] == calls
    assert len(found) == count


async def test_a_job_is_retried_and_deleted(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("RetryJob", pb.RetryJobResponse(job=a_job()))
    server.script("DeleteJob", pb.DeleteJobResponse())

    assert (await client.retry(JOB)).name == JOB
    await client.delete(JOB.removeprefix("jobs/"), allow_missing=True)

    assert server.calls["DeleteJob"] == [pb.DeleteJobRequest(name=JOB, allow_missing=True)]


async def test_a_job_that_is_not_so_is_told_by_its_own_error(client: GleanerClient, server: ScriptedServer) -> None:
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    server.script("RetryJob", Failure(precondition, reason="JOB_NOT_RETRYABLE"))
    server.script("DeleteJob", Failure(precondition, reason="JOB_NOT_DELETABLE"))

    with pytest.raises(NotRetryable):
        await client.retry(JOB)
    with pytest.raises(NotDeletable):
        await client.delete(JOB)
