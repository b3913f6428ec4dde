"""The fixtures that other tests stand on: every test has a database of its own."""

import asyncpg

from support.postgres import Databases


async def test_a_database_is_gone_once_dropped(postgres: Databases) -> None:
    url = postgres.create(template=None)
    connection = await asyncpg.connect(url)

    postgres.drop(url).result(10)

    assert connection.is_closed() or not await _answers(connection)


async def _answers(connection: asyncpg.Connection) -> bool:
    try:
        await connection.fetchval("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError):
        return False
    return True


async def test_what_one_test_writes_the_next_does_not_see(postgres: Databases) -> None:
    one, other = postgres.create(template=None), postgres.create(template=None)
    connection = await asyncpg.connect(one)
    await connection.execute("CREATE TABLE mine ()")
    await connection.close()

    connection = await asyncpg.connect(other)
    assert await connection.fetchval("SELECT to_regclass('mine')") is None
    await connection.close()
    postgres.drop(one)
    postgres.drop(other)
