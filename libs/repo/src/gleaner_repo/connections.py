"""The connections of a process, the one that was used last first.

Not the driver's pool, which takes two time-outs, a task and a proxy to lend a connection: 90 us of a statement that
costs 60 (measured). Our statements leave nothing behind on a connection, so that handing it on takes no await.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

_GOODBYE_S = 0.5
_LONGEST_REST_S = 60.0


class Connection(asyncpg.Connection):
    """A connection that knows of which generation it is; `known` once somebody looked where it leads."""

    generation = 0
    known = False


Connect: TypeAlias = Callable[[], Awaitable[Connection]]


class Connections:
    """Up to `most` connections, made by `connect` when they are needed."""

    def __init__(self, connect: Connect, most: int) -> None:
        self.most = most
        self._connect = connect
        self._room = asyncio.Semaphore(most)
        self._open: set[Connection] = set()
        self._idle: deque[tuple[Connection, float]] = deque()  # and since when
        self._generation = 0
        self._closing = False

    def count(self) -> tuple[int, int]:
        """How many are used and idle."""
        idle = len(self._idle)
        return len(self._open) - idle, idle

    async def take(self, patience_s: float) -> Connection:
        """A connection, to be given back. Raises TimeoutError if none gets free, or is made, in time."""
        if self._closing:
            raise asyncpg.InterfaceError("the connections are being closed")
        if not self._room.locked() and (found := self._rested()):
            await self._room.acquire()  # at once
            return found
        async with asyncio.timeout(patience_s):
            await self._room.acquire()
            try:
                return self._rested() or await self._made()
            except BaseException:
                self._room.release()
                raise

    def give(self, connection: Connection) -> None:
        """It is anybody's again."""
        now = asyncio.get_running_loop().time()
        if connection.generation != self._generation or self._closing or connection.is_closed():
            self._drop(connection)
        else:
            self._idle.append((connection, now))
        while self._idle and self._idle[0][1] < now - _LONGEST_REST_S:
            self._drop(self._idle.popleft()[0])
        self._room.release()

    async def leave(self, connection: Connection) -> None:
        """Its caller waits no longer. Once the server has stopped it is anybody's again; if not soon, it is closed."""
        try:
            # Waits for what was cancelled, and is hit by a cancel request that comes too late.
            await connection.execute("SELECT", timeout=_GOODBYE_S)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
        finally:
            self.give(connection)

    def expire(self) -> None:
        """None of those that are open is used again."""
        self._generation += 1
        while self._idle:
            self._drop(self._idle.pop()[0])

    @asynccontextmanager
    async def acquire(self, patience_s: float = 10.0) -> AsyncIterator[Connection]:
        """A connection for the block, which may leave nothing behind on it."""
        connection = await self.take(patience_s)
        try:
            yield connection
        finally:
            self.give(connection)

    async def close(self, patience_s: float) -> None:
        """None is open any more; what was under way had `patience_s` to end."""
        self._closing = True
        try:
            async with asyncio.timeout(patience_s):
                for _ in range(self.most):
                    await self._room.acquire()
                for connection, _ in self._idle:
                    await connection.close(timeout=_GOODBYE_S)
        except (TimeoutError, OSError):
            pass
        finally:
            for connection in self._open:
                connection.terminate()

    def _rested(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._drop(connection)
        return None

    async def _made(self) -> Connection:
        generation = self._generation
        connection = await self._connect()
        connection.generation = generation
        self._open.add(connection)
        return connection

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.terminate()
