"""An endpoint's life with the real api, the real worker and a receiver that verifies by the standard's library."""

from __future__ import annotations  # the stub's type is known to the checker alone

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks import Webhook, WebhookVerificationError

from gleaner.v1 import extraction_pb2, jobs_pb2
from gleaner.v1 import webhooks_pb2 as pb
from gleaner.v1.jobs_pb2_grpc import JobServiceStub
from gleaner.v1.webhooks_pb2_grpc import WebhookServiceStub
from support.api import API
from support.postgres import Databases
from support.requests import a_submit
from support.service_process import running
from support.webhook_receiver import Received, WebhookReceiver, answering

if TYPE_CHECKING:
    from gleaner.v1.jobs_pb2_grpc import JobServiceAsyncStub
    from gleaner.v1.webhooks_pb2_grpc import WebhookServiceAsyncStub

WORKER = ["-c", "from gleaner_worker.main import run; run()"]
PATIENCE = 60
ENDED = "job.succeeded"


class Suite:
    """What an owner of endpoints and jobs does, and the receiver that is told."""

    def __init__(self, channel: grpc.aio.Channel, receiver: WebhookReceiver) -> None:
        self.webhooks: WebhookServiceAsyncStub = WebhookServiceStub(channel)
        self._jobs: JobServiceAsyncStub = JobServiceStub(channel)
        self.receiver = receiver

    async def made(self, *event_types: str) -> pb.CreateEndpointResponse:
        endpoint = pb.Endpoint(url=self.receiver.url, event_types=event_types)
        return await self.webhooks.CreateEndpoint(pb.CreateEndpointRequest(endpoint=endpoint))

    async def submitted(self) -> jobs_pb2.Job:
        """A job that will succeed."""
        options = extraction_pb2.ExtractionOptions(grounding=extraction_pb2.GROUNDING_MODE_NONE)
        return (await self._jobs.SubmitJob(a_submit(options=options))).job

    async def succeeded(self) -> jobs_pb2.Job:
        job = await self.submitted()
        async for message in self._jobs.WatchJob(jobs_pb2.WatchJobRequest(name=job.name)):
            job = message.job
        assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED
        return job

    async def received(self) -> Received:
        return await self.receiver.received(PATIENCE)

    async def deliveries(self, job: jobs_pb2.Job) -> list[pb.Delivery]:
        return list((await self.webhooks.ListDeliveries(pb.ListDeliveriesRequest(job=job.name))).deliveries)

    async def over(self, job: jobs_pb2.Job) -> pb.Delivery:
        """The job's one delivery, once it is delivered or dead."""
        async with asyncio.timeout(PATIENCE):
            while True:
                [delivery] = await self.deliveries(job)
                if delivery.state in (pb.DELIVERY_STATE_DELIVERED, pb.DELIVERY_STATE_DEAD):
                    return delivery
                await asyncio.sleep(0.02)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(postgres: Databases) -> AsyncIterator[str]:
    """Where the api is; a worker runs beside it. No setting has a secret."""
    url = postgres.clone()
    environment = {
        "GLEANER_DATABASE_URL": url,
        "GLEANER_WORKER_ADDRESSES": "",
        "GLEANER_BBOX_WORKER_ADDRESSES": "",
        "GLEANER_WEBHOOK_SECRETS": "",
        "GLEANER_WEBHOOK_ALLOW_PRIVATE": "true",
        "GLEANER_WEBHOOK_RETRY_BASE_DELAY_S": "0",
    }
    async with running(API, environment) as api, running(WORKER, environment):
        yield api.address
    postgres.drop(url)


@pytest.fixture
async def suite(address: str, receiver: WebhookReceiver) -> AsyncIterator[Suite]:
    async with grpc.aio.insecure_channel(address) as channel:
        suite = Suite(channel, receiver)
        yield suite
        for left in (await suite.webhooks.ListEndpoints(pb.ListEndpointsRequest())).endpoints:
            await suite.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=left.name))


def verified(secret: str, got: Received) -> Any:
    return Webhook(secret).verify(got.body, got.headers)


async def test_an_endpoint_is_made_told_rotated_and_deleted(suite: Suite) -> None:
    first = await suite.made(ENDED)
    name = first.endpoint.name

    job = await suite.succeeded()
    payload = verified(first.secret, await suite.received())
    assert (payload["type"], payload["data"]["job"]["name"]) == (ENDED, job.name)

    second = await suite.webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name))
    await suite.succeeded()
    got = await suite.received()
    assert verified(first.secret, got) == verified(second.secret, got)

    third = await suite.webhooks.RotateEndpointSecret(pb.RotateEndpointSecretRequest(name=name, expire_previous=True))
    await suite.succeeded()
    got = await suite.received()
    assert verified(third.secret, got)["type"] == ENDED
    for old in (first, second):
        with pytest.raises(WebhookVerificationError):
            verified(old.secret, got)

    await suite.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=name))
    assert await suite.deliveries(await suite.succeeded()) == []
    assert len(suite.receiver.all) == 3


async def test_an_endpoint_is_told_of_each_move_it_asked_for(suite: Suite) -> None:
    told = ["job.submitted", "job.started", ENDED]
    made = await suite.made(*told)

    job = await suite.succeeded()

    payloads = [verified(made.secret, await suite.received()) for _ in told]
    assert {payload["data"]["job"]["name"] for payload in payloads} == {job.name}
    assert sorted(payload["type"] for payload in payloads) == sorted(told)


async def test_what_is_owed_to_an_endpoint_that_is_deleted_is_given_up(suite: Suite) -> None:
    deleted = threading.Event()

    def failing_later(handler: Any) -> None:
        deleted.wait(PATIENCE)
        answering(500)(handler)

    suite.receiver.always = failing_later
    made = await suite.made("job.submitted")
    job = await suite.submitted()
    await suite.received()

    await suite.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(name=made.endpoint.name))
    deleted.set()
    given_up = await suite.over(job)

    assert given_up.name.endswith(made.endpoint.name.removeprefix("endpoints/"))
    assert (given_up.state, given_up.last_error) == (pb.DELIVERY_STATE_DEAD, "ENDPOINT_CLOSED")
    assert len(suite.receiver.all) == 1


async def test_who_answers_410_is_disabled_and_told_again_once_enabled(suite: Suite) -> None:
    suite.receiver.next.append(answering(410))
    made = await suite.made("job.submitted")
    await suite.over(await suite.submitted())
    off = (await suite.webhooks.GetEndpoint(pb.GetEndpointRequest(name=made.endpoint.name))).endpoint
    missed = await suite.submitted()

    enabled = pb.Endpoint(name=made.endpoint.name, disabled=False)
    mask = FieldMask(paths=["disabled"])
    await suite.webhooks.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=enabled, update_mask=mask))
    await suite.over(await suite.submitted())

    assert off.disabled and off.HasField("disable_time")
    assert await suite.deliveries(missed) == []
    assert len(suite.receiver.all) == 2
