"""Clients: they submit at a rate, some twice, and cancel, retry, watch or give up. All of it goes into the history."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import UUID

from gleaner.v1 import extraction_pb2, jobs_pb2
from gleaner_client import (
    GleanerClient,
    GleanerError,
    NoRoom,
    NotCancellable,
    TimedOut,
    Unavailable,
    document,
    is_over,
    load_schema,
    submit_request,
)
from gleaner_core import errors
from gleaner_repo import JobRepository
from support.history import CANCEL, RETRY, SUBMIT, History
from support.jobs import TENANT
from support.requests import PDF, a_schema

_SAMPLES = Path(__file__).parents[2] / "samples"
_HARD_TIMES = (Unavailable, TimedOut, NoRoom)  # what a client must expect; anything else is a surprise
_PAUSE_S = 0.3
_NO_BOXES = extraction_pb2.ExtractionOptions(grounding=extraction_pb2.GROUNDING_MODE_NONE)
Answers = Sequence[jobs_pb2.Job | GleanerError]


class Load:
    """`keys`: every request id that was ever sent. `watched`: the seqs that a watcher of a job saw, in order."""

    def __init__(self, client: GleanerClient, jobs: JobRepository, history: History, url: str, seed: int) -> None:
        self._client = client
        self._jobs = jobs
        self._history = history
        self._url = url
        self._seed = seed
        self._chance = random.Random(seed)
        self._schemas = a_schema(), load_schema(_SAMPLES / "invoice.schema.json")
        self._documents = document(PDF, name="small.pdf"), document(_SAMPLES / "invoice.pdf")
        self.watched: dict[str, list[int]] = {}
        self.surprises: Counter[str] = Counter()

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Submit `rate` jobs a second until `stop`; returns when every client has done what it wanted."""
        number = 0
        async with asyncio.TaskGroup() as clients:
            while not stop.is_set():
                number += 1
                clients.create_task(self._live(f"client-{number}"))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._chance.expovariate(rate))

    async def _live(self, actor: str) -> None:
        chance = random.Random(f"{self._seed} {actor}")
        submit = partial(self._submit, actor, big=chance.random() < 0.3, boxes=chance.random() < 0.8)
        if chance.random() < 0.05:
            await submit(tries=1)
            return
        if chance.random() < 0.1:
            await self._submit_batch(actor, chance.randint(1, 5))
            return
        jobs = await asyncio.gather(*(submit() for _ in range(2 if chance.random() < 0.2 else 1)))
        job = jobs[0]
        assert job, "tried until it was answered"
        deed = chance.random()
        if deed < 0.15:
            await self._watch(job)
        elif deed < 0.4:
            await asyncio.sleep(chance.choice((0, 0, 0.3, 1, 3)))
            cancelled = await self._cancel(actor, job, running=chance.random() < 0.6)
            if cancelled and chance.random() < 0.5:
                await self._retry(actor, job)

    async def _submit(self, actor: str, *, big: bool, boxes: bool, tries: int = 0) -> str | None:
        mode = extraction_pb2.GROUNDING_MODE_REFINE if boxes else extraction_pb2.GROUNDING_MODE_NONE
        key = f"{self._seed}-{actor}"
        while True:
            with self._hard_times(), self._history.call(actor, SUBMIT, "", key=key) as call:
                job = await self._client.submit(
                    [self._documents[big]],
                    self._schemas[big],
                    options=extraction_pb2.ExtractionOptions(grounding=mode),
                    request_id=key,
                    callback_url=self._url if boxes or big else "",
                )
                call.job, call.made = job.name.removeprefix("jobs/"), True
                return call.job
            tries -= 1
            if tries == 0:
                return None
            await asyncio.sleep(_PAUSE_S)

    async def _submit_batch(self, actor: str, jobs: int) -> None:
        keys = [f"{self._seed}-{actor}-{n}" for n in range(jobs)]
        while keys:
            requests = [
                await submit_request([self._documents[0]], self._schemas[0], options=_NO_BOXES, request_id=key)
                for key in keys
            ]
            call = asyncio.ensure_future(self._client.submit_many(requests))
            stored = await asyncio.gather(*(self._in_batch(actor, key, call, n) for n, key in enumerate(keys)))
            keys = [key for key, is_stored in zip(keys, stored, strict=True) if not is_stored]
            await asyncio.sleep(_PAUSE_S)

    async def _in_batch(self, actor: str, key: str, batch: "asyncio.Future[Answers]", place: int) -> bool:
        with self._hard_times(), self._history.call(actor, SUBMIT, "", key=key) as call:
            answer = (await batch)[place]
            if isinstance(answer, GleanerError):
                raise answer
            call.job, call.made = answer.name.removeprefix("jobs/"), True
        return call.ended is not None

    async def _cancel(self, actor: str, job: str, *, running: bool) -> bool:
        while True:
            with self._hard_times(), self._history.call(actor, CANCEL, job) as call:
                try:
                    await self._client.cancel(job, allow_running=running, reason="chaos")
                except NotCancellable:
                    return False
                call.made = True
                return True
            await asyncio.sleep(_PAUSE_S)

    async def _retry(self, actor: str, job: str) -> None:
        with suppress(errors.Unavailable), self._history.call(actor, RETRY, job) as call:
            call.made = await self._jobs.retry(TENANT, UUID(job)) is not None

    async def _watch(self, job: str) -> None:
        seen = self.watched[job] = []
        over = False
        while not over:
            with self._hard_times():
                async for message in self._client.watch(job, after_seq=seen[-1] if seen else 0):
                    if message.HasField("event"):
                        seen.append(message.event.seq)
                    over = is_over(message.job)
            await asyncio.sleep(_PAUSE_S)

    async def readable(self, job: str) -> str | None:
        """What is wrong with the result of a job that has one; None if it can be read."""
        try:
            answer: jobs_pb2.GetJobResultResponse = await self._client.result(job)
        except GleanerError as error:
            return f"{job}: its result cannot be read: {error}"
        return None if answer.result.documents else f"{job}: its result is empty"

    def _hard_times(self) -> "HardTimes":
        return HardTimes(self.surprises)


class HardTimes:
    """Lets through what a client must expect when everything breaks; counts what it must not."""

    def __init__(self, surprises: Counter[str]) -> None:
        self._surprises = surprises

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, GleanerError) and not isinstance(error, _HARD_TIMES):
            self._surprises[f"{type(error).__name__}: {error} {error.request}".rstrip()] += 1
        return isinstance(error, GleanerError)
