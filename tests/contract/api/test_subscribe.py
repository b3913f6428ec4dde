"""The client's `subscribe` and `consume`, and the command `gleaner events`, against the real api."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from datetime import timedelta

import grpc.aio
import pytest

from gleaner.v1.jobs_pb2_grpc import JobServiceStub
from gleaner_client import GleanerClient, GroupExpired
from gleaner_client.subscribing import Received
from gleaner_repo import Database, DatabaseSettings, GroupRepository, open_database
from support.api import API
from support.jobs import TENANT
from support.requests import a_submit
from support.service_process import running
from support.written_events import write_events

SETTINGS = {"GLEANER_WORKER_ADDRESSES": "", "GLEANER_GROUP_MAX_TRIES": "2", "GLEANER_GROUP_LEASE_S": "2"}
COMMAND = ("-c", "from gleaner_client.cli.app import main; main()", "events", "--group", "billing", "--earliest")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(DatabaseSettings(database_url=database_url, database_pool_size=2)) as opened:
        yield opened


@pytest.fixture
async def address(database_url: str) -> AsyncIterator[str]:
    async with running(API, SETTINGS, GLEANER_DATABASE_URL=database_url) as process:
        await process.logged("ready")
        yield process.address


@pytest.fixture
async def client(address: str) -> AsyncIterator[GleanerClient]:
    async with GleanerClient(address) as connected:
        yield connected


@asynccontextmanager
async def the_command(address: str, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, "--server", address, "--json", *more, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def printed(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """The ids of the next events that it prints."""
    assert process.stdout
    async with asyncio.timeout(30):
        return [json.loads(await process.stdout.readline())["event"]["id"] for _ in range(count)]


def texts(written: Sequence[object]) -> list[str]:
    return [str(event_id) for event_id in written]


async def test_acknowledged_events_do_not_come_again(client: GleanerClient, database: Database) -> None:
    written = texts(await write_events(database, 20))
    seen = []
    for _ in range(2):
        async with aclosing(client.subscribe("billing", earliest=True)) as events:
            async for received in events:
                seen.append(received.event.id)
                await received.ack()
                if len(seen) % 10 == 0:
                    break
    assert seen == written
    [group] = await client.groups()
    assert (group.tries, group.parked) == (0, 0), "a reader that closes has not died"


async def test_what_a_handler_fails_at_comes_again_and_is_parked(client: GleanerClient, database: Database) -> None:
    written = texts(await write_events(database, 6))
    handled, done = [], asyncio.Event()

    async def handler(received: Received) -> None:
        handled.append(received.event.id)
        if received.event.id == written[2]:
            raise ValueError("no such customer")
        if received.event.id == written[-1]:
            done.set()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        consuming = group.create_task(client.consume("billing", handler, earliest=True))
        await done.wait()
        consuming.cancel()
    assert handled == [*written[:3], *written[2:]], "what came behind the refused event came once"
    [parked] = [event async for event in client.parked("billing")]
    assert (parked.event.id, parked.reason, parked.tries) == (written[2], "ValueError: no such customer", 2)
    assert await client.replay("billing", [parked.event.id]) == 1
    async with aclosing(client.subscribe("billing")) as events:
        again = await anext(events)
        assert again.event.id == written[2]
        await again.ack()
    await client.delete_group("billing")
    assert list(await client.groups()) == []


async def test_a_reader_outlives_its_server(database_url: str, database: Database) -> None:
    written = texts(await write_events(database, 30))
    seen: list[str] = []
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(API, SETTINGS, GLEANER_DATABASE_URL=database_url))
        await first.logged("ready")
        client = await stack.enter_async_context(GleanerClient(first.address))
        events = await stack.enter_async_context(aclosing(client.subscribe("billing", earliest=True, max_in_flight=10)))
        while set(seen) != set(written):
            received = await anext(events)
            seen.append(received.event.id)
            await received.ack()
            if len(seen) == 10:
                first.kill()
                await first.ended()
                again = running(API, SETTINGS, GLEANER_DATABASE_URL=database_url, GLEANER_LISTEN=first.address)
                await stack.enter_async_context(again)


async def test_an_expired_group_is_told_and_started_anew(client: GleanerClient, database: Database) -> None:
    groups = GroupRepository(database)
    await groups.make(TENANT, "billing", earliest=True)
    written = texts(await write_events(database, 1))
    await groups.mark_expired(timedelta(0))
    with pytest.raises(GroupExpired):
        await anext(client.subscribe("billing"))
    async with aclosing(client.subscribe("billing", earliest=True, restart_expired=True)) as events:
        assert (await anext(events)).event.id == written[0]


async def test_two_commands_share_a_group_and_one_is_killed_mid_way(address: str, database: Database) -> None:
    written = texts(await write_events(database, 3000))
    async with the_command(address) as victim:
        seen = await printed(victim, 500)
        async with the_command(address) as heir:
            victim.kill()
            rest: set[str] = set()
            while not set(seen) | rest >= set(written):
                rest |= set(await printed(heir, 1))
                if len(rest) == 1:  # what the victim printed before it died, and nobody read
                    assert victim.stdout
                    async for line in victim.stdout:
                        seen.append(json.loads(line)["event"]["id"])
    assert set(seen) | rest == set(written), "at least once"
    assert await GroupRepository(database).list_parked(TENANT, "billing") == []


async def test_the_command_ends_after_as_many_as_it_was_told(address: str, database: Database) -> None:
    written = texts(await write_events(database, 5))
    async with the_command(address, "--limit", "3") as process:
        assert await printed(process, 3) == written[:3]
        assert await process.wait() == 0
    async with the_command(address, "--limit", "2") as process:
        assert await printed(process, 2) == written[3:]


async def test_an_event_carries_the_trace_of_the_submit(address: str, client: GleanerClient) -> None:
    asked = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "rojo=00f067aa"}
    async with (
        GleanerClient(address, metadata=asked) as traced,
        aclosing(traced.subscribe("g", earliest=True)) as events,
    ):
        async with grpc.aio.insecure_channel(address) as channel:
            await JobServiceStub(channel).SubmitJob(a_submit(), metadata=tuple(asked.items()))
        received = await anext(events)

    assert (received.message.traceparent, received.message.tracestate) == tuple(asked.values())
