import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1.jobs_pb2_grpc import JobServiceServicer, JobServiceStub
from gleaner_rpc import Context, GrpcSettings, Server, build_server

NAME = "jobs/01890000-0000-7000-8000-000000000000"


class Scripted(JobServiceServicer):
    """Does for each method what the test says."""

    def __init__(self) -> None:
        self.get: Callable[[Context], Awaitable[pb.GetJobResponse]] = self._answer
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _answer(self, context: Context) -> pb.GetJobResponse:
        return pb.GetJobResponse(job=pb.Job(name=NAME))

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        self.began.set()
        try:
            return await self.get(context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.SubmitJobResponse:
        return pb.SubmitJobResponse()

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        return pb.ListJobsResponse()

    async def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        return pb.CancelJobResponse()

    async def GetJobResult(self, request: pb.GetJobResultRequest, context: Any) -> pb.GetJobResultResponse:
        return pb.GetJobResultResponse()

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        try:
            yield pb.WatchJobResponse(job=pb.Job(name=NAME))
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


class Running:
    """A server on a free port, and a client of it."""

    def __init__(self, server: Server, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.channel = channel
        self.jobs = JobServiceStub(channel)


Started = Callable[..., Any]


@pytest.fixture
def script() -> Scripted:
    return Scripted()  # type: ignore[abstract]  # what no test calls is not scripted


@pytest.fixture
def started(script: Scripted) -> Started:
    @asynccontextmanager
    async def start(
        *, heavy: tuple[str, ...] = (), limits: dict[str, timedelta] | None = None, **settings: Any
    ) -> AsyncIterator[Running]:
        server = build_server(GrpcSettings(listen="127.0.0.1:0", **settings), script, heavy=heavy, limits=limits)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                yield Running(server, channel)
        finally:
            await server.stop()

    return start
