"""The external scaler as KEDA calls it: over gRPC, at an api process on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from externalscaler import externalscaler_pb2 as pb
from externalscaler.externalscaler_pb2_grpc import ExternalScalerStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from gleaner_core.errors import JobError
from gleaner_repo import DatabaseSettings, JobRepository, open_database
from support.api import API, Api
from support.grpc_errors import fields, reason, refused
from support.jobs import LEASE, a_job
from support.service_process import ServiceProcess, running

if TYPE_CHECKING:
    from externalscaler.externalscaler_pb2_grpc import ExternalScalerAsyncStub

Code = grpc.StatusCode
METRIC = "gleaner-extraction-jobs"


def trigger(leg: str = "extraction", **more: str) -> pb.ScaledObjectRef:
    """What KEDA hands over of a ScaledObject: all of the trigger's metadata, its own keys among them."""
    metadata = {"scalerAddress": "gleaner-api:50051", "leg": leg, "jobsPerReplica": "8"} | more
    return pb.ScaledObjectRef(name=f"gleaner-{leg}", namespace="gleaner", scalerMetadata=metadata)


class Scaled:
    """An api process without any work yet, and what KEDA and workers do with it."""

    def __init__(self, process: ServiceProcess, channel: grpc.aio.Channel, jobs: JobRepository) -> None:
        self.process = process
        self.channel = channel
        self.stub = ExternalScalerStub(channel)
        self.jobs = jobs

    async def figure(self, leg: str = "extraction") -> float:
        answer = await self.stub.GetMetrics(
            pb.GetMetricsRequest(scaledObjectRef=trigger(leg), metricName=f"gleaner-{leg}-jobs")
        )
        [value] = answer.metricValues
        assert value.metricName == f"gleaner-{leg}-jobs" and value.metricValue >= value.metricValueFloat
        return float(value.metricValueFloat)

    async def reached(self, figure: float, leg: str = "extraction") -> bool:
        """Whether the figure becomes this; what it is told is a second old at most."""
        async with asyncio.timeout(10):
            while await self.figure(leg) != figure:
                await asyncio.sleep(0.1)
        return True


@pytest.fixture
async def scaled(database_url: str) -> AsyncIterator[Scaled]:
    async with (
        running(API, GLEANER_DATABASE_URL=database_url, GLEANER_WORKER_ADDRESSES="") as process,
        open_database(DatabaseSettings(database_url=database_url, database_pool_size=2)) as database,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        await process.logged("ready")
        yield Scaled(process, channel, JobRepository(database))


async def test_the_figures_follow_a_job_through_its_legs(scaled: Scaled) -> None:
    idle = [await scaled.figure(), await scaled.figure("refinement")]
    await scaled.jobs.submit([a_job() for _ in range(3)])
    assert await scaled.reached(3)
    [claimed] = await scaled.jobs.mark_running(1, LEASE, uuid4())
    assert await scaled.figure() == 3, "a running job is work"
    await scaled.jobs.mark_partial_succeeded(claimed.lease, b"result", b"pages")

    assert idle == [0, 0]
    assert await scaled.reached(2) and await scaled.reached(1, "refinement")


async def test_deliveries_that_are_due_keep_the_workers_that_send_them(scaled: Scaled) -> None:
    await scaled.jobs.submit([a_job(callback_url="https://example.org/hook") for _ in range(8)])
    for claimed in await scaled.jobs.mark_running(8, LEASE, uuid4()):
        await scaled.jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))

    assert await scaled.reached(1)
    assert (await scaled.stub.IsActive(trigger())).result
    assert not (await scaled.stub.IsActive(trigger("refinement"))).result


async def test_a_stream_tells_at_once_and_then_of_changes_alone(scaled: Scaled) -> None:
    stream = scaled.stub.StreamIsActive(trigger())
    told = [await _next(stream)]
    await scaled.jobs.submit([a_job()])
    told.append(await _next(stream))
    await scaled.jobs.submit([a_job()])  # nothing to tell
    for claimed in await scaled.jobs.mark_running(2, LEASE, uuid4()):
        await scaled.jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
    told.append(await _next(stream))

    assert told == [False, True, False]


async def test_a_stream_is_over_when_the_api_drains_and_no_error(scaled: Scaled) -> None:
    streams = [scaled.stub.StreamIsActive(trigger(leg)) for leg in ("extraction", "refinement")]
    for stream in streams:
        await stream.read()

    scaled.process.ask_to_stop()

    assert [await stream.read() for stream in streams] == [grpc.aio.EOF, grpc.aio.EOF]
    assert [await stream.code() for stream in streams] == [Code.OK, Code.OK]
    assert await scaled.process.ended() == 0


async def test_a_stream_is_over_before_its_connection_is(database_url: str) -> None:
    async with (
        running(
            API, GLEANER_DATABASE_URL=database_url, GLEANER_WORKER_ADDRESSES="", GLEANER_MAX_CONNECTION_AGE_S="1"
        ) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        await process.logged("ready")
        stream = ExternalScalerStub(channel).StreamIsActive(trigger())

        assert await _read_to_its_end(stream) == [False]
        assert await stream.code() == Code.OK


@pytest.fixture
def stub(api: Api) -> ExternalScalerAsyncStub:
    return ExternalScalerStub(api.channel)


async def test_the_metric_has_the_target_that_the_trigger_asks_for(stub: ExternalScalerAsyncStub) -> None:
    answer = await stub.GetMetricSpec(trigger(jobsPerReplica="2.5"))

    [spec] = answer.metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (METRIC, 2, 2.5)


async def test_wrong_metadata_is_refused_by_every_method(stub: ExternalScalerAsyncStub) -> None:
    wrong = trigger("grounding", jobsPerReplica="0", maxAgeSeconds="long")
    named = {"leg": "UNKNOWN_LEG", "jobsPerReplica": "NO_POSITIVE_NUMBER", "maxAgeSeconds": "NO_POSITIVE_NUMBER"}

    for call in (
        stub.IsActive(wrong),
        stub.GetMetricSpec(wrong),
        stub.StreamIsActive(wrong).read(),
    ):
        error = await refused(call)
        assert (error.code(), reason(error)) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert fields(error) == {f'scalerMetadata["{key}"]': why for key, why in named.items()}
    error = await refused(stub.GetMetrics(pb.GetMetricsRequest(scaledObjectRef=wrong, metricName=METRIC)))
    assert set(fields(error)) == {f'scaledObjectRef.scalerMetadata["{key}"]' for key in named}


async def test_a_metric_that_the_trigger_does_not_have_is_refused(stub: ExternalScalerAsyncStub) -> None:
    error = await refused(stub.GetMetrics(pb.GetMetricsRequest(scaledObjectRef=trigger(), metricName="cpu")))

    assert (error.code(), fields(error)) == (Code.INVALID_ARGUMENT, {"metricName": "UNKNOWN_METRIC"})


async def test_a_call_keeps_its_deadline_and_its_size(stub: ExternalScalerAsyncStub) -> None:
    late = await refused(_read_to_its_end(stub.StreamIsActive(trigger(), timeout=0.5)))
    big = await refused(stub.IsActive(trigger(more="x" * (41 * 1024 * 1024))))

    assert late.code() == Code.DEADLINE_EXCEEDED
    assert big.code() == Code.RESOURCE_EXHAUSTED


async def test_keda_finds_the_service_by_its_name(api: Api) -> None:
    reflected = ServerReflectionStub(api.channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="externalscaler.ExternalScaler")

    [answer] = [answer async for answer in reflected.ServerReflectionInfo(iter([asked]))]

    assert answer.file_descriptor_response.file_descriptor_proto


async def _next(stream: grpc.aio.UnaryStreamCall[pb.ScaledObjectRef, pb.IsActiveResponse]) -> bool:
    answer = await stream.read()
    assert isinstance(answer, pb.IsActiveResponse)
    return answer.result


async def _read_to_its_end(stream: AsyncIterable[pb.IsActiveResponse]) -> list[bool]:
    return [answer.result async for answer in stream]
