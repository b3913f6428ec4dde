"""Whatever a request says, no call is answered with a fault of ours, and none is left without an answer."""

import os
import random
from collections.abc import AsyncIterator, Iterable, Iterator

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf import text_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gleaner.v1 import events_pb2, extraction_pb2, jobs_pb2, version_pb2, webhooks_pb2
from gleaner_repo import DatabaseSettings, JobRepository, open_database
from support.any_message import AnyMessage
from support.api import RESULT, Api, claimed
from support.requests import PDF, a_request, a_submit

REQUESTS = int(os.environ.get("GLEANER_TEST_ANY_REQUESTS", "60"))  # a method
METHODS: list[MethodDescriptor] = [
    method
    for module in (jobs_pb2, events_pb2, extraction_pb2, webhooks_pb2, version_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
SUBSCRIBE = next(method for method in METHODS if method.name == "SubscribeEvents")
LATE = grpc.StatusCode.DEADLINE_EXCEEDED
FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
}
IN_TIME, STREAM_S = 60, 0.3
ENDPOINT = webhooks_pb2.Endpoint(url="https://example.org/hook", event_types=["job.failed", "job.submitted"])
MASK = FieldMask(paths=["url", "event_types", "description", "disabled"])


async def known(api: Api) -> list[str]:
    """Names and tokens that the api gave for what there is: jobs in several states, an endpoint, deliveries, pages."""
    alive, over, cancelled = [await api.submitted(callback_url="https://example.org/hook") for _ in range(3)]
    await api.jobs.mark_succeeded((await claimed(api, over)).lease, RESULT.SerializeToString())
    await api.stub.CancelJob(jobs_pb2.CancelJobRequest(name=cancelled.name))
    page: jobs_pb2.ListJobsResponse = await api.stub.ListJobs(jobs_pb2.ListJobsRequest(page_size=1))
    deliveries = webhooks_pb2.ListDeliveriesRequest(page_size=1)
    listed: webhooks_pb2.ListDeliveriesResponse = await api.channel.unary_unary(
        "/gleaner.v1.WebhookService/ListDeliveries",
        webhooks_pb2.ListDeliveriesRequest.SerializeToString,
        webhooks_pb2.ListDeliveriesResponse.FromString,
    )(deliveries)
    created: webhooks_pb2.CreateEndpointResponse = await api.channel.unary_unary(
        "/gleaner.v1.WebhookService/CreateEndpoint",
        webhooks_pb2.CreateEndpointRequest.SerializeToString,
        webhooks_pb2.CreateEndpointResponse.FromString,
    )(webhooks_pb2.CreateEndpointRequest(endpoint=ENDPOINT))
    return [
        *(job.name for job in (alive, over, cancelled)),
        created.endpoint.name,
        *ENDPOINT.event_types,
        *MASK.paths,
        *(delivery.name for delivery in listed.deliveries),
        page.next_page_token,
        listed.next_page_token,
        "a-group",
        "invoice",
    ]


def good(method: MethodDescriptor, names: list[str]) -> Message:
    """A request that the method carries out."""
    request = GetMessageClass(method.input_type)()
    match request:
        case jobs_pb2.SubmitJobRequest():
            return a_submit(request_id="a-key", metadata={"a": "b"}, correlation_id="c")
        case jobs_pb2.BatchSubmitJobsRequest():
            return jobs_pb2.BatchSubmitJobsRequest(requests=[a_submit(), a_submit(request_id="another")])
        case extraction_pb2.ValidateRequestRequest():
            return extraction_pb2.ValidateRequestRequest(request=a_request())
        case webhooks_pb2.CreateEndpointRequest():
            return webhooks_pb2.CreateEndpointRequest(endpoint=ENDPOINT, request_id="a-key")
        case webhooks_pb2.UpdateEndpointRequest():
            updated = webhooks_pb2.UpdateEndpointRequest(endpoint=ENDPOINT, update_mask=MASK)
            updated.endpoint.name = an_endpoint(names)
            return updated
        case webhooks_pb2.RotateEndpointSecretRequest():
            return webhooks_pb2.RotateEndpointSecretRequest(name=an_endpoint(names), request_id="a-key")
        case webhooks_pb2.GetEndpointRequest() | webhooks_pb2.DeleteEndpointRequest():
            return type(request)(name=an_endpoint(names))
        case events_pb2.SubscribeEventsRequest():
            return events_pb2.SubscribeEventsRequest(start=events_pb2.SubscriptionStart(group="a-group"))
    for field, value in (("name", names[0]), ("group", "a-group"), ("page_size", 2)):
        if field in method.input_type.fields_by_name:
            setattr(request, field, value)
    return request


def an_endpoint(names: list[str]) -> str:
    return next(name for name in names if name.startswith("endpoints/"))


async def answer(channel: grpc.aio.Channel, method: MethodDescriptor, request: Message) -> grpc.StatusCode:
    """The status that the call ends with, or the worst in its answer; OK for a stream that goes on."""
    name = f"/{method.containing_service.full_name}/{method.name}"
    coded = type(request).SerializeToString, GetMessageClass(method.output_type).FromString
    try:
        if not method.server_streaming:
            told = await channel.unary_unary(name, *coded)(request, timeout=IN_TIME)
            return worst(told.results) if isinstance(told, jobs_pb2.BatchSubmitJobsResponse) else grpc.StatusCode.OK
        if isinstance(request, events_pb2.SubscribeEventsRequest):
            async for _ in channel.stream_stream(name, *coded)(iter(said(request)), timeout=STREAM_S):
                pass
        else:
            async for _ in channel.unary_stream(name, *coded)(request, timeout=STREAM_S):
                pass
    except grpc.aio.AioRpcError as error:
        return grpc.StatusCode.OK if method.server_streaming and error.code() is LATE else error.code()
    return grpc.StatusCode.OK


def worst(results: Iterable[jobs_pb2.BatchSubmitJobsResult]) -> grpc.StatusCode:
    codes = {result.error.code for result in results}
    return next((fault for fault in FAULTS if fault.value[0] in codes), grpc.StatusCode.OK)


def said(request: events_pb2.SubscribeEventsRequest) -> list[Message]:
    """What is said on a stream: nothing more after what ends it, for then gRPC itself may say INTERNAL."""
    if request.HasField("ack") or request.HasField("nack"):
        return [good(SUBSCRIBE, []), request]
    return [request]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strings(served: tuple[str, str]) -> AsyncIterator[list[str]]:
    address, url = served
    async with (
        open_database(DatabaseSettings(database_url=url, database_pool_size=1)) as database,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield await known(Api(channel, JobRepository(database)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_whatever_is_asked_is_answered_and_by_no_fault(
    api: Api, strings: list[str], method: MethodDescriptor
) -> None:
    chance = random.Random(f"{method.full_name} {os.environ.get('GLEANER_TEST_SEED', '')}")
    messages = AnyMessage(chance, strings, [PDF])
    wrong = []
    for request in asked(messages, method, strings):
        code = await answer(api.channel, method, request)
        if code in FAULTS or code is LATE:
            wrong.append(f"{code.name}: {text_format.MessageToString(request)}")
    assert not wrong, "\n\n".join(wrong[:5])


def asked(messages: AnyMessage, method: MethodDescriptor, strings: list[str]) -> Iterator[Message]:
    """Requests of all kinds, from almost right to nonsense."""
    fine = good(method, strings)
    yield fine
    for _ in range(REQUESTS // 3):
        yield messages.of(method.input_type)
        once = messages.changed(fine)
        yield once
        yield messages.changed(messages.changed(once))
