"""Reading the events of a consumer group over streams that may break. Each event at least once."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import grpc

from gleaner.v1 import events_pb2 as pb
from gleaner.v1 import jobs_pb2
from gleaner_client import errors
from gleaner_client.watching import SILENCE

Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.SubscribeEventsRequest, pb.SubscribeEventsResponse]"
Open = Callable[[], Any]
Handler = Callable[["Received"], Awaitable[None]]

_ATTEMPTS = 8  # in a row, without a message between them
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_FAREWELL = 3.0


class Received:
    """An event, to be acknowledged once it is handled. `tries` counts how often that went wrong before."""

    def __init__(self, message: pb.SubscribedEvent, stream: "_Stream") -> None:
        self.job: str = message.job
        self.event: jobs_pb2.JobEvent = message.event
        self.tries: int = message.tries
        self.message = message
        self._stream = stream

    async def ack(self) -> None:
        """It, and all that came before it, is handled.

        If the stream has broken meanwhile, it comes again.
        """
        await self._stream.say(pb.SubscribeEventsRequest(ack=pb.EventAck(position=self.message.position)))

    async def nack(self, reason: str = "") -> None:
        """It cannot be handled now: it comes again after a rest, and is parked when that happens too often."""
        refusal = pb.EventNack(position=self.message.position, reason=reason[:500].replace("\0", ""))
        await self._stream.refuse(pb.SubscribeEventsRequest(nack=refusal))


class _Stream:
    """One stream, started."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._void = False
        self._reading: asyncio.Future[Any] | None = None

    async def say(self, message: pb.SubscribeEventsRequest) -> None:
        # A broken stream tells why where it is read; what it did not take in comes again.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            await self._call.write(message)

    async def refuse(self, message: pb.SubscribeEventsRequest) -> None:
        self._void = True
        await self.say(message)

    async def messages(self, start: pb.SubscriptionStart) -> AsyncGenerator[pb.SubscribeEventsResponse, None]:
        """Everything that is not void, signs of life too."""
        try:
            await self.say(pb.SubscribeEventsRequest(start=start))
            while True:
                message = await self._read()
                if not isinstance(message, pb.SubscribeEventsResponse):  # grpc.aio.EOF
                    return
                self._void = self._void and not message.voided
                if not self._void:
                    yield message
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error
        finally:
            await self._close()

    async def _close(self) -> None:
        """Closes in good order, so that the server does not take this reader for dead."""
        with suppress(TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(_FAREWELL):
                await self._call.done_writing()
                while await self._read() is not grpc.aio.EOF:
                    pass
        self._call.cancel()

    async def _read(self) -> Any:
        # A cancelled `read` would cancel the call: what is cancelled here is the wait for it.
        self._reading = self._reading or asyncio.ensure_future(self._call.read())
        done, _ = await asyncio.wait({self._reading}, timeout=SILENCE)
        if not done:
            raise errors.Unavailable("the server has fallen silent")
        read, self._reading = self._reading, None
        return read.result()


def _told(error: grpc.aio.AioRpcError) -> errors.GleanerError:
    """What the server said. If it ended the stream just as something was written, gRPC says INTERNAL in its place: then
    another stream will tell."""
    if error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata():
        return errors.Unavailable("the stream broke off")
    return errors.from_rpc(error)


async def receive(open_stream: Open, start: pb.SubscriptionStart) -> AsyncGenerator[Received, None]:
    """The events of the group, without end, over as many streams as it takes."""
    failures = 0
    while True:
        broken: errors.GleanerError = errors.Unavailable("the stream ended")
        stream = _Stream(open_stream())
        try:
            async with aclosing(stream.messages(start)) as messages:
                async for message in messages:
                    failures = 0
                    if message.HasField("event"):
                        yield Received(message.event, stream)
        except errors.GleanerError as error:
            if not _passes(error):
                raise
            broken = error
        failures += 1
        if failures >= _ATTEMPTS:
            raise broken
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**failures)
        await asyncio.sleep(max(random.uniform(0, delay), broken.retry_after or 0))


async def handle_each(events: AsyncGenerator[Received, None], handler: Handler) -> None:
    """Acknowledges what the handler takes, refuses what it fails at; without end."""
    async with aclosing(events):
        async for received in events:
            try:
                await handler(received)
            except Exception as error:
                await received.nack(f"{type(error).__name__}: {error}")
            else:
                await received.ack()


def _passes(error: errors.GleanerError) -> bool:
    """Whether another stream may do: the server drains, the limit of this one is reached, another reader took over."""
    return isinstance(error, errors.Unavailable | errors.TimedOut) or error.reason == "GROUP_LOST"
