"""A client of the database as a process of its own, which stops at the worst moment.

`python -m support.stopped_client URL MOVE`: claims jobs by that move, and stops (SIGSTOP) once the statement is sent
and nothing of its answer was read. `... URL STATEMENT BYTES`: the same with a statement that returns so many.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from gleaner_repo import DatabaseSettings, JobRepository, open_database
from support.jobs import LEASE

NAME = "stopped-client"
"""As the server knows it."""

NEVER = datetime(2100, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def stopped(url: str, *what: str) -> AsyncIterator[None]:
    """Such a process has stopped; it is killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.stopped_client",
        url,
        *what,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield
    finally:
        process.kill()
        await process.wait()


async def _stop_amid(ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
    answer = asyncio.create_task(ask())
    await asyncio.sleep(0)  # a statement that is prepared is sent by the first step; what comes is read after this one
    os.kill(os.getpid(), signal.SIGSTOP)
    await answer


async def _main(url: str, what: str, size: str = "") -> None:
    async with open_database(DatabaseSettings(database_url=url, database_pool_size=1), name=NAME) as database:
        if size:
            await database.fetch(what, 1)
            await _stop_amid(lambda: database.fetch(what, int(size)))
        else:
            jobs = JobRepository(database)
            await jobs.claim(what, 4, LEASE, uuid4(), NEVER)
            await _stop_amid(lambda: jobs.claim(what, 4, LEASE, uuid4()))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
