"""procrastinate, through its public API."""

import asyncio
from typing import Any

import procrastinate

from bench.queue.adapters.stopwatch import PAD, Handled, arguments, paced, run, throughput


async def main(mode: str, options: dict[str, Any]) -> None:
    connector = procrastinate.PsycopgConnector(conninfo=options["url"], min_size=1, max_size=20)
    app: Any = procrastinate.App(connector=connector)
    handled = Handled(options)

    async def handle(context: Any, submitted: float, pad: str) -> None:
        handled.begun(context.job.id, submitted)
        if handled.sleep:
            await asyncio.sleep(handled.sleep)

    noop = app.task(name="noop", queue="bench", pass_context=True)(handle)

    async def submit(submitted: float) -> None:
        await noop.defer_async(submitted=submitted, pad=PAD)

    async def submit_many(submitted: list[float]) -> None:
        await noop.batch_defer_async(*({"submitted": one, "pad": PAD} for one in submitted))

    async with app.open_async():
        if mode == "install":
            await app.schema_manager.apply_schema_async()
        elif mode == "enqueue":
            await throughput(options, submit, submit_many)
        elif mode == "produce":
            await paced(options, submit, 64)
        else:
            handled.write_and_end_at_sigterm()
            print("READY", flush=True)
            async with asyncio.TaskGroup() as group:
                group.create_task(handled.report())
                await app.run_worker_async(concurrency=options.get("concurrency", 1), install_signal_handlers=False)


if __name__ == "__main__":
    run(main(*arguments()), quick=False)  # psycopg does not gain by uvloop
