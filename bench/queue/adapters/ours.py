"""Gleaner: as a library, or through the api's process (option `api`, its address).

Workers: option `batch` claims and finishes so many jobs a statement, both under way at once, as the best that the
repository can do; without it the real loop of our workers runs at its defaults, with a leg that does nothing. Both are
told of work by the offers that an api sends (option `offer`, the worker's address, of a producer without an api).
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc.aio
from PIL import Image

from bench.queue.adapters.stopwatch import PAD, Handled, Submit, SubmitMany, arguments, paced, run, throughput
from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import extraction_pb2, jobs_pb2, jobs_pb2_grpc, schemas_pb2
from gleaner_core.ids import uuid7
from gleaner_repo import Bodies, ClaimedJob, Database, DatabaseSettings, Finished, JobRepository, NewJob, open_database
from gleaner_repo.coalescer import SubmitCoalescer
from gleaner_repo.jobs import EPOCH
from gleaner_repo.migrate import migrate
from gleaner_rpc import ChannelSettings, GrpcSettings, Offers, Peers, build_server, serve
from gleaner_runner import EXTRACTION_MOVES, Ending, LegSettings, Runner, RunnerSettings, Slots
from gleaner_runner.servicer import OfferServicer

LEASE = timedelta(seconds=15)
WATERMARK_MARGIN = timedelta(seconds=5)
FULL_LOOK_S = 1.0
MOST_UNDER_WAY = 256
MEBIBYTE = 2**20


async def main(mode: str, options: dict[str, Any]) -> None:
    if mode == "install":
        await migrate(options["url"])
        return
    settings = DatabaseSettings(database_url=options["url"])
    async with open_database(settings, name=f"bench-{mode}") as database:
        if mode == "work":
            await _work(database, options)
            return
        async with _producer(database, options) as (submit, submit_many):
            if mode == "enqueue":
                await throughput(options, submit, submit_many)
            else:
                await paced(options, submit, MOST_UNDER_WAY)


# Submitting.


@asynccontextmanager
async def _producer(database: Database, options: dict[str, Any]) -> AsyncIterator[tuple[Submit, SubmitMany]]:
    if address := options.get("api"):
        async with grpc.aio.insecure_channel(address) as channel:
            yield _through_api(jobs_pb2_grpc.JobServiceStub(channel))
        return
    jobs = JobRepository(database)
    coalescer = SubmitCoalescer(jobs)
    workers = (options["offer"],) if "offer" in options else ()
    pad = "" if options.get("bare") else PAD

    def a_request(submitted: float) -> bytes:
        document = stored_pb2.StoredDocument(name=repr(submitted), media_type=pad)
        return stored_pb2.StoredRequest(documents=[document]).SerializeToString()

    def a_job(submitted: float) -> NewJob:
        return NewJob(
            id=uuid7(),
            tenant_id="default",
            fingerprint=b"f" * 32,
            request=a_request(submitted),
            request_key=str(uuid7()),  # as the SDK always sends one
        )

    async with Peers("worker", workers, ChannelSettings()) as peers, asyncio.TaskGroup() as group:
        offers = Offers(peers, ChannelSettings())

        async def submit(submitted: float) -> None:
            await coalescer.submit(a_job(submitted))
            offers()

        async def submit_many(submitted: list[float]) -> None:
            await jobs.submit([a_job(one) for one in submitted])
            offers(len(submitted))

        beside = [group.create_task(coalescer.run()), group.create_task(offers.run())]
        yield submit, submit_many
        for task in beside:
            task.cancel()


def _through_api(stub: Any) -> tuple[Submit, SubmitMany]:
    image = io.BytesIO()
    Image.new("L", (32, 32), 255).save(image, "PNG")
    group = schemas_pb2.FieldGroup(
        name="head", fields=[schemas_pb2.Field(name="number", type=schemas_pb2.FIELD_TYPE_STRING)]
    )
    schema = schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="invoice", field_groups=[group])])
    asked = extraction_pb2.ExtractionRequest(schema=schema)
    asked.documents.add(name="invoice.png", content=image.getvalue())

    def a_request(submitted: float) -> jobs_pb2.SubmitJobRequest:
        request = jobs_pb2.SubmitJobRequest(request=asked, request_id=str(uuid4()))
        request.request.documents[0].name = repr(submitted)
        return request

    async def submit(submitted: float) -> None:
        await stub.SubmitJob(a_request(submitted))

    async def submit_many(submitted: list[float]) -> None:
        answer = await stub.BatchSubmitJobs(
            jobs_pb2.BatchSubmitJobsRequest(requests=[a_request(one) for one in submitted])
        )
        assert all(result.HasField("job") for result in answer.results)

    return submit, submit_many


def _submitted(request: bytes) -> float:
    """When the job with this request was submitted, as its only document is called."""
    return float(stored_pb2.StoredRequest.FromString(request).documents[0].name)


# Working.


async def _work(database: Database, options: dict[str, Any]) -> None:
    handled = Handled(options)
    async with asyncio.TaskGroup() as group:
        reporting = group.create_task(handled.report())
        if batch := options.get("batch"):
            await _pipelined(JobRepository(database), batch, handled)
        else:
            await _as_workers_do(database, options, handled)
        reporting.cancel()
    handled.write()


async def _pipelined(jobs: JobRepository, batch: int, handled: Handled) -> None:
    """Claims the next batch while the last one is being finished; until the process is killed."""
    print("READY", flush=True)
    holder, low, full_look_at = uuid4(), EPOCH, time.monotonic()
    async with asyncio.TaskGroup() as group:
        finishing: asyncio.Task[Any] | None = None
        while True:
            since: datetime = low
            if time.monotonic() - full_look_at >= FULL_LOOK_S:
                since, full_look_at = EPOCH, time.monotonic()
            claimed = await jobs.claim("mark_running", batch, LEASE, holder, since)
            for job in claimed:
                assert job.request is not None, "it is small"
                handled.begun(job.id, _submitted(job.request))
            if finishing:
                await finishing
                finishing = None
            if claimed:
                low = claimed[0].available_at - WATERMARK_MARGIN
                ends = [(job.lease, Finished(result=b"")) for job in claimed]
                finishing = group.create_task(jobs.finish_many("mark_succeeded", ends))
            else:
                await asyncio.sleep(0.01)


@dataclass
class NoOp:
    """A leg whose runs do nothing, or sleep."""

    handled: Handled
    settings: LegSettings
    number = 1
    moves = EXTRACTION_MOVES

    async def run(self, job: ClaimedJob, bodies: Bodies) -> Ending:
        self.handled.begun(job.id, _submitted(bodies.request))
        if self.handled.sleep:
            await asyncio.sleep(self.handled.sleep)
        return Ending("mark_succeeded", Finished(result=b""))

    def won(self, job: ClaimedJob, move: str) -> None: ...


async def _as_workers_do(database: Database, options: dict[str, Any], handled: Handled) -> None:
    settings = RunnerSettings(**options.get("runner", {}))
    limits = LegSettings(lease=LEASE, run_limit=timedelta(minutes=20), max_attempts=3, max_result_bytes=MEBIBYTE)
    leg = NoOp(handled, limits)
    runner = Runner(leg, JobRepository(database), Slots(settings.slots), settings)
    server = build_server(GrpcSettings(listen="127.0.0.1:0"), OfferServicer(runner))

    async def beside(stop: asyncio.Event) -> None:
        print(f"READY 127.0.0.1:{server.port}", flush=True)
        await runner.run(stop)

    await serve(server, beside=beside, ready=database.ready)


if __name__ == "__main__":
    run(main(*arguments()))
