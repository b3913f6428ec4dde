"""Callers: jobs that are waited for, and synchronous calls, at a rate; what they were told is counted."""

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gleaner.v1 import extraction_pb2
from gleaner.v1.results_pb2 import ExtractionResult
from gleaner_client import GleanerClient, GleanerError, NoRoom, document, load_schema
from support.requests import PDF, a_schema

_SAMPLES = Path(__file__).parents[2] / "samples"
_SYNC_PATIENCE_S = 60.0
_AWAY, _FULL = "GROUNDING_UNAVAILABLE", "GROUNDING_NO_ROOM"


@dataclass(slots=True)
class Told:
    """What callers were told. `failed` are calls that failed for good, after all that the policy repeats; `full` those
    that came again because there was no room, `without_boxes` those whose boxes there was no room to look for.
    """

    calls: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    full: int = 0
    without_boxes: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Load:
    """`keys`: the request ids of all jobs."""

    def __init__(self, client: GleanerClient, seed: int) -> None:
        self._client = client
        self._seed = seed
        self._chance = random.Random(seed)
        self._schemas = a_schema(), load_schema(_SAMPLES / "invoice.schema.json")
        self._documents = document(PDF, name="small.pdf"), document(_SAMPLES / "invoice.pdf")
        self._asked = 0
        self.keys: set[str] = set()
        self.told = Told()

    async def run(self, job_rate: float, sync_rate: float, stop: asyncio.Event) -> None:
        """Jobs and calls until `stop`; returns when all were answered."""
        async with asyncio.TaskGroup() as callers:
            callers.create_task(self._jobs_at(job_rate, callers, stop))
            while not await self._rest(sync_rate, stop):
                callers.create_task(self.call())

    async def _jobs_at(self, rate: float, callers: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        while not await self._rest(rate, stop):
            callers.create_task(self.job())

    async def _rest(self, rate: float, stop: asyncio.Event) -> bool:
        """Whether to stop, after a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._chance.expovariate(rate))
        return stop.is_set()

    async def burst(self, size: int) -> None:
        """So many jobs at once; returns when all have ended."""
        await asyncio.gather(*(self.job() for _ in range(size)))

    async def job(self) -> None:
        """A job with boxes, submitted and waited for."""
        self._asked += 1
        key = f"{self._seed}-{self._asked}"
        self.keys.add(key)
        big = self._chance.random() < 0.2
        job = None
        options = extraction_pb2.ExtractionOptions(grounding=extraction_pb2.GROUNDING_MODE_REFINE)
        with self._counted("submit"):
            try:
                job = await self._client.submit(
                    [self._documents[big]], self._schemas[big], options=options, request_id=key
                )
            except asyncio.CancelledError:
                self.keys.discard(key)  # nobody was told that there is such a job
                raise
            with self._counted("result"):
                answer = await self._client.result(job.name, wait=math.inf)
                self._judge("result", answer.result)

    async def call(self) -> None:
        """A synchronous extraction; refused for want of room, it comes again when it was told to."""
        give_up = time.monotonic() + _SYNC_PATIENCE_S
        with self._counted("extract"):
            while True:
                try:
                    result = await self._client.extract([self._documents[0]], self._schemas[0], timeout=30)
                except NoRoom as error:
                    if time.monotonic() > give_up:
                        raise
                    self.told.full += 1
                    await asyncio.sleep((error.retry_after or 1.0) * self._chance.uniform(0.5, 1.5))
                else:
                    return self._judge("extract", result)

    def _judge(self, call: str, result: ExtractionResult) -> None:
        if not result.documents:
            self.told.failed.append(f"{call}: an empty result")
        reasons = {problem.reason for problem in result.problems}
        self.told.without_boxes += _FULL in reasons
        if _AWAY in reasons:
            self.told.failed.append(f"{call}: no boxes, for nobody was there to look for them")

    def _counted(self, call: str) -> "_Counted":
        return _Counted(self.told, call)


class _Counted:
    """Counts a call, how long it took, and what it failed with."""

    def __init__(self, told: Told, call: str) -> None:
        self._told = told
        self._call = call
        self._began = time.monotonic()

    def __enter__(self) -> None:
        self._told.calls[self._call] += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, GleanerError):
            self._told.failed.append(f"{self._call}: {type(error).__name__} {error.reason}: {error}")
            return True
        self._told.seconds[self._call].append(time.monotonic() - self._began)
        return False
