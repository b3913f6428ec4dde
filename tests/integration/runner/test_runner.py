"""The loop: how runs end, are stopped and drained, and what becomes of leases that are lost."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from gleaner_core.errors import DocumentDamaged, ModelThrottled, NoRoom
from gleaner_core.states import State
from gleaner_repo import ClaimedJob, Database, Finished, JobRepository, Lease, MovedJob, Renewal
from gleaner_runner import Runner, Slots
from support.jobs import NO_LEASE, TENANT, Events, a_job, submitted
from support.legs import QUICK, Started, TestLeg, for_ever

LONG = 20


async def test_jobs_are_run_and_ended(jobs: JobRepository, events: Events, started: Started) -> None:
    ids = await submitted(jobs, 20)
    leg = TestLeg()
    async with asyncio.timeout(LONG), started(leg):
        made = {await leg.made.get() for _ in ids}
    assert made == {(job_id, "mark_succeeded") for job_id in ids}
    assert leg.most_running <= QUICK.slots
    await events.check(ids)


async def test_an_offer_is_taken_up_at_once(jobs: JobRepository, started: Started) -> None:
    leg = TestLeg()
    patient = QUICK.model_copy(update={"poll_max_s": 60.0})
    async with asyncio.timeout(LONG), started(leg, patient) as runner:
        await submitted(jobs)
        assert runner.offer() == QUICK.slots
        await leg.made.get()


async def test_a_permanent_error_fails_at_once_and_a_retryable_one_after_its_attempts(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        raise DocumentDamaged("no") if job.id == permanent else ModelThrottled("later", retry_after=timedelta(0))

    permanent, retryable = await submitted(jobs, 2)
    leg = TestLeg(work, max_attempts=3)
    async with asyncio.timeout(LONG), started(leg):
        made = [await leg.made.get() for _ in range(4)]
    assert made.count((permanent, "mark_failed")) == 1
    assert [move for job_id, move in made if job_id == retryable] == ["requeue_for_retry"] * 2 + ["mark_failed"]
    found = await jobs.get(TENANT, [permanent, retryable])
    assert [found[one].error and found[one].error.reason for one in (permanent, retryable)] == [  # type: ignore[union-attr]
        "DOCUMENT_DAMAGED",
        "MODEL_THROTTLED",
    ]
    await events.check([permanent, retryable])


async def test_a_bug_costs_an_attempt_and_not_the_process(jobs: JobRepository, started: Started) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.attempt == 1:
            raise ZeroDivisionError
        return b"well"

    [job_id] = await submitted(jobs)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        assert [await leg.made.get() for _ in range(2)] == [(job_id, "requeue_for_retry"), (job_id, "mark_succeeded")]


async def test_an_ending_that_the_database_refuses_costs_an_attempt_and_not_the_process(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.id == odd and job.attempt == 1:
            raise DocumentDamaged("a NUL, which jsonb has no room for: \0")
        return b"well"

    ids = odd, other = await submitted(jobs, 2)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        made = {await leg.made.get() for _ in range(3)}
    assert made == {(odd, "requeue_for_retry"), (odd, "mark_succeeded"), (other, "mark_succeeded")}
    await events.check(ids)


async def test_a_run_that_takes_too_long_is_stopped_and_told(jobs: JobRepository, started: Started) -> None:
    [job_id] = await submitted(jobs)
    leg = TestLeg(for_ever, run_limit=timedelta(seconds=0.2), max_attempts=1)
    async with asyncio.timeout(LONG), started(leg):
        assert await leg.made.get() == (job_id, "mark_failed")
    job = (await jobs.get(TENANT, [job_id]))[job_id]
    assert job.error and job.error.reason == "WORK_TIMEOUT"


async def test_a_time_out_within_a_run_is_not_told_as_the_runs(jobs: JobRepository, started: Started) -> None:
    async def work(job: ClaimedJob) -> bytes:
        raise TimeoutError

    [job_id] = await submitted(jobs)
    leg = TestLeg(work, max_attempts=1)
    async with asyncio.timeout(LONG), started(leg):
        assert await leg.made.get() == (job_id, "mark_failed")
    job = (await jobs.get(TENANT, [job_id]))[job_id]
    assert job.error and (job.error.reason, job.error.retryable) == ("INTERNAL", True)


@pytest.mark.parametrize(
    ("asked", "kept"), [(timedelta(days=3650), timedelta(minutes=1)), (timedelta(days=-1), timedelta(0))]
)
async def test_a_providers_patience_is_kept_within_the_longest_back_off(
    jobs: JobRepository, started: Started, asked: timedelta, kept: timedelta
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.attempt == 1:
            raise ModelThrottled("later", retry_after=asked)
        return await for_ever(job)

    [job_id] = await submitted(jobs)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg, QUICK.model_copy(update={"retry_max_delay_s": 60.0})):
        first = await leg.started.get()
        assert await leg.made.get() == (job_id, "requeue_for_retry")
        again_at = (await jobs.get(TENANT, [job_id]))[job_id].available_at
    assert again_at
    assert kept <= again_at - first.started_at < kept + timedelta(seconds=LONG)


async def test_a_result_that_no_answer_has_room_for_fails_at_once_and_is_not_stored(
    jobs: JobRepository, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        return bytes(leg.settings.max_result_bytes + (job.id == large))

    large, largest = await submitted(jobs, 2)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        made = {await leg.made.get() for _ in range(2)}
    assert made == {(large, "mark_failed"), (largest, "mark_succeeded")}
    job = (await jobs.get(TENANT, [large]))[large]
    assert job.error and job.error.reason == "RESULT_TOO_LARGE"
    assert await jobs.result(TENANT, large) is None


async def test_what_was_cancelled_is_stopped_at_the_next_heartbeat(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    [job_id] = await submitted(jobs)
    leg = TestLeg(for_ever)
    async with asyncio.timeout(LONG), started(leg):
        await leg.started.get()
        await jobs.mark_cancelled(TENANT, job_id, running=True)
        assert await leg.stopped.get() == job_id
    assert leg.made.empty()
    await events.check([job_id])


async def test_draining_waits_for_runs_and_hands_back_what_takes_longer(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await (stop.wait() if job.id == quick else asyncio.Event().wait())
        return b"just in time"

    quick, slow, late = await submitted(jobs, 2) + [a_job().id]
    stop = asyncio.Event()
    leg = TestLeg(work, lease=timedelta(seconds=30))
    async with asyncio.timeout(LONG), started(leg, stop=stop):
        await leg.started.get()
        await leg.started.get()
        stop.set()
    found = await jobs.get(TENANT, [quick, slow, late])
    assert found[quick].state is State.SUCCEEDED
    assert (found[slow].state, found[slow].attempt) == (State.QUEUED, 0), "handed back, without counting the attempt"
    await events.check([quick, slow])


async def test_leases_are_renewed_until_the_last_job_of_a_drain(jobs: JobRepository, started: Started) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await asyncio.sleep(3)  # twice the lease
        return b"long work"

    [job_id] = await submitted(jobs)
    stop = asyncio.Event()
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg, QUICK.model_copy(update={"run_grace_s": 10.0}), stop=stop):
        await leg.started.get()
        stop.set()
    job = (await jobs.get(TENANT, [job_id]))[job_id]
    assert (job.state, job.attempt, job.lapses) == (State.SUCCEEDED, 1, 0)


async def test_a_dead_workers_jobs_are_rescued_by_the_living(
    jobs: JobRepository, events: Events, started: Started
) -> None:
    ids = await submitted(jobs, 4)
    dead = await jobs.mark_running(4, NO_LEASE, uuid4())
    assert len(dead) == 4
    leg = TestLeg()
    async with asyncio.timeout(LONG), started(leg):
        assert {await leg.made.get() for _ in ids} == {(job_id, "mark_succeeded") for job_id in ids}
    for job_id in ids:
        assert (await events.types(job_id))[2:4] == ["job.rescued", "job.started"]


class LateAnswers(JobRepository):
    """Renews at once, and tells what came of it when it is let go."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.renewed: asyncio.Queue[Renewal] = asyncio.Queue()
        self.let_go = asyncio.Event()

    async def renew(self, leases: Iterable[Lease], lease: timedelta) -> Renewal:
        renewal = await super().renew(leases, lease)
        self.renewed.put_nowait(renewal)
        await self.let_go.wait()
        return renewal


async def test_a_job_that_was_claimed_while_a_renewal_was_under_way_is_not_taken_for_lost(
    jobs: JobRepository, database: Database
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        await go_on.wait()
        return b"done"

    go_on, stop = asyncio.Event(), asyncio.Event()
    leg, late = TestLeg(work, lease=timedelta(seconds=30)), LateAnswers(database)
    runner = Runner(leg, late, Slots(QUICK.slots), QUICK)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        [first] = await submitted(jobs)
        await leg.started.get()
        assert {lease.job_id for lease in (await late.renewed.get()).kept} == {first}
        [second] = await submitted(jobs)  # while that answer is under way
        runner.offer()
        await leg.started.get()
        late.let_go.set()
        assert {lease.job_id for lease in (await late.renewed.get()).kept} == {first, second}
        assert leg.stopped.empty()
        go_on.set()
        assert {(await leg.made.get())[0] for _ in range(2)} == {first, second}
        stop.set()
    for job_id in (first, second):
        assert [event.type for event in await jobs.events_of({job_id: 0})] == [
            "job.submitted",
            "job.started",
            "job.succeeded",
        ]


async def test_a_slot_is_free_when_the_work_has_stopped_and_not_when_its_lease_is_lost(
    jobs: JobRepository, started: Started
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.id != first:
            return b"next"
        try:
            await asyncio.Event().wait()
        finally:
            stopping.set()
            await stopped.wait()
        raise AssertionError

    stopping, stopped = asyncio.Event(), asyncio.Event()
    [first] = await submitted(jobs)
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg, QUICK.model_copy(update={"slots": 1})) as runner:
        await leg.started.get()
        await jobs.mark_cancelled(TENANT, first, running=True)
        await stopping.wait()
        [second] = await submitted(jobs)
        assert runner.offer() == 0
        assert (await jobs.get(TENANT, [second]))[second].state is State.QUEUED
        stopped.set()
        assert await leg.made.get() == (second, "mark_succeeded")
    assert leg.most_running == 1


class SlowEnds(JobRepository):
    """Ends no run before it is told to, and notes how many are held."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.go_on = asyncio.Event()
        self.held = 0
        self.most_held = 0

    async def claim(self, *args: Any, **kwargs: Any) -> list[ClaimedJob]:
        claimed = await super().claim(*args, **kwargs)
        self.held += len(claimed)
        self.most_held = max(self.most_held, self.held)
        return claimed

    async def finish_many(self, move: str, ends: Sequence[tuple[Lease, Finished]]) -> dict[Lease, MovedJob]:
        await self.go_on.wait()
        made = await super().finish_many(move, ends)
        self.held -= len(made)
        return made


async def test_while_ends_are_written_the_slots_work_on_and_no_more_ends_wait_than_there_are_slots(
    jobs: JobRepository, database: Database, events: Events
) -> None:
    ids = await submitted(jobs, 5 * QUICK.slots)
    leg, stop, slow = TestLeg(lease=timedelta(seconds=30)), asyncio.Event(), SlowEnds(database)
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        runner = Runner(leg, slow, Slots(QUICK.slots), QUICK)
        group.create_task(runner.run(stop))
        for _ in range(2 * QUICK.slots):
            await leg.started.get()
        assert runner.offer() == QUICK.slots
        slow.go_on.set()
        assert {(await leg.made.get())[0] for _ in ids} == set(ids)
        stop.set()
    assert slow.most_held == 2 * QUICK.slots
    assert leg.most_running <= QUICK.slots
    await events.check(ids)


class ClaimsAndCalls(JobRepository):
    """While the answer to a claim is under way, a synchronous call comes, and stays if it gets a slot."""

    def __init__(self, database: Database, slots: Slots, calls: AsyncExitStack) -> None:
        super().__init__(database)
        self.slots = slots
        self.calls = calls
        self.refused = 0

    async def claim(self, *args: Any, **kwargs: Any) -> list[ClaimedJob]:
        claimed = await super().claim(*args, **kwargs)
        if claimed:
            try:
                await self.calls.enter_async_context(self.slots.one(patience_s=0.05))
            except NoRoom:
                self.refused += 1
        return claimed


async def test_a_synchronous_call_gets_no_slot_that_a_claim_under_way_has_asked_for(
    jobs: JobRepository, database: Database
) -> None:
    ids = await submitted(jobs, 12)
    leg, stop, slots = TestLeg(), asyncio.Event(), Slots(QUICK.slots)
    async with asyncio.timeout(LONG), AsyncExitStack() as calls, asyncio.TaskGroup() as group:
        repository = ClaimsAndCalls(database, slots, calls)
        group.create_task(Runner(leg, repository, slots, QUICK).run(stop))
        for _ in ids:
            await leg.made.get()
        stop.set()

    assert repository.refused and leg.most_running <= QUICK.slots
    assert slots.free == QUICK.slots, "each place was given back"
