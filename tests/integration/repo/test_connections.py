"""The connections of a process: whatever becomes of those who have one, none is lost, and none is shared."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gleaner_core.errors import Unavailable
from gleaner_repo import Database
from gleaner_repo.connections import Connection, Connections

MOST = 3


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    made = Connections(lambda: asyncpg.connect(database_url, connection_class=Connection), MOST)
    yield made
    await made.close(1)


async def all_can_be_taken(connections: Connections) -> bool:
    taken = [await connections.take(5) for _ in range(MOST)]
    with pytest.raises(TimeoutError):
        await connections.take(0.05)
    for connection in taken:
        connections.give(connection)
    return len(set(taken)) == MOST and connections.count() == (0, MOST)


async def test_the_one_that_was_used_last_comes_first_and_no_more_are_made_than_are_needed(
    connections: Connections,
) -> None:
    first, second = await connections.take(5), await connections.take(5)
    connections.give(second)
    connections.give(first)
    assert await connections.take(5) is first
    assert connections.count() == (1, 1)


async def test_who_waits_gets_what_is_given_back(connections: Connections) -> None:
    taken = [await connections.take(5) for _ in range(MOST)]
    waiting = asyncio.create_task(connections.take(5))
    await asyncio.sleep(0)
    connections.give(taken[0])
    assert await waiting is taken[0]


async def test_a_closed_one_is_replaced(connections: Connections) -> None:
    one = await connections.take(5)
    connections.give(one)
    one.terminate()
    assert await (await connections.take(5)).fetchval("SELECT 1") == 1


async def test_none_that_was_open_when_they_expired_is_used_again(connections: Connections) -> None:
    used, idle = await connections.take(5), await connections.take(5)
    connections.give(idle)
    connections.expire()
    connections.give(used)
    assert used.is_closed() and idle.is_closed()
    assert await all_can_be_taken(connections)


async def test_a_server_that_refuses_costs_no_place(database_url: str) -> None:
    async def refused() -> Connection:
        if refuse:
            raise ConnectionRefusedError
        return await asyncpg.connect(database_url, connection_class=Connection)

    refuse = True
    connections = Connections(refused, MOST)
    for _ in range(2 * MOST):
        with pytest.raises(ConnectionRefusedError):
            await connections.take(5)
    refuse = False
    assert await all_can_be_taken(connections)
    await connections.close(1)


async def test_when_they_are_closed_nobody_gets_one_and_whoever_has_one_is_cut_off_in_time(
    connections: Connections,
) -> None:
    used, idle = await connections.take(5), await connections.take(5)
    connections.give(idle)
    async with asyncio.timeout(2):
        await connections.close(0.1)
    assert used.is_closed() and idle.is_closed()
    with pytest.raises(asyncpg.InterfaceError):
        await connections.take(5)
    connections.give(used)


async def test_a_connection_whose_caller_was_cancelled_is_used_again_when_the_server_has_stopped(
    connections: Connections,
) -> None:
    database = Database(connections, timeout_s=5)
    before = await database.fetchrow("SELECT pg_backend_pid() AS pid")
    asked = asyncio.create_task(database.fetch("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await database.fetchrow("SELECT pg_backend_pid() AS pid") == before
    assert connections.count() == (0, 1)


async def test_callers_that_are_cancelled_at_any_moment_lose_no_connection_and_nobody_gets_anothers_answer(
    connections: Connections,
) -> None:
    database = Database(connections, timeout_s=25)

    async def ask(number: int) -> None:
        row = await database.fetchrow("SELECT $1::int AS number, pg_sleep(0.002 * random())", number)
        assert row and row["number"] == number

    async with asyncio.timeout(30):
        asked = [asyncio.create_task(ask(number)) for number in range(150)]
        while not all(task.done() for task in asked):
            random.choice(asked).cancel()
            await asyncio.sleep(random.uniform(0, 0.003))
        ended = await asyncio.gather(*asked, return_exceptions=True)
    assert not [end for end in ended if end is not None and not isinstance(end, asyncio.CancelledError)]
    assert await all_can_be_taken(connections)


async def test_connections_that_break_under_their_callers_lose_no_place(connections: Connections) -> None:
    database = Database(connections, timeout_s=5)
    pid = await database.fetchrow("SELECT pg_backend_pid() AS pid")
    assert pid
    asked = asyncio.create_task(database.fetch("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.05)
    await database.fetch("SELECT pg_terminate_backend($1)", pid["pid"])
    with pytest.raises(Unavailable):
        await asked
    assert await all_can_be_taken(connections)
