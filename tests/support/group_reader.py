"""A reader of a consumer group as a process of its own, which a test may kill.

`python -m support.group_reader URL GROUP`: hands events to SINK in the database until it is ended, and writes a line
after each batch.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gleaner_repo import Database, DatabaseSettings, GroupRepository, open_database
from gleaner_repo.groups import EVERY_TENANT

SINK = "INSERT INTO sink (event_id, job_id, seq) SELECT event_id, job_id, seq FROM batch ORDER BY era, xid, id"
_TABLE = """
CREATE TABLE IF NOT EXISTS sink (
    n bigint GENERATED ALWAYS AS IDENTITY, event_id uuid NOT NULL, job_id uuid NOT NULL, seq bigint NOT NULL
)
"""


async def make_sink(database: Database) -> None:
    """An audit table without any constraint that would hide a double."""
    await database.execute(_TABLE)


async def drain(groups: GroupRepository, name: str, limit: int) -> None:
    """Hands over events until there are none, beside others who do the same."""
    while (handled := await groups.consume(EVERY_TENANT, name, SINK, limit=limit)) != 0:
        if handled is None:
            await asyncio.sleep(0)


@asynccontextmanager
async def reading(url: str, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Such a process; killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.group_reader",
        url,
        name,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _main(url: str, name: str) -> None:
    async with open_database(DatabaseSettings(database_url=url, database_pool_size=1)) as database:
        groups = GroupRepository(database)
        while True:
            if handled := await groups.consume(EVERY_TENANT, name, SINK, limit=50):
                sys.stdout.write(f"{handled}\n")
                sys.stdout.flush()
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
