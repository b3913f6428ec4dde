"""A reader of a consumer group whose statements fail, or whose client says odd things: no event is passed over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gleaner.v1 import events_pb2 as pb
from gleaner_api.subscription import Reader, in_line
from gleaner_core.errors import Unavailable
from gleaner_repo import Database, GroupLease, GroupRepository, Position
from gleaner_repo.groups import Refused
from gleaner_repo.moves import EVENT_TYPES
from support.jobs import LEASE, TENANT
from support.written_events import write_events

GROUP = "billing"
SHORT = timedelta(seconds=0.6)
"""A lease that is renewed five times a second."""


class Troubled(GroupRepository):
    """Some of its statements are not answered."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, rest=timedelta(0), longest_rest=timedelta(0))
        self.silent_on: set[str] = set()
        self.before_ack: Callable[[], Awaitable[None]] | None = None
        self.renewed = asyncio.Event()

    async def nack(self, lease: GroupLease, at: Position, reason: str) -> Refused | None:
        self._answer("nack")
        return await super().nack(lease, at, reason)

    async def ack(self, lease: GroupLease, upto: Position, settled: int, length: timedelta) -> int | None:
        self._answer("ack")
        then, self.before_ack = self.before_ack, None
        if then:
            await then()
        return await super().ack(lease, upto, settled, length)

    async def renew(self, lease: GroupLease, length: timedelta) -> bool | None:
        answer = await super().renew(lease, length)
        self.renewed.set()
        return answer

    def _answer(self, method: str) -> None:
        if method in self.silent_on:
            raise Unavailable


class Client:
    """What a reader's client is sent, and what it says."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[pb.SubscribeEventsResponse] = asyncio.Queue()
        self.said: asyncio.Queue[pb.SubscribeEventsRequest] = asyncio.Queue()

    async def send(self, message: pb.SubscribeEventsResponse) -> None:
        self.sent.put_nowait(message)

    async def requests(self) -> AsyncIterator[pb.SubscribeEventsRequest]:
        while True:
            yield await self.said.get()
            self.said.task_done()

    async def events(self, count: int) -> list[pb.SubscribedEvent]:
        async with asyncio.timeout(10):
            return [(await self._message(lambda one: one.HasField("event"))).event for _ in range(count)]

    async def voided(self) -> None:
        async with asyncio.timeout(10):
            await self._message(lambda one: one.voided)

    def ack(self, event: pb.SubscribedEvent) -> None:
        self.said.put_nowait(pb.SubscribeEventsRequest(ack=pb.EventAck(position=event.position)))

    def nack(self, event: pb.SubscribedEvent) -> None:
        self.said.put_nowait(pb.SubscribeEventsRequest(nack=pb.EventNack(position=event.position)))

    async def _message(self, wanted: Callable[[pb.SubscribeEventsResponse], bool]) -> pb.SubscribeEventsResponse:
        while not wanted(message := await self.sent.get()):
            pass
        return message


@pytest.fixture
async def groups(database: Database) -> Troubled:
    made = Troubled(database)
    await made.make(TENANT, GROUP, earliest=True)
    return made


@pytest.fixture
def client() -> Client:
    return Client()


@asynccontextmanager
async def reading(groups: GroupRepository, client: Client, length: timedelta = LEASE) -> AsyncIterator[Reader]:
    """A reader that hands out and listens for the length of the block, and then leaves."""
    reader = await in_line(groups, TENANT, GROUP, length, client.send)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(reader.hand_out(client.send, 100)),
            group.create_task(reader.listen(client.requests())),
        ]
        yield reader
        await asyncio.wait_for(client.said.join(), 10)
        for task in tasks:
            task.cancel()
    await reader.leave(died=False)


async def left(groups: GroupRepository) -> list[UUID]:
    """The events that the group's next reader gets."""
    async with asyncio.timeout(10):
        lease = await groups.take(TENANT, GROUP, uuid4(), LEASE)
        assert lease
        batch = await groups.read(lease, lease.position, 1000)
    assert batch
    return [logged.event.event_id for logged in batch.events]


def ids(events: list[pb.SubscribedEvent]) -> list[UUID]:
    return [UUID(event.event.id) for event in events]


async def test_a_refusal_that_is_not_written_passes_over_nothing(
    groups: Troubled, client: Client, database: Database
) -> None:
    written = await write_events(database, 10)
    reader = await in_line(groups, TENANT, GROUP, SHORT, client.send)
    handing_out = asyncio.create_task(reader.hand_out(client.send, 100))
    [first, *_] = await client.events(10)
    handing_out.cancel()

    groups.silent_on = {"nack"}
    client.nack(first)
    with pytest.raises(Unavailable):
        await reader.listen(client.requests())
    renewing = asyncio.create_task(reader.renew())  # a renewal that waited for its turn is next
    await asyncio.wait_for(groups.renewed.wait(), 10)
    renewing.cancel()
    await reader.leave(died=False)

    assert await left(groups) == written


async def test_each_refusal_is_answered_also_one_of_what_was_void_or_acknowledged(
    groups: Troubled, client: Client, database: Database
) -> None:
    written = await write_events(database, 6)
    async with reading(groups, client):
        events = await client.events(6)
        client.ack(events[1])
        client.nack(events[0])
        await client.voided()
        again = await client.events(4)
        assert ids(again) == written[2:]

        client.nack(again[0])
        await client.voided()
        client.nack(events[4])  # by somebody who worked on it meanwhile
        await client.voided()
        last = await client.events(4)
        assert ids(last)[-1] == written[-1]
        client.ack(last[-1])
    assert await left(groups) == []


async def test_what_is_acknowledged_while_a_renewal_writes_does_not_end_the_reader(
    groups: Troubled, client: Client, database: Database
) -> None:
    await groups.delete(TENANT, GROUP)
    await groups.make(TENANT, GROUP, earliest=True, event_types=["job.succeeded"])
    await write_events(database, 2, number=EVENT_TYPES["job.succeeded"])
    await write_events(database, 3, number=EVENT_TYPES["job.started"])
    async with reading(groups, client, SHORT) as reader:
        first, second = await client.events(2)

        async def acknowledge_the_other() -> None:
            client.ack(second)
            await client.said.join()

        async with reader._turn:  # whoever is next to write what is acknowledged, it is the renewal
            client.ack(first)
            await client.said.join()
            groups.before_ack = acknowledge_the_other
            await reader._renew()
        await reader._renew()
    assert await left(groups) == []


async def test_a_reader_that_leaves_while_nothing_can_be_written_leaves_the_group_free(
    groups: Troubled, client: Client, database: Database
) -> None:
    written = await write_events(database, 3)
    async with reading(groups, client):
        [first, *_] = await client.events(3)
        client.ack(first)
        groups.silent_on = {"ack"}
    assert await left(groups) in (written, written[1:])
