"""One reader of a consumer group: it waits in line, gets events, acknowledges them, and its lease is kept meanwhile.

Three tasks share the reader: one reads the log and sends, one listens, one renews. What they ask of the database takes
turns.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from gleaner.v1 import events_pb2 as pb
from gleaner_api import messages, names
from gleaner_api.window import Delivery, Window
from gleaner_core.errors import Finding, GroupLost, InvalidRequest, Unavailable
from gleaner_repo import GroupLease, GroupRepository, Position
from gleaner_telemetry import kept_headers

T = TypeVar("T")
Requests = AsyncIterator[pb.SubscribeEventsRequest]
Send = Callable[[pb.SubscribeEventsResponse], Awaitable[None]]

_SIGN_OF_LIFE_S = 15.0
_LINE_S = 1.0  # how often one in line looks, about
_POLL_S, _LONGEST_POLL_S = 0.05, 0.5
_TROUBLE_S = 0.5
_LEAVE_S = 5.0


class Reader:
    """The reader that has the group, for as long as the lease is kept."""

    def __init__(self, groups: GroupRepository, lease: GroupLease, length: timedelta, expires: float) -> None:
        self._groups = groups
        self._lease = lease
        self._length = length
        self._expires = expires  # on this process's clock, counted from before the lease was asked for
        self._window = Window(lease.token)
        self._at = self._cursor = lease.position  # where the group stands, and up to where it was read
        self._tries, self._careful = lease.tries, lease.careful
        self._replays = True  # perhaps
        self._voided = False
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    async def hand_out(self, send: Send, max_in_flight: int) -> None:
        """Sends events as there is room for them. Raises GroupLost."""
        pause, sent = _POLL_S, time.monotonic()
        while True:
            self._news.clear()
            try:
                async with self._turn:
                    await self._settle()
                    deliveries = await self._next(max_in_flight)
                    voided, self._voided = self._voided, False
            except Unavailable:
                await asyncio.sleep(_TROUBLE_S)  # for how long that may go on, the lease decides
                continue
            if voided:
                await send(pb.SubscribeEventsResponse(voided=True))
                deliveries = self._window.under_way()  # what the reader has ignored meanwhile, too
            for delivery in deliveries:
                if self._window.holds(delivery):  # an earlier one may have been refused meanwhile
                    await send(_message(delivery))
            if not deliveries and time.monotonic() - sent >= _SIGN_OF_LIFE_S:
                await send(pb.SubscribeEventsResponse())
            elif not deliveries:
                pause = min(pause * 1.5, _LONGEST_POLL_S)
                await self._pause(pause)
                continue
            pause, sent = _POLL_S, time.monotonic()

    async def listen(self, requests: Requests) -> None:
        """Takes in what was handled or refused, until the reader closes its side."""
        async for request in requests:
            kind = request.WhichOneof("message")
            if kind == "ack":
                self._window.ack(request.ack.position)
            elif kind == "nack":
                async with self._turn:
                    refused = self._window.nack(request.nack.position)
                    self._voided = True  # the reader ignores all until it is told, also if it refused what was void
                    if refused:
                        await self._refuse(refused, request.nack.reason)
            else:
                raise InvalidRequest([Finding("start", "NOT_FIRST", "is for the first message only")])
            self._news.set()

    async def renew(self) -> None:
        """Keeps the lease. Raises GroupLost, and Unavailable when the database did not answer for a whole lease."""
        while True:
            await asyncio.sleep(self._length.total_seconds() / 3)
            try:
                async with self._turn:
                    await self._renew()
            except Unavailable:
                if time.monotonic() >= self._expires:
                    raise

    async def leave(self, *, died: bool) -> None:
        """Writes what was acknowledged and gives the group up. With `died`, what is under way counts as a try."""
        with suppress(Unavailable, GroupLost, TimeoutError):
            async with asyncio.timeout(_LEAVE_S), self._turn:
                try:
                    await self._settle()
                finally:
                    await self._groups.release(self._lease, died=died)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _next(self, max_in_flight: int) -> list[Delivery]:
        """Events that are under way from now on."""
        # One at a time if a reader died over one of them; and replays alone, for what is said of them moves no group.
        room = (1 if self._careful or self._replays else max_in_flight) - len(self._window)
        if room < 1:
            return []
        if self._replays:
            if parked := await self._groups.take_replays(self._lease, 1):
                return self._window.add([parked[0].logged], tries=parked[0].tries - 1, replay=True)
            self._replays = False
        batch = self._held(await self._groups.read(self._lease, self._cursor, room))
        self._cursor = batch.reached or self._cursor
        tries = self._tries if batch.events else 0
        self._tries -= tries
        return self._window.add(batch.events, tries=tries)

    async def _settle(self) -> None:
        handled = self._window.handled()
        for delivery in handled:
            if delivery.replay:
                await self._groups.settle_replay(
                    self._lease.tenant_id, self._lease.name, delivery.logged.event.event_id
                )
        if moved := [delivery for delivery in handled if not delivery.replay]:
            await self._move(moved[-1].logged.position, len(moved))
        self._window.written(handled)

    async def _move(self, upto: Position, settled: int) -> None:
        sent = time.monotonic()
        self._careful = self._held(await self._groups.ack(self._lease, upto, settled, self._length))
        self._at, self._cursor = upto, max(self._cursor, upto)
        self._expires = sent + self._length.total_seconds()

    async def _refuse(self, refused: Delivery, reason: str) -> None:
        # First, and whatever becomes of the statements: else a renewal may take what is void for handled.
        self._cursor = self._at
        await self._settle()
        if refused.replay:
            event_id = refused.logged.event.event_id
            await self._groups.refuse_replay(self._lease.tenant_id, self._lease.name, event_id, reason)
            return
        answer = self._held(await self._groups.nack(self._lease, self._at, reason))
        self._at = self._cursor = answer.position
        self._tries = answer.tries

    async def _renew(self) -> None:
        sent = time.monotonic()
        await self._settle()
        if self._window.idle and self._cursor > self._at:
            await self._move(self._cursor, 0)  # past what nobody wants, so that it holds the log no longer
        self._replays = self._held(await self._groups.renew(self._lease, self._length)) or self._replays
        self._expires = sent + self._length.total_seconds()

    def _held(self, answer: T | None) -> T:
        if answer is None:
            raise GroupLost(self._lease.name)
        return answer


async def in_line(groups: GroupRepository, tenant_id: str, name: str, length: timedelta, send: Send) -> Reader:
    """The group's next reader, once the one before is gone. Raises GroupNotFound and GroupExpired."""
    told = None
    while True:
        asked = time.monotonic()
        if lease := await groups.take(tenant_id, name, uuid4(), length):
            return Reader(groups, lease, length, asked + length.total_seconds())
        if told is None or asked - told >= _SIGN_OF_LIFE_S:
            told = asked
            await send(pb.SubscribeEventsResponse(waiting=True))
        await asyncio.sleep(_LINE_S * random.uniform(0.5, 1.5))


def _message(delivery: Delivery) -> pb.SubscribeEventsResponse:
    made = delivery.logged.event
    trace = kept_headers(delivery.logged.trace_context)
    return pb.SubscribeEventsResponse(
        event=pb.SubscribedEvent(
            position=delivery.position,
            job=names.of_job(made.job_id),
            event=messages.event(made),
            tries=delivery.tries,
            traceparent=trace.get("traceparent", ""),
            tracestate=trace.get("tracestate", ""),
        )
    )
