"""Endpoints of WebhookService on the real process: made, read, changed, rotated and deleted by their owner."""

from __future__ import annotations  # the stub's type is known to the checker alone

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from gleaner.v1 import webhooks_pb2 as pb
from gleaner.v1.webhooks_pb2_grpc import WebhookServiceStub
from gleaner_repo import DatabaseSettings, open_database
from gleaner_repo.moves import EVENT_TYPES
from support.api import API, Api
from support.grpc_errors import fields, reason, refused
from support.service_process import running

if TYPE_CHECKING:
    from gleaner.v1.webhooks_pb2_grpc import WebhookServiceAsyncStub

Code = grpc.StatusCode
URL = "https://example.com/hook"
NOBODY = "endpoints/01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def webhooks(api: Api, served: tuple[str, str]) -> WebhookServiceAsyncStub:
    """The service, of a tenant without endpoints."""
    async with open_database(DatabaseSettings(database_url=served[1], database_pool_size=1)) as database:
        await database.execute("DELETE FROM endpoints")
    return WebhookServiceStub(api.channel)


def asking(request_id: str = "", **other: Any) -> pb.CreateEndpointRequest:
    endpoint = {"url": URL, "event_types": ["job.succeeded", "job.failed"]} | other
    return pb.CreateEndpointRequest(endpoint=pb.Endpoint(**endpoint), request_id=request_id)


def updating(name: str, *paths: str, **other: Any) -> pb.UpdateEndpointRequest:
    return pb.UpdateEndpointRequest(endpoint=pb.Endpoint(name=name, **other), update_mask=FieldMask(paths=paths))


async def made(webhooks: WebhookServiceAsyncStub, **other: Any) -> pb.CreateEndpointResponse:
    return await webhooks.CreateEndpoint(asking(**other))


async def test_only_who_makes_an_endpoint_is_shown_its_secret(webhooks: WebhookServiceAsyncStub) -> None:
    answer = await made(webhooks, description="billing")
    told = answer.endpoint

    got = await webhooks.GetEndpoint(pb.GetEndpointRequest(name=told.name))
    listed = await webhooks.ListEndpoints(pb.ListEndpointsRequest())

    assert answer.secret.startswith("whsec_")
    assert len(base64.b64decode(answer.secret.removeprefix("whsec_"), validate=True)) == 32
    assert (told.url, list(told.event_types), told.description) == (URL, ["job.failed", "job.succeeded"], "billing")
    assert (told.disabled, told.HasField("disable_time"), told.HasField("create_time")) == (False, False, True)
    assert got.endpoint == told
    assert list(listed.endpoints) == [told]


async def test_two_endpoints_have_two_secrets(webhooks: WebhookServiceAsyncStub) -> None:
    assert (await made(webhooks)).secret != (await made(webhooks)).secret


async def test_every_type_of_event_may_be_asked_for(webhooks: WebhookServiceAsyncStub) -> None:
    answer = await made(webhooks, event_types=list(EVENT_TYPES))
    assert set(answer.endpoint.event_types) == EVENT_TYPES.keys()


async def test_the_same_request_id_makes_one_endpoint_and_tells_its_secret_again(
    webhooks: WebhookServiceAsyncStub,
) -> None:
    first = await webhooks.CreateEndpoint(asking("r-1"))
    again = await webhooks.CreateEndpoint(asking("r-1"))
    other = await refused(webhooks.CreateEndpoint(asking("r-1", url=URL + "/other")))

    assert again == first
    assert (other.code(), reason(other)) == (Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert first.endpoint.name in (other.details() or "")


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ({"url": ""}, {"endpoint.url": "BAD_URL"}),
        ({"url": "ftp://example.com"}, {"endpoint.url": "BAD_URL"}),
        ({"url": "http://169.254.169.254/latest"}, {"endpoint.url": "BAD_URL"}),
        ({"url": "https://localhost/hook"}, {"endpoint.url": "BAD_URL"}),
        ({"url": "https://user:password@example.com"}, {"endpoint.url": "BAD_URL"}),
        ({"url": "https://example.com/" + "x" * 2048}, {"endpoint.url": "STRING_MAX_LEN"}),
        ({"event_types": []}, {"endpoint.event_types": "REQUIRED"}),
        ({"event_types": ["job.failed", "job.exploded"]}, {"endpoint.event_types[1]": "UNKNOWN_TYPE"}),
        ({"event_types": ["job.failed", "job.failed"]}, {"endpoint.event_types": "REPEATED_UNIQUE"}),
        ({"description": "x" * 256}, {"endpoint.description": "STRING_MAX_LEN"}),
        ({"description": "a\0b"}, {"endpoint.description": "NUL"}),
        ({"request_id": "a b"}, {"request_id": "STRING_PATTERN"}),
        ({"url": "", "event_types": []}, {"endpoint.url": "BAD_URL", "endpoint.event_types": "REQUIRED"}),
    ],
)
async def test_what_is_wrong_with_a_new_endpoint_is_told_by_its_field(
    webhooks: WebhookServiceAsyncStub, endpoint: dict[str, Any], found: dict[str, str]
) -> None:
    error = await refused(made(webhooks, **endpoint))

    assert (error.code(), fields(error)) == (Code.INVALID_ARGUMENT, found)
    assert not (await webhooks.ListEndpoints(pb.ListEndpointsRequest())).endpoints


async def test_no_more_than_twenty_are_made_however_many_ask_at_once(webhooks: WebhookServiceAsyncStub) -> None:
    answers = await asyncio.gather(*(_outcome(made(webhooks)) for _ in range(26)))

    assert answers.count("OK") == 20
    assert answers.count("RESOURCE_EXHAUSTED TOO_MANY_ENDPOINTS") == 6
    assert len((await webhooks.ListEndpoints(pb.ListEndpointsRequest())).endpoints) == 20


async def test_lists_are_newest_first_in_pages(webhooks: WebhookServiceAsyncStub) -> None:
    names = [(await made(webhooks)).endpoint.name for _ in range(3)]

    first = await webhooks.ListEndpoints(pb.ListEndpointsRequest(page_size=2))
    second = await webhooks.ListEndpoints(pb.ListEndpointsRequest(page_size=2, page_token=first.next_page_token))
    made_up = await refused(webhooks.ListEndpoints(pb.ListEndpointsRequest(page_token="AAAA")))

    listed = [endpoint.name for endpoint in [*first.endpoints, *second.endpoints]]
    assert listed == sorted(names, reverse=True)  # those of one millisecond in any order
    assert (len(first.endpoints), second.next_page_token) == (2, "")
    assert fields(made_up) == {"page_token": "UNKNOWN_TOKEN"}


async def test_an_update_changes_what_its_mask_names(webhooks: WebhookServiceAsyncStub) -> None:
    before = (await made(webhooks, description="old")).endpoint

    renamed = await webhooks.UpdateEndpoint(updating(before.name, "description", url="https://other.example"))
    moved = await webhooks.UpdateEndpoint(
        updating(before.name, "url", "event_types", url=URL + "/2", event_types=["job.started"])
    )

    assert (renamed.endpoint.description, renamed.endpoint.url) == ("", URL)
    assert (moved.endpoint.url, list(moved.endpoint.event_types)) == (URL + "/2", ["job.started"])
    assert (await webhooks.GetEndpoint(pb.GetEndpointRequest(name=before.name))).endpoint == moved.endpoint


async def test_an_endpoint_is_disabled_and_enabled_again(webhooks: WebhookServiceAsyncStub) -> None:
    name = (await made(webhooks)).endpoint.name

    off = (await webhooks.UpdateEndpoint(updating(name, "disabled", disabled=True))).endpoint
    on = (await webhooks.UpdateEndpoint(updating(name, "disabled"))).endpoint

    assert (off.disabled, off.HasField("disable_time")) == (True, True)
    assert (on.disabled, on.HasField("disable_time")) == (False, False)


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (updating(NOBODY), {"update_mask": "UPDATE_MASK_PATHS"}),
        (pb.UpdateEndpointRequest(endpoint=pb.Endpoint(name=NOBODY)), {"update_mask": "REQUIRED"}),
        (updating(NOBODY, "secret_count"), {"update_mask": "UPDATE_MASK_PATHS"}),
        (updating(NOBODY, "url.host"), {"update_mask": "UPDATE_MASK_PATHS"}),
        (updating("", "disabled"), {"endpoint": "ENDPOINT_NAME"}),
        (updating(NOBODY + "/x", "disabled"), {"endpoint": "ENDPOINT_NAME"}),
        (updating(NOBODY, "url", url="http://127.0.0.1/"), {"endpoint.url": "BAD_URL"}),
        (updating(NOBODY, "event_types"), {"endpoint.event_types": "REQUIRED"}),
        (updating(NOBODY, "event_types", event_types=["x"]), {"endpoint.event_types[0]": "UNKNOWN_TYPE"}),
    ],
)
async def test_what_is_wrong_with_an_update_is_told_by_its_field(
    webhooks: WebhookServiceAsyncStub, request_: pb.UpdateEndpointRequest, found: dict[str, str]
) -> None:
    error = await refused(webhooks.UpdateEndpoint(request_))
    assert (error.code(), fields(error)) == (Code.INVALID_ARGUMENT, found)


async def test_what_the_mask_does_not_name_is_not_looked_at(webhooks: WebhookServiceAsyncStub) -> None:
    name = (await made(webhooks)).endpoint.name
    answer = await webhooks.UpdateEndpoint(updating(name, "disabled", url="nonsense", event_types=["x"]))
    assert answer.endpoint.url == URL


async def test_a_rotation_tells_a_new_secret_and_counts_those_that_sign(webhooks: WebhookServiceAsyncStub) -> None:
    first = await made(webhooks)
    name = first.endpoint.name

    second = await webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name, request_id="k"))
    again = await webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name, request_id="k"))
    third = await webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name))
    last = await webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name, expire_previous=True))

    assert again == second
    assert len({first.secret, second.secret, third.secret, last.secret}) == 4
    assert [answer.endpoint.secret_count for answer in (first, second, third, last)] == [1, 2, 2, 1]


async def test_a_deleted_endpoint_is_not_there_for_any_method(webhooks: WebhookServiceAsyncStub) -> None:
    name = (await made(webhooks)).endpoint.name
    await webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=name))

    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: webhooks.GetEndpoint(pb.GetEndpointRequest(name=name)),
        lambda: webhooks.UpdateEndpoint(updating(name, "disabled")),
        lambda: webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name)),
        lambda: webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=name)),
    ]
    for call in calls:
        error = await refused(call())
        assert (error.code(), reason(error)) == (Code.NOT_FOUND, "ENDPOINT_NOT_FOUND")
    await webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=name, allow_missing=True))
    assert not (await webhooks.ListEndpoints(pb.ListEndpointsRequest())).endpoints


@pytest.mark.parametrize("name", ["", "endpoints/1", NOBODY.upper(), "jobs/01890000-0000-7000-8000-000000000000"])
async def test_names_are_checked(webhooks: WebhookServiceAsyncStub, name: str) -> None:
    for call in (
        webhooks.GetEndpoint(pb.GetEndpointRequest(name=name)),
        webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name)),
        webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=name)),
    ):
        assert (await refused(call)).code() is Code.INVALID_ARGUMENT


async def test_no_secret_is_ever_logged(database_url: str) -> None:
    secrets = set()
    environment = {"GLEANER_DATABASE_URL": database_url, "GLEANER_WORKER_ADDRESSES": "", "GLEANER_LOG_LEVEL": "DEBUG"}
    async with running(API, environment) as process, grpc.aio.insecure_channel(process.address) as channel:
        webhooks: WebhookServiceAsyncStub = WebhookServiceStub(channel)
        for number in range(20):
            secrets.add((await webhooks.CreateEndpoint(asking(str(number)))).secret)
        for request in (asking(), asking("0", url=URL + "/other")):
            error = await refused(webhooks.CreateEndpoint(request))
            assert "whsec_" not in repr(error)
        [endpoint] = (await webhooks.ListEndpoints(pb.ListEndpointsRequest(page_size=1))).endpoints
        rotated = await webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=endpoint.name))
        secrets.add(rotated.secret)
        async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=1)) as database:
            await database.execute("ALTER TABLE endpoints ADD CHECK (cardinality(secrets) < 2) NOT VALID")
        rotation = pb.RotateEndpointSecretRequest(name=endpoint.name)  # the driver's error quotes the row
        assert (await refused(webhooks.RotateEndpointSecret(rotation))).code() is Code.INTERNAL
        process.ask_to_stop()
        assert await process.ended() == 0

    log = json.dumps(process.lines)
    assert "a call failed that should not have" in log
    assert len(secrets) == 21
    assert "whsec_" not in log


async def _outcome(call: Awaitable[Any]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name} {reason(error)}"
    return "OK"
