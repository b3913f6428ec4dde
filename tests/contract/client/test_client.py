from uuid import UUID

import grpc
import pytest

from gleaner.v1 import extraction_pb2, jobs_pb2, version_pb2, webhooks_pb2
from gleaner_client import (
    DocumentRejected,
    GleanerClient,
    InvalidRequest,
    KeyReused,
    NoResult,
    NoRoom,
    NotFound,
    NotReady,
    ServerFault,
    Unavailable,
    document,
)
from gleaner_client.errors import Finding
from support.client_messages import (
    ENDPOINT,
    JOB,
    SECRET,
    a_delivery,
    a_job,
    a_move,
    a_result,
    a_schema,
    an_answer,
    an_endpoint,
    as_it_is,
)
from support.scripted_server import Failure, ScriptedServer

DOWN = Failure(grpc.StatusCode.UNAVAILABLE, "the database does not answer", reason="DATABASE_UNAVAILABLE")
SMALL = document(b"%PDF-1.4", name="invoice.pdf")
QUEUED = jobs_pb2.SubmitJobResponse(job=a_job())


async def test_a_submit_is_tried_again_with_the_same_request_id(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("SubmitJob", DOWN, DOWN, QUEUED)

    job = await client.submit([SMALL], a_schema())

    assert job.name == JOB
    ids = [call.request_id for call in server.calls["SubmitJob"]]
    assert len(ids) == 3 and len(set(ids)) == 1
    assert UUID(ids[0])


async def test_a_large_submit_is_tried_again_too(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("SubmitJob", DOWN, QUEUED)
    large = document(bytes(30 * 2**20), name="scan.pdf")

    await client.submit([large], a_schema())

    assert len(server.calls["SubmitJob"]) == 2


async def test_each_submit_has_a_request_id_of_its_own(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("SubmitJob", QUEUED)
    await client.submit([SMALL], a_schema())
    await client.submit([SMALL], a_schema())
    first, second = server.calls["SubmitJob"]
    assert first.request_id != second.request_id


async def test_tries_end_after_the_fourth(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("GetJob", DOWN)
    with pytest.raises(Unavailable) as caught:
        await client.get(JOB)
    assert caught.value.reason == "DATABASE_UNAVAILABLE"
    assert len(server.calls["GetJob"]) == 4


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL", "UNKNOWN"])
async def test_no_other_status_is_tried_again(client: GleanerClient, server: ScriptedServer, code: str) -> None:
    server.script("GetJob", Failure(grpc.StatusCode[code]))
    with pytest.raises(Exception, match="it failed"):
        await client.get(JOB)
    assert len(server.calls["GetJob"]) == 1


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with GleanerClient("127.0.0.1:1", timeout=10) as client:
        with pytest.raises(Unavailable):
            await client.version()


async def test_all_findings_of_a_request_arrive(client: GleanerClient, server: ScriptedServer) -> None:
    violations = [("request.schema.a", "DUPLICATE_NAME", "rename it"), ("request.documents", "TOO_FEW", "send one")]
    server.script(
        "SubmitJob", Failure(grpc.StatusCode.INVALID_ARGUMENT, violations=violations, reason="INVALID_REQUEST")
    )
    with pytest.raises(InvalidRequest) as caught:
        await client.submit([SMALL], a_schema())
    assert caught.value.findings == tuple(Finding(*violation) for violation in violations)


async def test_a_reused_key_names_its_job(client: GleanerClient, server: ScriptedServer) -> None:
    server.script(
        "SubmitJob",
        Failure(grpc.StatusCode.ALREADY_EXISTS, reason="IDEMPOTENCY_KEY_REUSED", resource=JOB),
    )
    with pytest.raises(KeyReused) as caught:
        await client.submit([SMALL], a_schema())
    assert caught.value.resource == JOB


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("NOT_FOUND", "JOB_NOT_FOUND", NotFound),
        ("FAILED_PRECONDITION", "RESULT_NOT_READY", NotReady),
        ("FAILED_PRECONDITION", "JOB_FAILED", NoResult),
        ("FAILED_PRECONDITION", "DOCUMENT_ENCRYPTED", DocumentRejected),
        ("RESOURCE_EXHAUSTED", "NO_ROOM", NoRoom),
        ("INTERNAL", "", ServerFault),
    ],
)
async def test_a_status_becomes_its_error(
    client: GleanerClient, server: ScriptedServer, code: str, reason: str, kind: type[Exception]
) -> None:
    server.script("GetJobResult", Failure(grpc.StatusCode[code], reason=reason, retry_delay=2.5))
    with pytest.raises(kind) as caught:
        await client.result(JOB)
    assert type(caught.value) is kind
    assert caught.value.retry_after == 2.5  # type: ignore[attr-defined]


async def test_a_request_over_the_limit_is_refused_before_it_is_sent(
    client: GleanerClient, server: ScriptedServer
) -> None:
    halves = [document(bytes(21 * 2**20), name=name) for name in ("a.pdf", "b.pdf")]
    with pytest.raises(InvalidRequest, match="MiB"):
        await client.submit(halves, a_schema())
    assert not server.calls


async def test_a_list_goes_on_over_its_pages(client: GleanerClient, server: ScriptedServer) -> None:
    server.script(
        "ListJobs",
        jobs_pb2.ListJobsResponse(jobs=[a_job(seq=1), a_job(seq=2)], next_page_token="more"),
        jobs_pb2.ListJobsResponse(jobs=[a_job(seq=3)]),
    )
    jobs = [job async for job in client.list(states=[jobs_pb2.JOB_STATE_QUEUED])]
    assert [job.seq for job in jobs] == [1, 2, 3]
    assert [call.page_token for call in server.calls["ListJobs"]] == ["", "more"]


async def test_a_wait_for_a_result_lasts_until_the_job_is_over(client: GleanerClient, server: ScriptedServer) -> None:
    not_ready = Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="RESULT_NOT_READY", retry_delay=0.01)
    server.script("GetJobResult", not_ready, an_answer("SUCCEEDED"))
    answer = await client.result(JOB, wait=20)
    assert answer.job.state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert len(server.calls["GetJobResult"]) == 2


async def test_values_without_boxes_are_the_answer_when_the_wait_is_over(
    client: GleanerClient, server: ScriptedServer
) -> None:
    server.script("GetJobResult", an_answer("PARTIAL_SUCCEEDED", refinement="PENDING"))
    answer = await client.result(JOB, wait=0.05)
    assert answer.result == a_result()


async def test_submit_and_wait_returns_the_result(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("SubmitJob", QUEUED)
    server.script("GetJobResult", an_answer())
    assert (await client.submit_and_wait([SMALL], a_schema())).result == a_result()


async def test_a_broken_watch_goes_on_where_it_broke(client: GleanerClient, server: ScriptedServer) -> None:
    queued, running, done = a_job(), a_job("RUNNING", seq=2), a_job("SUCCEEDED", seq=3)
    server.script(
        "WatchJob",
        [as_it_is(queued), a_move("job.submitted", queued), a_move("job.started", running), DOWN],
        [as_it_is(running), jobs_pb2.WatchJobResponse()],  # a sign of life, and an end that is none
        [as_it_is(done), a_move("job.succeeded", done, final=True)],
    )

    seen = [(message.event.type, message.job.seq) async for message in client.watch(JOB)]

    assert seen == [("", 1), ("job.submitted", 1), ("job.started", 2), ("", 3), ("job.succeeded", 3)]
    assert [call.after_seq for call in server.calls["WatchJob"]] == [0, 2, 2]


async def test_a_watch_ends_when_only_the_search_for_boxes_was_given_up(
    client: GleanerClient, server: ScriptedServer
) -> None:
    server.script("WatchJob", [as_it_is(a_job("PARTIAL_SUCCEEDED", seq=6, refinement="FAILED"))])
    assert len([message async for message in client.watch(JOB)]) == 1


async def test_a_watch_of_no_job_is_not_tried_again(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("WatchJob", Failure(grpc.StatusCode.NOT_FOUND, reason="JOB_NOT_FOUND"))
    with pytest.raises(NotFound):
        _ = [message async for message in client.watch(JOB)]
    assert len(server.calls["WatchJob"]) == 1


async def test_the_other_calls_give_what_the_server_says(server: ScriptedServer) -> None:
    server.script("Extract", extraction_pb2.ExtractResponse(result=a_result()))
    server.script("ValidateRequest", extraction_pb2.ValidateRequestResponse(valid=True))
    server.script("GetVersion", version_pb2.GetVersionResponse(version="0.1.0"))
    server.script("CancelJob", jobs_pb2.CancelJobResponse(job=a_job("CANCELLED")))
    async with GleanerClient(f"http://{server.address}", metadata={"x-tenant": "acme"}) as client:
        assert await client.extract([SMALL], a_schema()) == a_result()
        assert (await client.validate([], a_schema())).valid
        assert (await client.version()).version == "0.1.0"
        cancelled = await client.cancel(JOB.removeprefix("jobs/"), allow_running=True, reason="no need")
    assert cancelled.state == jobs_pb2.JOB_STATE_CANCELLED
    assert server.calls["CancelJob"][0].name == JOB
    assert all(metadata["x-tenant"] == "acme" for metadata in server.metadata)


async def test_what_makes_a_secret_is_tried_again_with_the_same_request_id(
    client: GleanerClient, server: ScriptedServer
) -> None:
    busy = Failure(grpc.StatusCode.UNAVAILABLE)
    made = webhooks_pb2.CreateEndpointResponse(endpoint=an_endpoint(), secret=SECRET)
    rotated = webhooks_pb2.RotateEndpointSecretResponse(endpoint=an_endpoint(), secret=SECRET)
    server.script("CreateEndpoint", busy, made)
    server.script("RotateEndpointSecret", busy, rotated)

    assert await client.create_endpoint("https://example.org/hook", ["job.failed"]) == made
    assert await client.rotate_endpoint_secret(ENDPOINT) == rotated

    for method in ("CreateEndpoint", "RotateEndpointSecret"):
        first, second = server.calls[method]
        assert first.request_id == second.request_id != ""
    assert server.calls["CreateEndpoint"][0].request_id != server.calls["RotateEndpointSecret"][0].request_id


async def test_endpoints_go_on_over_their_pages(client: GleanerClient, server: ScriptedServer) -> None:
    first = webhooks_pb2.ListEndpointsResponse(endpoints=[an_endpoint()], next_page_token="more")
    server.script("ListEndpoints", first, webhooks_pb2.ListEndpointsResponse(endpoints=[an_endpoint(disabled=True)]))

    assert [endpoint.disabled async for endpoint in client.endpoints()] == [False, True]
    assert [request.page_token for request in server.calls["ListEndpoints"]] == ["", "more"]


async def test_deliveries_go_on_over_their_pages(client: GleanerClient, server: ScriptedServer) -> None:
    first = webhooks_pb2.ListDeliveriesResponse(deliveries=[a_delivery()], next_page_token="more")
    server.script("ListDeliveries", first, webhooks_pb2.ListDeliveriesResponse(deliveries=[a_delivery()]))

    found = [delivery async for delivery in client.deliveries(states=[webhooks_pb2.DELIVERY_STATE_DEAD])]
    assert found == [a_delivery()] * 2
    assert [(request.page_token, request.job) for request in server.calls["ListDeliveries"]] == [("", ""), ("more", "")]


async def test_an_update_names_what_is_given_also_where_that_is_empty(
    client: GleanerClient, server: ScriptedServer
) -> None:
    server.script("UpdateEndpoint", webhooks_pb2.UpdateEndpointResponse(endpoint=an_endpoint()))

    await client.update_endpoint(ENDPOINT, url="https://example.org/2", event_types=["job.started"])
    await client.update_endpoint(ENDPOINT.removeprefix("endpoints/"), description="", disabled=False)

    first, second = server.calls["UpdateEndpoint"]
    assert (list(first.update_mask.paths), list(first.endpoint.event_types)) == (
        ["url", "event_types"],
        ["job.started"],
    )
    assert (second.endpoint.name, list(second.update_mask.paths)) == (ENDPOINT, ["description", "disabled"])


async def test_too_many_endpoints_is_no_room(client: GleanerClient, server: ScriptedServer) -> None:
    server.script("CreateEndpoint", Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="TOO_MANY_ENDPOINTS"))
    with pytest.raises(NoRoom) as caught:
        await client.create_endpoint("https://example.org/hook", ["job.failed"])
    assert caught.value.reason == "TOO_MANY_ENDPOINTS"
