"""pgqueuer, through its public API."""

import asyncio
from typing import Any

import asyncpg
from pgqueuer import PgQueuer, Queries
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver

from bench.queue.adapters.stopwatch import PAD, Handled, arguments, paced, run, throughput


async def main(mode: str, options: dict[str, Any]) -> None:
    pool = await asyncpg.create_pool(options["url"], min_size=2, max_size=20)
    driver = AsyncpgPoolDriver(pool)
    queries = Queries(driver)

    def payload(submitted: float) -> bytes:
        return f"{submitted!r} {PAD}".encode()

    async def submit(submitted: float) -> None:
        await queries.enqueue("noop", payload(submitted))

    async def submit_many(submitted: list[float]) -> None:
        count = len(submitted)
        await queries.enqueue(["noop"] * count, [payload(one) for one in submitted], [0] * count)

    if mode == "install":
        await queries.install()
    elif mode == "enqueue":
        await throughput(options, submit, submit_many)
    elif mode == "produce":
        await paced(options, submit, 64)
    else:
        await _work(PgQueuer(driver), options)


async def _work(queue: Any, options: dict[str, Any]) -> None:
    handled = Handled(options)

    async def handle(job: Any) -> None:
        handled.begun(job.id, float(job.payload.split(b" ", 1)[0]))
        if handled.sleep:
            await asyncio.sleep(handled.sleep)

    queue.entrypoint("noop")(handle)
    print("READY", flush=True)
    # After pgqueuer has set its own handlers.
    asyncio.get_running_loop().call_later(0.5, handled.write_and_end_at_sigterm)
    async with asyncio.TaskGroup() as group:
        group.create_task(handled.report())
        await queue.run(batch_size=options.get("batch", 10))


if __name__ == "__main__":
    mode, options = arguments()
    run(main(mode, options), quick=options.get("uvloop", True))
