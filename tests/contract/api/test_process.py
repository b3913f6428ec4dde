import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from gleaner.internal.v1 import offer_pb2, worker_pb2
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceServicer
from gleaner.internal.v1.worker_pb2_grpc import WorkerServiceServicer
from gleaner.v1 import extraction_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1.extraction_pb2_grpc import ExtractionServiceStub
from gleaner.v1.jobs_pb2_grpc import JobServiceStub
from gleaner_core.errors import DocumentEncrypted, GleanerError, NoRoom
from gleaner_repo import DatabaseSettings, JobRepository, open_database
from gleaner_rpc import GrpcSettings, build_server
from support.api import API, RESULT
from support.grpc_errors import reason, refused
from support.jobs import submitted
from support.requests import a_request, a_submit
from support.service_process import ServiceProcess, running

Code = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Worker(WorkerServiceServicer):
    """A worker that keeps what it is asked, and answers what it is told to."""

    def __init__(self, answer: GleanerError | None = None) -> None:
        self.answer = answer
        self.offered = asyncio.Event()
        self.asked: list[worker_pb2.ExtractRequest] = []

    async def Extract(self, request: worker_pb2.ExtractRequest, context: Any) -> worker_pb2.ExtractResponse:
        self.asked.append(request)
        if self.answer:
            raise self.answer
        return worker_pb2.ExtractResponse(result=RESULT)


class Ear(OfferServiceServicer):
    """What of the worker hears offers."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    async def Offer(self, request: offer_pb2.OfferRequest, context: Any) -> offer_pb2.OfferResponse:
        self.worker.offered.set()
        return offer_pb2.OfferResponse(free_slots=1)


@asynccontextmanager
async def listening(*workers: Worker) -> AsyncIterator[str]:
    """The workers' addresses."""
    servers = [build_server(GrpcSettings(listen="127.0.0.1:0"), worker, Ear(worker)) for worker in workers]
    for server in servers:
        await server.start()
    try:
        yield ",".join(f"127.0.0.1:{server.port}" for server in servers)
    finally:
        for server in servers:
            await server.stop()


@asynccontextmanager
async def api(database_url: str, **environment: str) -> AsyncIterator[tuple[ServiceProcess, grpc.aio.Channel]]:
    """A ready api process."""
    settings = {"GLEANER_WORKER_ADDRESSES": ""} | environment
    async with (
        running(API, settings, GLEANER_DATABASE_URL=database_url) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        await process.logged("ready")
        yield process, channel


async def test_reflection_lists_all_services(database_url: str) -> None:
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    async with api(database_url) as (_, channel):
        answer = await ServerReflectionStub(channel).ServerReflectionInfo(iter([ask])).read()

    assert {found.name for found in answer.list_services_response.service} == {
        "externalscaler.ExternalScaler",
        "gleaner.v1.EventService",
        "gleaner.v1.ExtractionService",
        "gleaner.v1.JobService",
        "gleaner.v1.VersionService",
        "gleaner.v1.WebhookService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_sigterm_flips_health_ends_streams_and_answers_who_waits(database_url: str) -> None:
    async with api(database_url) as (process, channel):
        jobs = JobServiceStub(channel)
        job = (await jobs.SubmitJob(a_submit())).job
        health = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="gleaner.v1.JobService"))
        assert (await health.read()).status == SERVING
        stream = jobs.WatchJob(pb.WatchJobRequest(name=job.name, after_seq=job.seq))
        await stream.read()
        waiting = jobs.GetJobResult(pb.GetJobResultRequest(name=job.name, wait_timeout=Duration(seconds=60)))
        await jobs.GetJob(pb.GetJobRequest(name=job.name))  # sent after it on the same connection: it has arrived

        process.ask_to_stop()
        assert (await health.read()).status == NOT_SERVING
        ended = await refused(stream.read())
        answered = await refused(waiting)
        assert await process.ended() == 0

    assert (ended.code(), reason(ended)) == (Code.UNAVAILABLE, "DRAINING")
    assert (answered.code(), reason(answered)) == (Code.UNAVAILABLE, "DRAINING")


async def test_a_result_may_be_waited_for_longer_than_other_calls_may_take(database_url: str) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        [job_id] = await submitted(JobRepository(database))
    async with api(database_url, GLEANER_CALL_LIMIT_S="0.5") as (_, channel):
        request = pb.GetJobResultRequest(name=f"jobs/{job_id}", wait_timeout=Duration(seconds=1))
        answered = await refused(JobServiceStub(channel).GetJobResult(request))

    assert (answered.code(), reason(answered)) == (Code.FAILED_PRECONDITION, "RESULT_NOT_READY")


async def test_a_submit_is_offered_to_a_worker_at_once(database_url: str) -> None:
    worker = Worker()
    async with (
        listening(worker) as address,
        api(database_url, GLEANER_WORKER_ADDRESSES=address) as (_, channel),
    ):
        await JobServiceStub(channel).SubmitJob(a_submit())
        await asyncio.wait_for(worker.offered.wait(), 1)


async def test_extract_goes_to_a_worker_with_room(database_url: str) -> None:
    full, free = Worker(NoRoom()), Worker()
    async with (
        listening(full, free) as addresses,
        api(database_url, GLEANER_WORKER_ADDRESSES=addresses) as (_, channel),
    ):
        extract = ExtractionServiceStub(channel).Extract
        answers = [await extract(extraction_pb2.ExtractRequest(request=a_request())) for _ in range(2)]
        free.answer = NoRoom()
        nobody = await refused(extract(extraction_pb2.ExtractRequest(request=a_request())))

    assert [answer.result for answer in answers] == [RESULT, RESULT]
    assert free.asked[0].request == a_request()
    assert (nobody.code(), reason(nobody)) == (Code.RESOURCE_EXHAUSTED, "NO_ROOM")


async def test_what_a_worker_says_of_a_document_is_passed_on(database_url: str) -> None:
    worker = Worker(DocumentEncrypted("wants a password"))
    async with (
        listening(worker) as address,
        api(database_url, GLEANER_WORKER_ADDRESSES=address) as (_, channel),
    ):
        answer = await refused(
            ExtractionServiceStub(channel).Extract(extraction_pb2.ExtractRequest(request=a_request()))
        )

    assert (answer.code(), reason(answer)) == (Code.FAILED_PRECONDITION, "DOCUMENT_ENCRYPTED")


def a_port_that_nobody_listens_on() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_a_database_that_cannot_be_reached_ends_the_start_with_the_way_out() -> None:
    url = f"postgresql://nobody@127.0.0.1:{a_port_that_nobody_listens_on()}/nothing"
    async with running(
        API, listening=False, GLEANER_DATABASE_URL=url, GLEANER_DATABASE_START_TIMEOUT_S="0.3"
    ) as process:
        assert await process.ended() == 1

    messages = [line["message"] for line in process.lines]
    assert any("waiting for the database" in message for message in messages)
    assert "GLEANER_DATABASE_URL" in messages[-1]


async def test_a_database_that_was_not_migrated_is_waited_for(empty_database_url: str) -> None:
    async with (
        running(API, GLEANER_DATABASE_URL=empty_database_url, GLEANER_WORKER_ADDRESSES="") as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        check = HealthStub(channel).Check
        assert (await check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        assert (await check(health_pb2.HealthCheckRequest(service="liveness"))).status == SERVING


async def test_settings_that_do_not_fit_are_told_with_the_way_out() -> None:
    async with running(
        API, listening=False, GLEANER_DATABASE_URL="postgresql://x/y", GLEANER_EXTRACTORS=","
    ) as process:
        assert await process.ended() == 2

    assert any("GLEANER_EXTRACTORS" in line["message"] for line in process.lines)
