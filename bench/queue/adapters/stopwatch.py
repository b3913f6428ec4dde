"""What the adapters written in Python share. The standard library alone: the peers' environment has nothing of ours.

An adapter is `python -m bench.queue.adapters.NAME MODE OPTIONS`, OPTIONS in JSON. Its last line of JSON on stdout is
its answer; a worker prints `READY address`, `S time` at its first job and `H count` of the jobs it has begun. All times
are seconds of the clock on the wall, which the processes share with the database.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PAD = "x" * 200

Submit = Callable[[float], Awaitable[object]]
SubmitMany = Callable[[list[float]], Awaitable[object]]


def arguments() -> tuple[str, dict[str, Any]]:
    """The mode and the options."""
    return sys.argv[1], json.loads(sys.argv[2])


def tell(**answer: object) -> None:
    """Prints the answer."""
    print(json.dumps(answer), flush=True)


def run(main: Awaitable[None], *, quick: bool = True) -> None:
    """Runs `main` to its end, on uvloop unless a peer at its defaults would not."""

    async def awaited() -> None:
        await main

    if quick:
        import uvloop

        uvloop.run(awaited())
    else:
        asyncio.run(awaited())


class Handled:
    """The jobs that a worker has begun."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._record = options.get("record")
        self.sleep = float(options.get("sleep", 0))
        self.count = 0
        self._starts: list[tuple[str, float, float]] = []

    def begun(self, job_id: object, submitted: float) -> None:
        """Called first thing by every handler."""
        now = time.time()
        if not self.count:
            print("S", now, flush=True)
        self.count += 1
        if self._record:
            self._starts.append((str(job_id), submitted, now))

    async def report(self) -> None:
        """Tells the count whenever it has changed, until cancelled."""
        told = -1
        while True:
            if self.count != told:
                told = self.count
                print("H", told, flush=True)
            await asyncio.sleep(0.02)

    def write(self) -> None:
        """Writes when which job was submitted and begun."""
        if self._record:
            Path(self._record).write_text(json.dumps({"starts": self._starts}))

    def write_and_end_at_sigterm(self) -> None:
        """For peers whose own shutdown is none of our business."""

        def end(*_: object) -> None:
            self.write()
            os._exit(0)

        signal.signal(signal.SIGTERM, end)


async def throughput(options: dict[str, Any], submit: Submit, submit_many: SubmitMany) -> None:
    """`callers` submit `jobs` in all, one or `batch` a call, each as soon as its last call has returned."""
    callers, batch = options.get("callers", 1), options.get("batch", 1)
    calls = max(options["jobs"] // callers // batch, 1)
    took: list[float] = []

    async def caller() -> None:
        for _ in range(calls):
            asked = time.perf_counter()
            if batch == 1:
                await submit(time.time())
            else:
                await submit_many([time.time()] * batch)
            took.append(time.perf_counter() - asked)

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds, jobs = time.perf_counter() - begun, calls * callers * batch
    tell(jobs=jobs, rate=jobs / seconds, cpu=time.process_time() - cpu, **quantiles(took))


async def paced(options: dict[str, Any], submit: Submit, most: int) -> None:
    """Submits `rate` jobs a second for `seconds`, whether or not the earlier ones are stored, up to `most`."""
    rate, room = options["rate"], asyncio.Semaphore(most)
    jobs = int(rate * options["seconds"])
    took: list[float] = []

    async def one() -> None:
        asked = time.perf_counter()
        try:
            await submit(time.time())
        finally:
            room.release()
        took.append(time.perf_counter() - asked)

    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(jobs):
            if (wait := begun + number / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await room.acquire()
            group.create_task(one())
    tell(jobs=jobs, cpu=time.process_time() - cpu, **quantiles(took))


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {"p50": ordered[len(ordered) // 2] * 1e3, "p99": ordered[int(len(ordered) * 0.99)] * 1e3}
