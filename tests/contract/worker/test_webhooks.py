"""Webhooks of the real worker process."""

from collections.abc import AsyncIterator, Iterator

import pytest
from standardwebhooks import Webhook

from gleaner.internal.v1 import stored_pb2
from gleaner_core.ids import uuid7
from gleaner_repo import DatabaseSettings, JobRepository, NewJob, open_database
from support.jobs import TENANT
from support.service_process import running
from support.webhook_receiver import WebhookReceiver, hanging

WORKER = ["-c", "from gleaner_worker.main import run; run()"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


@pytest.fixture
async def environment(database_url: str, receiver: WebhookReceiver) -> AsyncIterator[dict[str, str]]:
    """What workers are told; a job waits for them whose document is gone, so that it fails at once."""
    stored = stored_pb2.StoredRequest(documents=[stored_pb2.StoredDocument(name="gone.pdf", sha256=b"0" * 32)])
    job = NewJob(uuid7(), TENANT, b"f", stored.SerializeToString(), callback_url=receiver.url)
    async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=1)) as database:
        await JobRepository(database).submit([job])
    yield {
        "GLEANER_DATABASE_URL": database_url,
        "GLEANER_BBOX_WORKER_ADDRESSES": "",
        "GLEANER_WEBHOOK_SECRETS": SECRET,
        "GLEANER_WEBHOOK_ALLOW_PRIVATE": "true",
        "GLEANER_WEBHOOK_LEASE_S": "1",
        "GLEANER_WEBHOOK_POLL_MAX_S": "0.3",
    }


async def test_a_worker_tells_what_became_of_the_job_and_drains(
    environment: dict[str, str], receiver: WebhookReceiver
) -> None:
    async with running(WORKER, environment) as worker:
        got = await receiver.received(20)
        worker.ask_to_stop()
        assert await worker.ended() == 0

    payload = Webhook(SECRET).verify(got.body, got.headers)
    assert (payload["type"], payload["data"]["job"]["error"]["reason"]) == ("job.failed", "DOCUMENT_GONE")
    assert len(receiver.all) == 1


async def test_what_a_killed_worker_was_sending_another_sends_with_the_same_id(
    environment: dict[str, str], receiver: WebhookReceiver
) -> None:
    receiver.next.append(hanging)
    async with running(WORKER, environment) as killed:
        first = await receiver.received(20)
        killed.kill()
    async with running(WORKER, environment):
        again = await receiver.received(20)

    assert (again.webhook_id, again.body) == (first.webhook_id, first.body)
