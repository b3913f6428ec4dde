"""WebhookService on the real process; what workers do is done by the repository."""

from __future__ import annotations  # the stub's type is known to the checker alone

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest

from gleaner.v1 import jobs_pb2
from gleaner.v1 import webhooks_pb2 as pb
from gleaner.v1.webhooks_pb2_grpc import WebhookServiceStub
from gleaner_core.errors import JobError
from gleaner_repo import Database, DatabaseSettings, DeliveryRepository, DeliveryState, Tried, open_database
from support.api import Api, claimed, id_of
from support.grpc_errors import fields, reason, refused
from support.jobs import LEASE

if TYPE_CHECKING:
    from gleaner.v1.webhooks_pb2_grpc import WebhookServiceAsyncStub

URL = "https://example.com/hook"
SOME = "deliveries/01890000-0000-7000-8000-000000000000"
NOBODY = f"{SOME}~callback"


@pytest.fixture
def webhooks(api: Api) -> WebhookServiceAsyncStub:
    return WebhookServiceStub(api.channel)


@pytest.fixture
async def database(served: tuple[str, str]) -> AsyncIterator[Database]:
    async with open_database(DatabaseSettings(database_url=served[1], database_pool_size=1)) as opened:
        yield opened


async def failed(api: Api) -> jobs_pb2.Job:
    """A job that failed, and whose callback URL must be told."""
    job = await api.submitted(callback_url=URL)
    assert await api.jobs.mark_failed((await claimed(api, job)).lease, JobError("DOCUMENT_DAMAGED", "is damaged"))
    return job


async def tried(database: Database, state: DeliveryState) -> None:
    """Every delivery that is due, as a worker leaves it."""
    deliveries = DeliveryRepository(database)
    for delivery in await deliveries.claim(100, LEASE, uuid4(), rescue=False):
        assert await deliveries.finish(delivery.lease, Tried(state, status=500, error="HTTP_ERROR")) is not None


async def of_job(
    webhooks: WebhookServiceAsyncStub, job: jobs_pb2.Job, *states: pb.DeliveryState.ValueType
) -> pb.Delivery:
    answer = await webhooks.ListDeliveries(pb.ListDeliveriesRequest(job=job.name, states=states))
    [delivery] = answer.deliveries
    return delivery


async def test_what_must_be_sent_is_listed_before_it_is_sent(api: Api, webhooks: WebhookServiceAsyncStub) -> None:
    job = await failed(api)

    delivery = await of_job(webhooks, job)

    [event] = [event for event in await api.jobs.events_of({id_of(job): 0}) if event.final]
    assert delivery.name == f"deliveries/{event.event_id}~callback"
    assert (delivery.job, delivery.seq, delivery.type, delivery.url) == (job.name, event.seq, "job.failed", URL)
    assert (delivery.state, delivery.attempt) == (pb.DELIVERY_STATE_PENDING, 0)
    assert delivery.HasField("available_time")
    assert not delivery.HasField("end_time")


async def test_lists_are_newest_first_filtered_and_in_pages(api: Api, webhooks: WebhookServiceAsyncStub) -> None:
    names = [(await of_job(webhooks, await failed(api))).name for _ in range(3)]
    request = pb.ListDeliveriesRequest(page_size=2, states=[pb.DELIVERY_STATE_PENDING])

    first = await webhooks.ListDeliveries(request)
    request.page_token = first.next_page_token
    second = await webhooks.ListDeliveries(request)

    listed = [delivery.name for delivery in [*first.deliveries, *second.deliveries]]
    assert listed[:3] == names[::-1]
    assert len(first.deliveries) == 2


async def test_a_page_token_is_bound_to_its_filter(api: Api, webhooks: WebhookServiceAsyncStub) -> None:
    for _ in range(2):
        await failed(api)
    first = await webhooks.ListDeliveries(pb.ListDeliveriesRequest(page_size=1))
    other = pb.ListDeliveriesRequest(page_token=first.next_page_token, states=[pb.DELIVERY_STATE_DEAD])
    made_up = pb.ListDeliveriesRequest(page_token="AAAA")

    assert fields(await refused(webhooks.ListDeliveries(other))) == {"page_token": "OTHER_FILTER"}
    assert fields(await refused(webhooks.ListDeliveries(made_up))) == {"page_token": "UNKNOWN_TOKEN"}


async def test_what_is_dead_is_sent_again_and_told_why_it_died(
    api: Api, webhooks: WebhookServiceAsyncStub, database: Database
) -> None:
    job = await failed(api)
    await tried(database, DeliveryState.DEAD)

    dead = await of_job(webhooks, job, pb.DELIVERY_STATE_DEAD)
    again = (await webhooks.RedeliverWebhook(pb.RedeliverWebhookRequest(name=dead.name))).delivery

    assert (dead.last_status, dead.last_error, dead.attempt) == (500, "HTTP_ERROR", 1)
    assert dead.HasField("end_time")
    assert (again.name, again.state, again.attempt) == (dead.name, pb.DELIVERY_STATE_PENDING, 0)


async def test_sending_again_what_is_under_way_changes_nothing(api: Api, webhooks: WebhookServiceAsyncStub) -> None:
    delivery = await of_job(webhooks, await failed(api))

    again = (await webhooks.RedeliverWebhook(pb.RedeliverWebhookRequest(name=delivery.name))).delivery

    assert again == delivery


async def test_what_there_is_not_is_not_found(webhooks: WebhookServiceAsyncStub) -> None:
    error = await refused(webhooks.RedeliverWebhook(pb.RedeliverWebhookRequest(name=NOBODY)))

    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND")


@pytest.mark.parametrize("name", ["", "deliveries/1", SOME, f"{SOME}~x", f"{NOBODY}~"])
async def test_names_are_checked(webhooks: WebhookServiceAsyncStub, name: str) -> None:
    error = await refused(webhooks.RedeliverWebhook(pb.RedeliverWebhookRequest(name=name)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
