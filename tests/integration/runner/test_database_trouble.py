"""The loop under fire: what it promises when answers are lost, rows are locked, and the database goes away."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from gleaner_core.errors import Unavailable
from gleaner_core.states import State
from gleaner_repo import ClaimedJob, Database, Finished, JobRepository, Lease, MovedJob, Renewal
from gleaner_runner import Runner, Slots
from support.jobs import TENANT, Events, submitted
from support.legs import QUICK, Started, TestLeg, for_ever
from support.proxy import Proxy

LONG = 20


async def test_a_short_blip_of_the_database_costs_nothing(
    jobs: JobRepository, events: Events, started: Started, proxy: Proxy
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await go_on.wait()
        return b"through"

    go_on = asyncio.Event()
    ids = await submitted(jobs, 3)
    leg = TestLeg(work, lease=timedelta(seconds=5))
    async with asyncio.timeout(LONG), started(leg):
        for _ in ids:
            await leg.started.get()
        proxy.cut()
        await asyncio.sleep(1)
        proxy.mend()
        go_on.set()
        assert {await leg.made.get() for _ in ids} == {(job_id, "mark_succeeded") for job_id in ids}
    found = await jobs.get(TENANT, ids)
    assert {(job.attempt, job.lapses) for job in found.values()} == {(1, 0)}
    await events.check(ids)


async def test_a_statement_that_the_database_refuses_does_not_end_the_loop(
    jobs: JobRepository, database: Database, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    leg = TestLeg(for_ever, lease=timedelta(seconds=3))
    async with asyncio.timeout(LONG), started(leg) as runner:
        await database.execute("ALTER TABLE queue RENAME COLUMN lapses TO somehow_else")
        runner.offer()
        while "UndefinedColumnError" not in caplog.text:
            await asyncio.sleep(0.02)
        await database.execute("ALTER TABLE queue RENAME COLUMN somehow_else TO lapses")
        await submitted(jobs)
        await leg.started.get()


async def test_a_lost_answer_to_the_end_is_settled_by_reading(
    jobs: JobRepository, events: Events, started: Started, proxy: Proxy
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.id in watched:
            proxy.swallow_answers()  # the end is carried out, and nobody hears of it
        return b"done"

    watched: set[UUID] = set()
    leg = TestLeg(work, lease=timedelta(seconds=10))
    async with asyncio.timeout(LONG), started(leg):
        await _through(jobs, leg)
        [job_id] = await submitted(jobs)
        watched.add(job_id)
        while (await jobs.get(TENANT, [job_id]))[job_id].state is not State.SUCCEEDED:
            await asyncio.sleep(0.05)
        proxy.cut()
        proxy.mend()
        assert await leg.made.get() == (job_id, "mark_succeeded"), "it learns that it was its own"
    assert await events.types(job_id) == ["job.submitted", "job.started", "job.succeeded"]


class LostAnswers(JobRepository):
    """Ends runs of many jobs by one statement, and nobody hears of it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.lost = 0

    async def finish_many(self, move: str, ends: Sequence[tuple[Lease, Finished]]) -> dict[Lease, MovedJob]:
        made = await super().finish_many(move, ends)
        if len(ends) > 1:
            self.lost += len(made)
            raise Unavailable
        return made


async def test_lost_answers_to_ends_that_shared_a_statement_are_each_settled_by_reading(
    jobs: JobRepository, database: Database, events: Events
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        together.release()
        await go_on.wait()
        return b"done"

    go_on, together, stop = asyncio.Event(), asyncio.Semaphore(0), asyncio.Event()
    ids = await submitted(jobs, QUICK.slots)
    leg, losing = TestLeg(work, lease=timedelta(seconds=10)), LostAnswers(database)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, losing, Slots(QUICK.slots), QUICK).run(stop))
        for _ in ids:
            await together.acquire()
        go_on.set()
        assert {await leg.made.get() for _ in ids} == {(job_id, "mark_succeeded") for job_id in ids}
        stop.set()
    assert losing.lost == QUICK.slots - 1, "the first one was alone"
    await events.check(ids)


async def test_a_locked_row_keeps_those_that_end_with_it_no_longer_than_the_server_lets_it_wait(
    jobs: JobRepository, events: Events, database: Database, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await go_on.wait()
        return b"done"

    go_on = asyncio.Event()
    ids = await submitted(jobs, QUICK.slots)
    leg = TestLeg(work, lease=timedelta(seconds=10))
    async with asyncio.timeout(LONG), started(leg):
        begun = [(await leg.started.get()).id for _ in ids]
        async with database.pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM queue WHERE NOT ready AND id = $1 FOR UPDATE", begun[1])
            go_on.set()
            assert {(await leg.made.get())[0] for _ in ids[1:]} == set(ids) - {begun[1]}
        assert await leg.made.get() == (begun[1], "mark_succeeded")
    found = await jobs.get(TENANT, ids)
    assert {(job.attempt, job.lapses) for job in found.values()} == {(1, 0)}
    await events.check(ids)


async def test_a_claim_whose_answer_was_lost_is_handed_back_not_left_to_its_lease(
    jobs: JobRepository, events: Events, started: Started, proxy: Proxy
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.id in busy:  # while it runs, no suspect is asked for: the first statement is the claim
            await go_on.wait()
        return b""

    go_on, busy = asyncio.Event(), set[UUID]()
    leg = TestLeg(work, lease=timedelta(seconds=60))
    async with asyncio.timeout(LONG), started(leg):
        await _through(jobs, leg)
        busy.update(await submitted(jobs))
        while leg.running == 0:
            await asyncio.sleep(0.01)
        proxy.swallow_answers()
        [job_id] = await submitted(jobs)
        while (await jobs.get(TENANT, [job_id]))[job_id].state is not State.RUNNING:
            await asyncio.sleep(0.05)
        proxy.cut()
        proxy.mend()
        assert await leg.made.get() == (job_id, "mark_succeeded")
        go_on.set()
    assert "job.handed_back" in await events.types(job_id)


async def test_after_an_outage_longer_than_the_lease_healthy_workers_take_nothing_from_each_other(
    jobs: JobRepository, events: Events, started: Started, proxy: Proxy
) -> None:
    """What still runs was stopped by its own count and is handed back by its holder; nobody rescues anything."""

    async def work(job: ClaimedJob) -> bytes:
        if job.attempt + job.seq <= 3:  # the first run of each job is caught by the outage
            await asyncio.Event().wait()
        return b"after"

    ids = await submitted(jobs, 12)
    legs = [TestLeg(work) for _ in range(3)]
    async with asyncio.timeout(LONG), started(legs[0]), started(legs[1]), started(legs[2]):
        for leg in legs:
            for _ in range(QUICK.slots):
                await leg.started.get()
        await asyncio.sleep(2)  # long enough for all to be allowed to rescue
        proxy.cut()
        await asyncio.sleep(3)  # twice the lease
        proxy.mend()
        while not all(job.over for job in (await jobs.get(TENANT, ids)).values()):
            await asyncio.sleep(0.05)
    for job_id in ids:
        assert "job.rescued" not in await events.types(job_id)
    assert {job.lapses for job in (await jobs.get(TENANT, ids)).values()} == {0}
    await events.check(ids)


async def test_a_holder_that_hears_nothing_stops_before_anybody_may_take_its_jobs(
    jobs: JobRepository, database: Database, started: Started, proxy: Proxy
) -> None:
    [job_id] = await submitted(jobs)
    leg = TestLeg(for_ever, lease=timedelta(seconds=3))
    async with asyncio.timeout(LONG), started(leg):
        await leg.started.get()
        proxy.cut()
        assert await leg.stopped.get() == job_id
        row = await database.fetchrow(
            "SELECT lease_expires_at - clock_timestamp() AS left FROM queue WHERE id = $1", job_id
        )
        proxy.mend()
    assert row and timedelta(0) < row["left"] < timedelta(seconds=1)


async def test_a_database_that_keeps_a_run_from_its_work_is_not_the_jobs_failure(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.lease.token == 1:
            raise Unavailable  # when it wanted its document
        return b"then"

    [job_id] = await submitted(jobs)
    leg = TestLeg(work, max_attempts=1)
    async with asyncio.timeout(LONG), started(leg):
        assert await leg.made.get() == (job_id, "mark_succeeded")
    assert await events.types(job_id) == [
        "job.submitted",
        "job.started",
        "job.handed_back",
        "job.started",
        "job.succeeded",
    ]


class HangingClaims(JobRepository):
    """Claims hang once one has found something; a renewal sent by then fails, and later ones are answered."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.hanging = asyncio.Event()
        self.let_go = asyncio.Event()
        self.renewed: asyncio.Queue[Renewal] = asyncio.Queue()
        self.failed = False

    async def claim(self, *args: Any, **kwargs: Any) -> list[ClaimedJob]:
        if self.hanging.is_set():
            await self.let_go.wait()
            raise Unavailable
        if claimed := await super().claim(*args, **kwargs):
            self.hanging.set()
        return claimed

    async def renew(self, leases: Iterable[Lease], lease: timedelta) -> Renewal:
        if not self.failed:
            self.failed = True
            raise Unavailable
        renewal = await super().renew(leases, lease)
        self.renewed.put_nowait(renewal)
        return renewal


async def test_while_a_claim_hangs_and_something_is_in_doubt_leases_are_renewed_all_the_same(
    jobs: JobRepository, database: Database
) -> None:
    leg, stop, hanging = TestLeg(for_ever), asyncio.Event(), HangingClaims(database)
    [job_id] = await submitted(jobs)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, hanging, Slots(QUICK.slots), QUICK).run(stop))
        await leg.started.get()
        began = time.monotonic()
        while time.monotonic() < began + 2 * leg.settings.lease.total_seconds():
            assert {lease.job_id for lease in (await hanging.renewed.get()).kept} == {job_id}
        assert leg.stopped.empty()
        hanging.let_go.set()
        stop.set()


class SlowRenewals(JobRepository):
    """Takes its time to tell of a renewal; notes when each was sent."""

    ANSWER_S = 0.25

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sent: list[float] = []
        self.enough = asyncio.Event()

    async def renew(self, leases: Iterable[Lease], lease: timedelta) -> Renewal:
        self.sent.append(time.monotonic())
        if len(self.sent) == 5:
            self.enough.set()
        renewal = await super().renew(leases, lease)
        await asyncio.sleep(self.ANSWER_S)
        return renewal


async def test_heartbeats_do_not_wait_for_the_answer_to_the_last_one(jobs: JobRepository, database: Database) -> None:
    leg, stop, slow = TestLeg(for_ever), asyncio.Event(), SlowRenewals(database)
    await submitted(jobs)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, slow, Slots(QUICK.slots), QUICK).run(stop))
        await slow.enough.wait()
        stop.set()
    assert min(later - sent for sent, later in pairwise(slow.sent)) < QUICK.heartbeat_s + SlowRenewals.ANSWER_S


class SlowHandBacks(JobRepository):
    """Renews nothing, and hands nothing back before it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.handing_back = asyncio.Event()
        self.go_on = asyncio.Event()

    async def renew(self, leases: Iterable[Lease], lease: timedelta) -> Renewal:
        raise Unavailable

    async def finish(self, move: str, lease: Lease, how: Finished) -> MovedJob | None:
        if move == "hand_back":
            self.handing_back.set()
            await self.go_on.wait()
        return await super().finish(move, lease, how)


async def test_a_hand_back_goes_on_though_the_lease_runs_out_meanwhile(
    jobs: JobRepository, database: Database, events: Events
) -> None:
    leg, stop, slow = TestLeg(for_ever), asyncio.Event(), SlowHandBacks(database)
    [job_id] = await submitted(jobs)
    impatient = QUICK.model_copy(update={"run_grace_s": 0.0})
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(Runner(leg, slow, Slots(QUICK.slots), impatient).run(stop))
        job = await leg.started.get()
        stop.set()
        await slow.handing_back.wait()
        while not job.lease.lapsed():
            await asyncio.sleep(0.02)
        slow.go_on.set()
    assert (await jobs.get(TENANT, [job_id]))[job_id].state is State.QUEUED
    assert await events.types(job_id) == ["job.submitted", "job.started", "job.handed_back"]


async def _through(jobs: JobRepository, leg: TestLeg, count: int = 30) -> None:
    """Jobs enough that every connection has prepared every statement: what is sent then needs no answer to be run."""
    for _ in await submitted(jobs, count):
        await leg.made.get()
