"""Does what is kept slow down what is alive? `python -m bench.scale --rows N`

Two databases on one Postgres, each with the same live queue: one with hardly any history, one with N jobs that are
over.
Both are asked the same, in turn, by the repository's own methods: what the api, the workers, the autoscaler and the
reaper ask. The table tells how long it took, and how many pages were looked at, which a busy machine cannot change.

Loading takes disk (2.2 GB a million jobs) and two cores for a while: it stops at --minutes, and when less than
--free-gb of the disk are left. Data goes at the end, unless --data names a directory: the next run goes on from there.
"""

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.files import file_to_write
from bench.scale import history
from bench.scale.plans import plans
from bench.scale.sides import Side, opened
from bench.scale.timings import measure, table, write_ahead
from gleaner_repo.migrate import migrate
from gleaner_stack.postgres import EmbeddedPostgres

SETTINGS = {"shared_buffers": "512MB", "max_connections": "50", "checkpoint_timeout": "1h", "max_wal_size": "8GB"}
FEW = 5000
REMOVED = 5000


def main() -> None:
    options = _options()
    with EmbeddedPostgres(options.data, SETTINGS, bindir=options.postgres) as postgres:
        asyncio.run(_run(postgres.url, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="jobs that are over")
    parser.add_argument("--minutes", type=float, default=15, help="how long loading may take")
    parser.add_argument("--free-gb", type=float, default=20, help="how much of the disk must stay free")
    parser.add_argument("--alive", type=int, default=3000, help="jobs that wait or are run")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=25, help="calls of a round")
    parser.add_argument("--plans", type=file_to_write, help="write the statements' plans to this file")
    parser.add_argument("--data", type=Path, help="keep the data there")
    parser.add_argument("--postgres", type=Path, help="another PostgreSQL's programs, 18 or newer")
    parser.add_argument("--smoke", action="store_true", help="few rows and calls, to see that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.rows, options.alive, options.rounds, options.calls = 10_000, 300, 2, 3
    return options


async def _run(server: str, options: argparse.Namespace) -> None:
    async with AsyncExitStack() as exits:
        sides = [
            await exits.enter_async_context(_side(server, "few", min(FEW, options.rows), options)),
            await exits.enter_async_context(_side(server, "many", options.rows, options)),
        ]
        print(f"\nload of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        taken = await measure(sides, options.rounds, options.calls)
        print("\n" + table(taken, sides), flush=True)
        print("\n| a submit's WAL after a checkpoint | request keys | bytes a job | images of pages a job |")
        print("|---|---|---|---|")
        for side in sides:
            for keys in ("random", "time"):
                wal = await write_ahead(side, options.alive, keys)
                print(f"| {side.name} | {keys} | {wal['bytes']:,.0f} | {wal['images']:.2f} |", flush=True)
        if options.plans:
            options.plans.write_text(await plans(sides[-1], taken) + "\n", "utf-8")
        print("\n| removed | a second |\n|---|---|")
        for what, rate in (await _removals(sides[-1])).items():
            print(f"| {what} | {rate:,.0f} |", flush=True)


@asynccontextmanager
async def _side(server: str, name: str, rows: int, options: argparse.Namespace) -> AsyncIterator[Side]:
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    connection = await asyncpg.connect(server)
    if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name):
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    await migrate(url)
    begun, until = time.time(), datetime.now(UTC) - timedelta(hours=1)
    there = await history.load(url, rows, until=until, free_gb=options.free_gb, deadline=begun + 60 * options.minutes)
    loaded = time.time() - begun
    await history.settle(url)
    size = await _size(url)
    print(f"{name}: {there:,} jobs that are over, {size / 1e9:.2f} GB, loaded in {loaded:.0f} s", flush=True)
    async with opened(url, f"{there:,}", until - history.SPAN, history.SPAN * there / rows) as side:
        await side.fill_queue(options.alive, options.alive // 6)
        try:
            yield side
        finally:
            await side.empty_queue()


async def _size(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()


async def _removals(side: Side) -> dict[str, float]:
    """How many a second retention removes of what is oldest, batch by batch as the reaper does."""
    rates = {}
    for what, removing in (("jobs", side.retention.jobs), ("events", side.retention.events)):
        oldest = await side.oldest(REMOVED)
        begun, removed = time.perf_counter(), 0
        async for batch in removing(oldest):
            removed += batch
        rates[what] = removed / (time.perf_counter() - begun)
    return rates


if __name__ == "__main__":
    main()
