"""What tests of the webhooks' sender stand on: moves that owe deliveries, a receiver, and names that are slow."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from gleaner.internal.v1 import stored_pb2
from gleaner_core.errors import JobError
from gleaner_core.ids import uuid7
from gleaner_repo import (
    Database,
    Delivery,
    DeliveryRepository,
    DeliveryState,
    JobRepository,
    NewJob,
)
from gleaner_worker.webhooks import Poster, Sender, WebhookSettings
from support.jobs import LEASE, TENANT
from support.webhook_receiver import WebhookReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Suite:
    """What a worker's webhooks stand on, and what is asked of them."""

    def __init__(self, database: Database, receiver: WebhookReceiver) -> None:
        self.database = database
        self.jobs = JobRepository(database)
        self.deliveries = DeliveryRepository(database)
        self.receiver = receiver

    async def submitted(self, **rest: str) -> UUID:
        """A new job with a callback URL."""
        about = stored_pb2.JobAbout(correlation_id="order-7", metadata={"a": "1", "_b": "private"}, documents=["x.pdf"])
        job = NewJob(
            id=uuid7(),
            tenant_id=rest.get("tenant", TENANT),
            fingerprint=b"f",
            request=b"",
            about=about.SerializeToString(),
            callback_url=rest.get("url", self.receiver.url),
            trace_context=TRACE,
        )
        await self.jobs.submit([job])
        return job.id

    async def failed(self, count: int = 1, **rest: str) -> list[UUID]:
        """Jobs that failed: each owes one webhook."""
        ids = [await self.submitted(**rest) for _ in range(count)]
        for claimed in await self.jobs.mark_running(count, LEASE, uuid4()):
            assert await self.jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
        return ids

    async def endpoint(self, secret: str) -> UUID:
        """An endpoint that is told of failed jobs."""
        made = uuid4()
        await self.database.execute(
            "INSERT INTO endpoints (id, tenant_id, url, secrets, event_types) VALUES ($1, $2, $3, $4, $5)",
            made,
            TENANT,
            self.receiver.url + "/endpoint",
            [secret],
            [8],
        )
        return made

    async def delivery(self, job_id: UUID, *, tenant: str = TENANT) -> Delivery:
        """The job's only delivery."""
        [found] = await self.deliveries.list_page(tenant, job_id=job_id)
        return found

    async def until(self, job_id: UUID, *states: DeliveryState, tenant: str = TENANT) -> Delivery:
        """The job's delivery, once it is in one of the states."""
        async with asyncio.timeout(15):
            while (found := await self.delivery(job_id, tenant=tenant)).state not in states:
                await asyncio.sleep(0.02)
        return found

    @asynccontextmanager
    async def sender(self, *, grace: float = 5, **settings: object) -> AsyncIterator[Sender]:
        """A sender that runs for the length of the block, then drains."""
        quick: dict[str, object] = {"retry_base_delay_s": 0.02, "retry_max_delay_s": 2, "timeout_s": 5}
        told = WebhookSettings.model_validate({"secrets": SECRET, "allow_private": True, **quick, **settings})
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            made = Sender(self.deliveries, Poster(told), told, grace=timedelta(seconds=grace))
            group.create_task(made.run(stop))
            try:
                yield made
            finally:
                stop.set()


class Names:
    """The system's resolver as it finds every name of example.org at this machine, after a while those of slow ones."""

    def __init__(self) -> None:
        self.slow: list[str] = []
        self._answered = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, host: str, *arguments: Any, **rest: Any) -> Any:
        if host.endswith(".slow.example.org"):
            self.slow.append(host)
            self._answered.wait()
        return self._real("127.0.0.1" if host.endswith(".example.org") else host, *arguments, **rest)

    def answer(self) -> None:
        """The slow ones are found, too."""
        self._answered.set()
