"""A reader of a consumer group over gRPC, message by message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from gleaner.v1 import events_pb2 as pb
from gleaner.v1.events_pb2_grpc import EventServiceStub

PATIENCE_S = 20.0


class Subscriber:
    """The stream of one reader, started."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def message(self) -> pb.SubscribeEventsResponse:
        """The next message. Raises the call's error, or EOFError at its end."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self.call.read()
        if isinstance(message, pb.SubscribeEventsResponse):
            return message
        if await self.call.code() is grpc.StatusCode.OK:
            raise EOFError
        raise AssertionError(await self.call.code())

    async def event(self) -> pb.SubscribedEvent:
        """The next event."""
        while not (message := await self.message()).HasField("event"):
            pass
        return message.event

    async def events(self, count: int, *, ack: bool = True) -> list[pb.SubscribedEvent]:
        """The next events, each acknowledged."""
        events = []
        for _ in range(count):
            events.append(await self.event())
            if ack:
                await self.ack(events[-1])
        return events

    async def ack(self, event: pb.SubscribedEvent) -> None:
        """It, and what was before, is handled."""
        await self.call.write(pb.SubscribeEventsRequest(ack=pb.EventAck(position=event.position)))

    async def nack(self, event: pb.SubscribedEvent, reason: str = "no") -> None:
        """It cannot be handled."""
        await self.call.write(pb.SubscribeEventsRequest(nack=pb.EventNack(position=event.position, reason=reason)))

    async def close(self) -> None:
        """Enough; returns when the server has taken note."""
        await self.call.done_writing()
        async with asyncio.timeout(PATIENCE_S):
            while await self.call.read() is not grpc.aio.EOF:
                pass


@asynccontextmanager
async def subscribed(
    channel: grpc.aio.Channel,
    group: str,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - the server knows this deadline
    **start: Any,
) -> AsyncIterator[Subscriber]:
    """A reader that starts at the log's beginning, unless told otherwise; broken off at the end of the block."""
    start.setdefault("start_at", pb.GROUP_START_EARLIEST)
    call = EventServiceStub(channel).SubscribeEvents(timeout=timeout)
    await call.write(pb.SubscribeEventsRequest(start=pb.SubscriptionStart(group=group, **start)))
    try:
        yield Subscriber(call)
    finally:
        call.cancel()
