"""Places for calls that hold much: so many, kept until the call's task ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1.jobs_pb2_grpc import JobServiceServicer, JobServiceStub
from gleaner_core.errors import NoRoom
from gleaner_rpc import GrpcSettings, Places, build_server
from gleaner_rpc.settings import MEBIBYTE

NAME = "jobs/01890000-0000-7000-8000-000000000000"


async def test_a_place_is_kept_until_the_calls_task_ends_and_then_the_next_has_it() -> None:
    places = Places(1, timedelta(seconds=30))
    answered = asyncio.Event()
    order: list[str] = []

    async def call(name: str) -> None:
        await places.take()
        order.append(name)
        await answered.wait()  # the servicer has returned, the answer is being written

    async with asyncio.TaskGroup() as group:
        group.create_task(call("first"))
        group.create_task(call("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["first"]
        answered.set()
    assert order == ["first", "second"]


async def test_who_finds_no_place_in_time_is_told_to_come_again() -> None:
    places = Places(1, timedelta(0))
    await places.take()
    with pytest.raises(NoRoom):
        await places.take()


class Generous(JobServiceServicer):
    """Answers with more than fits into the buffers on the way."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.answering = asyncio.Event()

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        await self._places.take()
        self.answering.set()
        return pb.GetJobResponse(job=pb.Job(name=NAME, metadata={"k": "x" * 30 * MEBIBYTE}))


@asynccontextmanager
async def forgetting_to_read(port: int) -> AsyncIterator[int]:
    """The port of somebody who passes on what is asked of a server, and reads no more than a little of what it says."""
    pipes: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        pipes.append(asyncio.create_task(pipe(reader, back, 10**9)))
        pipes.append(asyncio.create_task(pipe(there, writer, 100_000)))

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
        try:
            while most > 0 and (chunk := await reader.read(65536)):
                most -= len(chunk)
                writer.write(chunk)
            await asyncio.Event().wait()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for one in pipes:
        one.cancel()
    await asyncio.gather(*pipes, return_exceptions=True)


async def test_who_does_not_read_the_answer_is_cut_off_and_the_place_is_free() -> None:
    generous = Generous(Places(1, timedelta(seconds=30), longest=timedelta(seconds=0.5)))  # type: ignore[abstract]
    server = build_server(GrpcSettings(listen="127.0.0.1:0"), generous)
    await server.start()
    options = [("grpc.max_receive_message_length", -1)]
    request = pb.GetJobRequest(name=NAME)
    async with (
        forgetting_to_read(server.port) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as deaf,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as another,
    ):
        unheard = asyncio.ensure_future(JobServiceStub(deaf).GetJob(request))
        async with asyncio.timeout(20):
            await generous.answering.wait()
            assert (await JobServiceStub(another).GetJob(request)).job.name == NAME
        assert not unheard.done()
        unheard.cancel()
    await server.stop()
