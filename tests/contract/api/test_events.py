"""SubscribeEvents against the real process: at least once, one reader at a time, poison parked, the way out told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
import pytest_asyncio

from gleaner.v1 import events_pb2 as pb
from gleaner.v1.events_pb2_grpc import EventServiceStub
from gleaner_repo import Database, DatabaseSettings, GroupRepository, JobRepository, open_database
from support.api import API
from support.grpc_errors import fields, reason, refused
from support.jobs import TENANT
from support.jobs import running as a_running_job
from support.postgres import Databases
from support.service_process import ServiceProcess, running
from support.subscriber import Subscriber, subscribed
from support.written_events import readable, write_events

Code = grpc.StatusCode
LEASE_S = 2


@asynccontextmanager
async def an_api(url: str) -> AsyncIterator[ServiceProcess]:
    settings = {"GLEANER_DATABASE_URL": url, "GLEANER_WORKER_ADDRESSES": "", "GLEANER_GROUP_MAX_TRIES": "2"}
    async with running(API, settings, GLEANER_GROUP_LEASE_S=str(LEASE_S), GLEANER_DRAIN_PAUSE_S="0") as process:
        await process.logged("ready")
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(postgres: Databases) -> AsyncIterator[tuple[ServiceProcess, str]]:
    url = postgres.clone()
    async with an_api(url) as started:
        yield started, url
    postgres.drop(url)


@pytest.fixture
async def database(process: tuple[ServiceProcess, str]) -> AsyncIterator[Database]:
    async with open_database(DatabaseSettings(database_url=process[1], database_pool_size=2)) as opened:
        await opened.execute("TRUNCATE events, groups CASCADE")
        yield opened


@pytest.fixture
async def channel(process: tuple[ServiceProcess, str]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(process[0].address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return EventServiceStub(channel)


def ids(events: list[pb.SubscribedEvent]) -> list[str]:
    return [event.event.id for event in events]


def texts(written: list[Any]) -> list[str]:
    return [str(event_id) for event_id in written]


@asynccontextmanager
async def before(channel: grpc.aio.Channel, **start: Any) -> AsyncIterator[Subscriber]:
    """A reader that has the group before others come."""
    async with subscribed(channel, "billing", **start) as reader:
        assert not (await reader.message()).waiting
        yield reader


async def test_events_come_as_they_are_made_and_say_which_job(channel: grpc.aio.Channel, database: Database) -> None:
    async with subscribed(channel, "billing", start_at=pb.GROUP_START_NOW) as reader:
        assert await reader.message() == pb.SubscribeEventsResponse(), "a sign of life at once"
        job = await a_running_job(JobRepository(database))
        events = await reader.events(2)
    assert [(event.job, event.event.type, event.event.seq) for event in events] == [
        (f"jobs/{job.id}", "job.submitted", 1),
        (f"jobs/{job.id}", "job.started", 2),
    ]


async def test_what_was_acknowledged_does_not_come_again_and_what_was_not_does(
    channel: grpc.aio.Channel, database: Database
) -> None:
    written = texts(await write_events(database, 10))
    async with subscribed(channel, "billing") as reader:
        first = await reader.events(10, ack=False)
        await reader.ack(first[3])
        await reader.close()
    async with subscribed(channel, "billing") as reader:
        again = await reader.events(6)
        await reader.close()
    assert (ids(first), ids(again)) == (written, written[4:])
    assert {event.tries for event in again} == {0}, "closing is no failure"


async def test_no_more_is_under_way_than_was_asked_for(channel: grpc.aio.Channel, database: Database) -> None:
    await write_events(database, 10)
    async with subscribed(channel, "billing", max_in_flight=3) as reader:
        events = await reader.events(3, ack=False)
        next_one = asyncio.ensure_future(reader.event())
        assert not (await asyncio.wait({next_one}, timeout=1))[0]
        await reader.ack(events[0])
        assert (await next_one).event.id not in ids(events)


async def test_two_readers_take_turns_and_between_them_get_each_event_once(
    channel: grpc.aio.Channel, database: Database
) -> None:
    written = texts(await write_events(database, 20))
    async with before(channel) as first, subscribed(channel, "billing") as second:
        got = await first.events(7)
        assert (await second.message()).waiting
        await first.close()
        got += await second.events(13)
    assert ids(got) == written


async def test_twenty_thousand_events_come_in_order(channel: grpc.aio.Channel, stub: Any, database: Database) -> None:
    written = texts(await write_events(database, 20_000))
    async with subscribed(channel, "billing", max_in_flight=1000) as reader:
        events: list[pb.SubscribedEvent] = []
        while len(events) < len(written):
            events.append(await reader.event())
            if len(events) % 100 == 0:
                await reader.ack(events[-1])
        await reader.close()
    assert ids(events) == written
    assert (await stub.ListGroups(pb.ListGroupsRequest())).groups[0].tries == 0


async def test_only_the_types_that_were_asked_for_come(channel: grpc.aio.Channel, database: Database) -> None:
    await write_events(database, 30)
    ends = texts(await write_events(database, 2, number=7))
    async with subscribed(channel, "ends", event_types=["job.succeeded"]) as reader:
        assert ids(await reader.events(2)) == ends
        await reader.close()
    async with subscribed(channel, "ends", event_types=["job.failed"]) as reader:
        error = await refused(reader.message())
    assert (error.code(), reason(error)) == (Code.FAILED_PRECONDITION, "GROUP_DIFFERS")


async def test_a_reader_that_breaks_off_died_over_its_first_event(
    channel: grpc.aio.Channel, stub: Any, database: Database
) -> None:
    written = texts(await write_events(database, 5))
    async with subscribed(channel, "billing") as reader:
        await reader.events(5, ack=False)
    async with subscribed(channel, "billing") as reader:
        [event] = await reader.events(1, ack=False)
        assert (event.event.id, event.tries) == (written[0], 1)
    async with subscribed(channel, "billing") as reader:
        assert ids(await reader.events(4)) == written[1:]
        await reader.close()
    parked = await stub.ListParkedEvents(pb.ListParkedEventsRequest(group="billing"))
    assert [(event.event.id, event.reason) for event in parked.events] == [(written[0], "its readers died over it")]


async def test_a_refused_event_comes_again_is_parked_and_can_be_replayed(
    channel: grpc.aio.Channel, stub: Any, database: Database
) -> None:
    written = texts(await write_events(database, 3))
    async with subscribed(channel, "billing") as reader:
        first = await reader.events(3, ack=False)
        await reader.nack(first[1], "cannot be read")
        again = await reader.events(2, ack=False)
        assert (ids(again), [event.tries for event in again]) == (written[1:], [1, 0])
        await reader.ack(first[2])  # void since the refusal: it settles nothing
        await reader.nack(again[0], "still not")
        assert ids(await reader.events(1)) == written[2:]

        parked = (await stub.ListParkedEvents(pb.ListParkedEventsRequest(group="billing"))).events
        assert [(event.event.id, event.reason, event.tries) for event in parked] == [(written[1], "still not", 2)]
        assert (await stub.ReplayParkedEvents(pb.ReplayParkedEventsRequest(group="billing"))).replays == 1
        [replayed] = await reader.events(1)
        assert (replayed.event.id, replayed.tries) == (written[1], 2)
        await reader.close()
    assert not (await stub.ListParkedEvents(pb.ListParkedEventsRequest(group="billing"))).events


async def test_parked_events_are_listed_by_page(stub: Any, database: Database) -> None:
    groups = GroupRepository(database, max_tries=1)
    await groups.make(TENANT, "billing", earliest=True)
    written = texts(await write_events(database, 3))
    lease = await groups.take(TENANT, "billing", uuid4(), timedelta(seconds=15))
    assert lease
    for _ in range(3):
        await groups.nack(lease, (await groups.get(TENANT, "billing")).position, "no")
    request = pb.ListParkedEventsRequest(group="billing", page_size=2)
    first = await stub.ListParkedEvents(request)
    request.page_token = first.next_page_token
    second = await stub.ListParkedEvents(request)
    assert [len(first.events), len(second.events), second.next_page_token] == [2, 1, ""]
    assert sorted(event.event.id for event in [*first.events, *second.events]) == sorted(written)


async def test_an_expired_group_is_refused_and_started_anew(channel: grpc.aio.Channel, database: Database) -> None:
    groups = GroupRepository(database)
    await groups.make(TENANT, "billing", earliest=True)
    written = texts(await write_events(database, 2))
    await groups.mark_expired(timedelta(0))
    async with subscribed(channel, "billing") as reader:
        error = await refused(reader.message())
        assert (error.code(), reason(error)) == (Code.OUT_OF_RANGE, "GROUP_EXPIRED")
        assert "restart_expired" in (error.details() or "")
    async with subscribed(channel, "billing", restart_expired=True) as reader:
        assert ids(await reader.events(2)) == written


async def test_a_deleted_group_takes_its_reader_along(channel: grpc.aio.Channel, stub: Any, database: Database) -> None:
    async with subscribed(channel, "billing") as reader:
        await reader.message()
        [group] = (await stub.ListGroups(pb.ListGroupsRequest())).groups
        assert (group.name, group.has_reader) == ("billing", True)
        await stub.DeleteGroup(pb.DeleteGroupRequest(group="billing"))
        error = await refused(reader.message())
    assert (error.code(), reason(error)) == (Code.ABORTED, "GROUP_LOST")


async def test_a_deadline_is_kept_and_is_nobodys_death(channel: grpc.aio.Channel, database: Database) -> None:
    written = texts(await write_events(database, 2))
    async with subscribed(channel, "billing", timeout=1) as reader:
        await reader.events(2, ack=False)
        assert (await refused(reader.message())).code() is Code.DEADLINE_EXCEEDED
    async with subscribed(channel, "billing") as reader:
        [event] = await reader.events(1)
        assert (event.event.id, event.tries) == (written[0], 0)


@pytest.mark.parametrize(
    ("request_of", "wrong"),
    [
        (pb.SubscribeEventsRequest(), {"message": "REQUIRED"}),
        (pb.SubscribeEventsRequest(ack=pb.EventAck(position="1-1")), {"start": "REQUIRED"}),
        (pb.SubscribeEventsRequest(start=pb.SubscriptionStart(group="Not/one")), {"start.group": "STRING_PATTERN"}),
        (
            pb.SubscribeEventsRequest(start=pb.SubscriptionStart(group="g", max_in_flight=1001)),
            {"start.max_in_flight": "INT32_GTE_LTE"},
        ),
        (
            pb.SubscribeEventsRequest(start=pb.SubscriptionStart(group="g", event_types=["job.eaten"])),
            {"start.event_types[0]": "UNKNOWN_TYPE"},
        ),
    ],
)
async def test_what_is_wrong_with_the_first_message_is_told(
    stub: Any, request_of: pb.SubscribeEventsRequest, wrong: dict[str, str]
) -> None:
    call: Any = stub.SubscribeEvents()
    await call.write(request_of)
    error = await refused(Subscriber(call).message())
    assert (error.code(), fields(error)) == (Code.INVALID_ARGUMENT, wrong)


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (pb.SubscribeEventsRequest(start=pb.SubscriptionStart(group="g")), {"start": "NOT_FIRST"}),
        (pb.SubscribeEventsRequest(ack=pb.EventAck(position="1-99")), {"ack.position": "UNKNOWN_POSITION"}),
        (pb.SubscribeEventsRequest(nack=pb.EventNack(position="x-1")), {"nack.position": "UNKNOWN_POSITION"}),
        (pb.SubscribeEventsRequest(ack=pb.EventAck()), {"ack.position": "STRING_MIN_LEN"}),
    ],
)
async def test_what_is_wrong_with_a_later_message_is_told(
    channel: grpc.aio.Channel, database: Database, message: pb.SubscribeEventsRequest, wrong: dict[str, str]
) -> None:
    async with subscribed(channel, "g") as reader:
        await reader.message()
        await reader.call.write(message)
        error = await refused(reader.message())
    assert (error.code(), fields(error)) == (Code.INVALID_ARGUMENT, wrong)


async def test_a_group_that_is_not_there_is_not_found(stub: Any) -> None:
    for call in (
        stub.DeleteGroup(pb.DeleteGroupRequest(group="nobody")),
        stub.ListParkedEvents(pb.ListParkedEventsRequest(group="nobody")),
        stub.ReplayParkedEvents(pb.ReplayParkedEventsRequest(group="nobody")),
    ):
        error = await refused(call)
        assert (error.code(), reason(error)) == (Code.NOT_FOUND, "GROUP_NOT_FOUND")


async def test_a_watch_goes_on_while_the_log_is_held_and_the_group_catches_up(
    channel: grpc.aio.Channel, database: Database
) -> None:
    jobs = JobRepository(database)
    async with subscribed(channel, "billing") as reader:
        await reader.message()
        async with database.pool.acquire() as other, other.transaction():
            await other.execute("SELECT pg_current_xact_id()")
            job = await a_running_job(jobs)
            assert len(await jobs.events_of({job.id: 0})) == 2
            waiting = asyncio.ensure_future(reader.event())
            assert not (await asyncio.wait({waiting}, timeout=1))[0]
        await readable(database)
        assert (await waiting).event.seq == 1


async def test_a_server_that_drains_says_so_and_another_goes_on(postgres: Databases) -> None:
    url = postgres.clone()
    async with (
        open_database(DatabaseSettings(database_url=url, database_pool_size=1)) as database,
        an_api(url) as ending,
        an_api(url) as staying,
        grpc.aio.insecure_channel(ending.address) as first,
        grpc.aio.insecure_channel(staying.address) as second,
    ):
        written = texts(await write_events(database, 10))
        async with before(first, max_in_flight=1) as reader, subscribed(second, "billing") as heir:
            got = await reader.events(4)
            await reader.event()  # one at a time: that it comes says that the one before is settled
            ending.ask_to_stop()
            error = await refused(reader.event())
            assert (error.code(), reason(error)) == (Code.UNAVAILABLE, "DRAINING")
            rest = await heir.events(6)
            assert ids(got + rest) == written
            assert rest[0].tries == 0, "nobody died"
        assert await ending.ended() == 0
    postgres.drop(url)


async def test_a_killed_server_costs_a_lease_and_no_event(postgres: Databases) -> None:
    url = postgres.clone()
    async with (
        open_database(DatabaseSettings(database_url=url, database_pool_size=1)) as database,
        an_api(url) as victim,
        an_api(url) as staying,
        grpc.aio.insecure_channel(victim.address) as first,
        grpc.aio.insecure_channel(staying.address) as second,
    ):
        written = texts(await write_events(database, 200))
        async with before(first) as reader, subscribed(second, "billing") as heir:
            got = await reader.events(50)
            victim.kill()
            seen = set(ids(got))
            while seen != set(written):
                event = await heir.event()
                await heir.ack(event)
                seen.add(event.event.id)
    postgres.drop(url)
