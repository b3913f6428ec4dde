"""A database of the run, with the calls that are measured on it: those of api, workers, autoscaler and reaper."""

import hashlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg

from gleaner_core.ids import uuid7
from gleaner_core.states import State
from gleaner_repo import (
    BacklogRepository,
    ClaimedJob,
    Database,
    DatabaseSettings,
    DocumentRepository,
    Finished,
    JobFilter,
    JobRepository,
    NewJob,
    Retention,
    open_database,
)

TENANT = "default"
PAGE = 51  # a page of 50, and one more to know whether there is another
BATCH = 20
HOLDER = uuid4()
LEASE = timedelta(hours=1)
KEPT = timedelta(days=30)  # longer than any of the history is old
QUEUED, FAILED = State.QUEUED, State.FAILED

Call: TypeAlias = Callable[[], Awaitable[object]]

_COUNTED = """
SELECT
    (SELECT sum(hits + reads) FROM pg_stat_get_backend_io(pg_backend_pid()))::bigint AS pages,
    (SELECT sum(reads) FROM pg_stat_get_backend_io(pg_backend_pid()))::bigint AS reads,
    wal.wal_bytes::bigint AS wal,
    wal.wal_fpi::bigint AS images
FROM pg_stat_get_backend_wal(pg_backend_pid()) AS wal
"""
_AGE = """
SELECT extract(epoch FROM now() - created_at)::float8 AS age_s
FROM jobs
WHERE tenant_id = $1
ORDER BY id
OFFSET $2
LIMIT 1
"""
_ANY = "SELECT id, request_key FROM jobs WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 1"


class NotedDatabase(Database):
    """A database which notes the statements that it is asked, in their order and each once."""

    def note(self) -> dict[str, None]:
        """Begins anew; what is returned fills up."""
        self._noted: dict[str, None] = {}
        return self._noted

    async def fetch(self, statement: str, *arguments: Any, within: float | None = None) -> list[asyncpg.Record]:
        self._noted[statement] = None
        return await super().fetch(statement, *arguments, within=within)


@dataclass
class Side:
    """One database: its name, how long its history is, and its live queue of `alive` jobs, of which some are leased."""

    name: str
    database: NotedDatabase
    begins: datetime
    span: timedelta
    claimed: list[list[ClaimedJob]] = field(default_factory=list)
    leased: list[ClaimedJob] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database.note()
        self.jobs = JobRepository(self.database)
        self.documents = DocumentRepository(self.database)
        self.retention = Retention(self.database)
        self.backlog = BacklogRepository(self.database)

    async def fill_queue(self, alive: int, leased: int) -> None:
        """So many jobs wait and are run. Refused if something is alive: the data of a run that was cut short."""
        if await self.database.fetch("SELECT FROM queue LIMIT 1"):
            raise SystemExit(f"{self.name} has jobs that are alive, of a run that did not end: remove its data")
        for first in range(0, alive, 500):
            await self.jobs.submit([await self.new_job() for _ in range(min(500, alive - first))])
        self.leased = await self.jobs.mark_running(leased, LEASE, HOLDER)

    async def empty_queue(self) -> None:
        """Ends all that is alive."""
        running = [*self.leased, *(job for batch in self.claimed for job in batch)]
        while running:
            await self.jobs.finish_many("mark_succeeded", [(job.lease, Finished(result=b"r")) for job in running])
            running = await self.jobs.mark_running(500, LEASE, HOLDER)

    async def new_job(self, key: str | None = None) -> NewJob:
        """A job of a document that is stored by now."""
        content = os.urandom(64)
        digest = hashlib.sha256(content).digest()
        await self.documents.put(TENANT, digest, content, "application/pdf")
        return NewJob(uuid7(), TENANT, digest, b"q" * 200, b"a" * 100, key or str(uuid4()), digests=(digest,))

    async def some_job(self) -> tuple[UUID, str]:
        """A job from anywhere in the history, and its request key."""
        at = self.begins + random.random() * self.span
        beginning = UUID(int=int(at.timestamp() * 1000) << 80)
        [row] = await self.database.fetch(_ANY, TENANT, beginning) or await self.database.fetch(
            _ANY, TENANT, UUID(int=0)
        )
        return row["id"], row["request_key"]

    async def oldest(self, number: int) -> timedelta:
        """How old a job is that has so many older ones."""
        [row] = await self.database.fetch(_AGE, TENANT, number)
        return timedelta(seconds=row["age_s"])

    async def counters(self) -> dict[str, int]:
        """Pages looked at and read, and WAL written, by the connection so far."""
        await self.database.fetch("SELECT pg_stat_force_next_flush()")
        return dict((await self.database.fetch(_COUNTED))[0])

    async def calls(self, measure: str, number: int) -> list[Call]:
        """So many calls of a measure, with whatever they need prepared."""
        return await MEASURES[measure](self, number)


async def _submits(side: Side, number: int) -> list[Call]:
    jobs = [await side.new_job() for _ in range(number)]
    return [partial(side.jobs.submit, [job]) for job in jobs]


async def _repeats(side: Side, number: int) -> list[Call]:
    jobs = [await side.new_job((await side.some_job())[1]) for _ in range(number)]
    return [partial(side.jobs.submit, [job]) for job in jobs]


async def _claims(side: Side, number: int) -> list[Call]:
    await side.jobs.submit([await side.new_job() for _ in range(number * BATCH)])

    async def claim() -> None:
        side.claimed.append(await side.jobs.mark_running(BATCH, LEASE, HOLDER))

    return [claim] * number


async def _ends(side: Side, number: int) -> list[Call]:
    async def end() -> None:
        ends = [(job.lease, Finished(result=b"r" * 300)) for job in side.claimed.pop()]
        assert len(await side.jobs.finish_many("mark_succeeded", ends)) == BATCH

    return [end] * number


async def _renewals(side: Side, number: int) -> list[Call]:
    return [partial(side.jobs.renew, [job.lease for job in side.leased[:100]], LEASE)] * number


async def _gets(side: Side, number: int) -> list[Call]:
    ids = [(await side.some_job())[0] for _ in range(number)]
    return [partial(side.jobs.get, TENANT, [one]) for one in ids]


async def _gets_alive(side: Side, number: int) -> list[Call]:
    ids = random.choices([job.id for job in side.leased], k=number)
    return [partial(side.jobs.get, TENANT, [one]) for one in ids]


async def _results(side: Side, number: int) -> list[Call]:
    ids = [(await side.some_job())[0] for _ in range(number)]
    return [partial(side.jobs.result, TENANT, one) for one in ids]


async def _histories(side: Side, number: int) -> list[Call]:
    ids = [(await side.some_job())[0] for _ in range(number)]
    return [partial(side.jobs.events_of, {one: 0}) for one in ids]


async def _by_key(side: Side, number: int) -> list[Call]:
    keys = [(await side.some_job())[1] for _ in range(number)]
    return [partial(side.jobs.list_page, TENANT, JobFilter(request_key=key), limit=PAGE) for key in keys]


async def _later_pages(side: Side, number: int) -> list[Call]:
    ids = [(await side.some_job())[0] for _ in range(number)]
    return [partial(side.jobs.list_page, TENANT, JobFilter(), below=one, limit=PAGE) for one in ids]


def _lists(only: JobFilter) -> Callable[[Side, int], Awaitable[list[Call]]]:
    async def calls(side: Side, number: int) -> list[Call]:
        return [partial(side.jobs.list_page, TENANT, only, limit=PAGE)] * number

    return calls


async def _finders(side: Side, number: int) -> list[Call]:
    async def find() -> None:
        await side.jobs.find_stale_running()
        await side.jobs.find_stale_refining()
        await side.jobs.find_stale_queued(timedelta(minutes=10))
        await side.jobs.find_pending_refinement(timedelta(minutes=22))

    return [find] * number


async def _looks(side: Side, number: int) -> list[Call]:
    async def look() -> None:
        for removing in (side.retention.jobs, side.retention.deliveries, side.retention.events):
            assert [removed async for removed in removing(KEPT)] == [0]

    return [look] * number


async def _backlogs(side: Side, number: int) -> list[Call]:
    return [side.backlog.read] * number


MEASURES: dict[str, Callable[[Side, int], Awaitable[list[Call]]]] = {
    "submit": _submits,
    "submit, key is known": _repeats,
    f"claim {BATCH}": _claims,
    f"finish {BATCH}": _ends,
    "renew 100": _renewals,
    "get, alive": _gets_alive,
    "get, over": _gets,
    "result": _results,
    "events of a job": _histories,
    "list, newest": _lists(JobFilter()),
    "list, from anywhere": _later_pages,
    "list, by key": _by_key,
    "list, QUEUED": _lists(JobFilter(states=frozenset({QUEUED}))),
    "list, FAILED": _lists(JobFilter(states=frozenset({FAILED}))),
    "list, PARTIAL_SUCCEEDED": _lists(JobFilter(states=frozenset({State.PARTIAL_SUCCEEDED}))),
    "the scaler's figures": _backlogs,
    "the sweep's finders": _finders,
    "retention, nothing is old": _looks,
}


def request_keys(kind: str, number: int) -> list[str]:
    """Keys as clients make them: `random`, or in the order of `time`."""
    return [str(uuid4() if kind == "random" else uuid7()) for _ in range(number)]


@asynccontextmanager
async def opened(url: str, name: str, begins: datetime, span: timedelta) -> AsyncIterator[Side]:
    """A side on one connection, as long as the block lasts."""
    settings = DatabaseSettings(database_url=url, database_pool_size=1, database_timeout_s=60)
    async with open_database(settings, name="bench-scale") as database:
        yield Side(name, NotedDatabase(database.pool, settings.database_timeout_s), begins, span)
