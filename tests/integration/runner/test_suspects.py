"""A job that lost two leases may be what ended its workers: nothing runs beside it, and nothing keeps it waiting."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, repeat
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import NoRoom
from gleaner_repo import ClaimedJob, Database, JobRepository
from gleaner_repo.moves import SUSPECT_LAPSES
from gleaner_runner import Runner, Slots
from support.jobs import NO_LEASE, TENANT, submitted
from support.legs import QUICK, Started, TestLeg

LONG = 20
SLOTS = 2


async def a_suspect(jobs: JobRepository) -> UUID:
    """A job that lost two leases."""
    [job_id] = await submitted(jobs)
    for _ in range(SUSPECT_LAPSES):
        await jobs.mark_running(1, NO_LEASE, uuid4())
        await jobs.rescue(base=timedelta(0), cap=timedelta(0))
    assert (await jobs.get(TENANT, [job_id]))[job_id].lapses == SUSPECT_LAPSES
    return job_id


class Ticks(JobRepository):
    """Tells when a rescue has looked for suspects."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looked = asyncio.Event()

    async def suspects_due(self, leg: int) -> int:
        workers = await super().suspects_due(leg)
        self.looked.set()
        return workers

    async def pass_by(self, count: int = 3) -> None:
        """So many rescues look."""
        for _ in range(count):
            self.looked.clear()
            await self.looked.wait()


@pytest.fixture
def ticks(database: Database) -> Ticks:
    return Ticks(database)


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Falls so that room is made, and never again."""
    thrown: Iterator[float] = chain([0.0], repeat(1.0))
    monkeypatch.setattr("random.random", lambda: next(thrown))


async def test_a_job_that_lost_two_leases_runs_alone(jobs: JobRepository, started: Started) -> None:
    async def work(job: ClaimedJob) -> bytes:
        together[job.id] = leg.running
        await asyncio.sleep(0.05)
        return b""

    together: dict[object, int] = {}
    suspect = await a_suspect(jobs)
    others = await submitted(jobs, 8)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        for _ in range(9):
            await leg.made.get()
    assert together[suspect] == 1
    assert max(together[other] for other in others) > 1


@pytest.mark.usefixtures("dice")
async def test_room_is_made_for_a_suspect_until_it_runs_however_long_the_runs_before_it_take(
    jobs: JobRepository, ticks: Ticks
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await ends[job.id].wait()
        return b""

    suspect = await a_suspect(jobs)
    ids = await submitted(jobs, SLOTS)
    backlog = await submitted(jobs, 2 * SLOTS)
    ends = {job_id: asyncio.Event() for job_id in (suspect, *ids, *backlog)}
    leg, stop = TestLeg(work), asyncio.Event()
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, ticks, Slots(SLOTS), QUICK).run(stop))
        for _ in ids:
            await leg.started.get()
        for job_id in ids:
            await ticks.pass_by()
            assert leg.started.empty(), "nobody of the backlog is let in"
            ends[job_id].set()
        assert (await leg.started.get()).id == suspect
        await ticks.pass_by()
        assert leg.running == 1
        for end in ends.values():
            end.set()
        for _ in ends:
            await leg.made.get()
        stop.set()


async def test_no_synchronous_call_is_let_in_beside_a_suspect(jobs: JobRepository, database: Database) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await go_on.wait()
        return b""

    go_on, stop, slots = asyncio.Event(), asyncio.Event(), Slots(SLOTS)
    suspect = await a_suspect(jobs)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, jobs, slots, QUICK).run(stop))
        assert (await leg.started.get()).id == suspect
        with pytest.raises(NoRoom):
            async with slots.one(patience_s=0.05):
                pass
        async with asyncio.TaskGroup() as calls:
            waiting = calls.create_task(_call(slots))
            go_on.set()
        assert waiting.result() == SLOTS - 1
        stop.set()
    assert slots.free == SLOTS, "each place was given back"


async def test_of_many_workers_about_one_makes_room_and_later_one_more(
    jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them would stop the queue for one job."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    runners = [Runner(TestLeg(), jobs, Slots(SLOTS), QUICK) for _ in range(200)]

    def emptying() -> int:
        for runner in runners:
            runner._make_room(len(runners))
        return sum(runner._slots.emptying for runner in runners)

    at_once = emptying()
    for _ in range(20):
        now += 1
        assert emptying() == at_once
    assert at_once < 10
    now += 60
    assert at_once <= emptying() < 20

    for runner in runners:
        runner._make_room(0)
    assert not any(runner._slots.emptying for runner in runners)


@pytest.mark.usefixtures("dice")
async def test_a_suspect_waits_for_synchronous_calls_and_others_wait_for_it(jobs: JobRepository, ticks: Ticks) -> None:
    suspect = await a_suspect(jobs)
    leg, stop, slots = TestLeg(), asyncio.Event(), Slots(SLOTS)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        async with slots.one():
            group.create_task(Runner(leg, ticks, slots, QUICK).run(stop))
            await ticks.pass_by()
            with pytest.raises(NoRoom):
                async with slots.one(patience_s=0.05):
                    pass
            assert leg.started.empty()
        assert (await leg.started.get()).id == suspect
        await leg.made.get()
        await _call(slots)
        stop.set()


async def _call(slots: Slots) -> int:
    """A synchronous call; returns how many places are free beside it."""
    async with slots.one(patience_s=LONG):
        return slots.free
