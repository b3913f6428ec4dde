"""Races on a real Postgres: exactly one wins, and rows, log and deliveries agree about who."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from gleaner_core.errors import JobError
from gleaner_core.states import State
from gleaner_repo import Database, DatabaseSettings, JobRepository, open_database
from gleaner_repo.jobs import STATEMENTS
from gleaner_repo.moves import EVENT_NAMES
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, Events, a_job, race, refining, running, submitted

ROUNDS = 40
ERROR = JobError("WORK_TIMEOUT", "took too long", retryable=True)
SOON = timedelta(0)


async def test_any_number_of_claims_share_the_jobs_and_none_is_taken_twice(jobs: JobRepository, events: Events) -> None:
    ids = await submitted(jobs, 200)

    async def drain() -> list[UUID]:
        mine = []
        while claimed := await jobs.mark_running(7, LEASE, uuid4()):
            mine += [job.id for job in claimed]
        return mine

    taken = Counter(job_id for batch in await race(*[drain] * 16) for job_id in batch)
    assert set(taken) == set(ids)
    assert set(taken.values()) == {1}
    assert {job.attempt for job in (await jobs.get(TENANT, ids)).values()} == {1}
    await events.check(ids)


async def test_claims_of_one_job_have_one_winner_and_one_increment(jobs: JobRepository) -> None:
    [job_id] = await submitted(jobs)
    answers = await race(*[lambda: jobs.mark_running(1, LEASE, uuid4())] * 16)
    assert sum(map(len, answers)) == 1
    assert (await jobs.get(TENANT, [job_id]))[job_id].attempt == 1


async def test_cancel_against_claim_has_exactly_one_winner(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        [job_id] = await submitted(jobs)
        cancelled, claimed = await race(
            partial(jobs.mark_cancelled, TENANT, job_id), lambda: jobs.mark_running(1, LEASE, uuid4())
        )
        assert bool(cancelled) != bool(claimed)
        await events.check([job_id])
        if claimed:
            await jobs.mark_succeeded(claimed[0].lease, RESULT)


async def test_cancel_of_queued_or_running_never_misses(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        [job_id] = await submitted(jobs)
        cancelled, _ = await race(
            partial(jobs.mark_cancelled, TENANT, job_id, running=True),
            lambda: jobs.mark_running(1, LEASE, uuid4()),
        )
        assert cancelled, "it was in one of the two states all the time"
        await events.check([job_id])


async def test_cancel_against_requeue_leaves_the_job_cancelled(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        claimed = await running(jobs)
        cancelled, _ = await race(
            partial(jobs.mark_cancelled, TENANT, claimed.id, running=True),
            partial(jobs.requeue_for_retry, claimed.lease, ERROR, SOON),
        )
        assert cancelled
        assert (await jobs.get(TENANT, [claimed.id]))[claimed.id].state is State.CANCELLED
        await events.check([claimed.id])


async def test_cancel_against_success_has_exactly_one_winner(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        claimed = await running(jobs)
        cancelled, succeeded = await race(
            partial(jobs.mark_cancelled, TENANT, claimed.id, running=True),
            partial(jobs.mark_succeeded, claimed.lease, RESULT),
        )
        assert bool(cancelled) != bool(succeeded)
        state = (await jobs.get(TENANT, [claimed.id]))[claimed.id].state
        assert state is (State.CANCELLED if cancelled else State.SUCCEEDED)
        await events.check([claimed.id])


async def test_cancel_against_partial_success_ends_one_leg_or_the_other(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        claimed = await running(jobs)
        cancelled, made = await race(
            partial(jobs.mark_cancelled, TENANT, claimed.id, running=True),
            partial(jobs.mark_partial_succeeded, claimed.lease, RESULT, b""),
        )
        assert cancelled, "the second statement finds what the first one just missed"
        state = (await jobs.get(TENANT, [claimed.id]))[claimed.id].state
        assert state is (State.PARTIAL_SUCCEEDED if made else State.CANCELLED)
        await events.check([claimed.id])


async def test_finalising_twice_at_once_has_one_winner_and_one_webhook(jobs: JobRepository, events: Events) -> None:
    [job] = await jobs.submit([a_job(callback_url="https://example.org")])
    [claimed] = await jobs.mark_running(1, LEASE, uuid4())
    answers = await race(*[lambda: jobs.mark_succeeded(claimed.lease, RESULT)] * 8)
    assert sum(answer is not None for answer in answers) == 1
    assert await events.deliveries() == [(job.id, 3)]


async def test_a_zombie_cannot_finish_a_job_that_was_rescued(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        zombie = await running(jobs, lease=NO_LEASE)
        await jobs.rescue()
        [owner] = await jobs.mark_running(1, LEASE, uuid4())
        late, real = await race(
            partial(jobs.mark_succeeded, zombie.lease, b"late"),
            partial(jobs.mark_succeeded, owner.lease, b"real"),
        )
        assert late is None and real is not None
        assert await jobs.result(TENANT, owner.id) == b"real"
        assert await events.types(owner.id) == [
            "job.submitted",
            "job.started",
            "job.rescued",
            "job.started",
            "job.succeeded",
        ]


async def test_rescue_against_renewal_keeps_or_takes_the_lease(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        claimed = await running(jobs, lease=NO_LEASE)
        renewal, rescued = await race(
            partial(jobs.renew, [claimed.lease], LEASE),
            jobs.rescue,
        )
        taken = bool(rescued["rescue"])
        assert bool(renewal.kept) != taken
        await events.check([claimed.id])
        await jobs.mark_cancelled(TENANT, claimed.id, running=True)


async def test_rescuers_take_each_lapsed_lease_once(jobs: JobRepository, events: Events) -> None:
    ids = await submitted(jobs, 60)
    await jobs.mark_running(60, NO_LEASE, uuid4())
    answers = await race(*[lambda: jobs.rescue(limit=10)] * 12)
    taken = Counter(job.id for answer in answers for job in answer["rescue"])
    assert set(taken.values()) == {1}
    await jobs.rescue(limit=100)
    assert {job.state for job in (await jobs.get(TENANT, ids)).values()} == {State.QUEUED}
    await events.check(ids)


async def test_rescue_against_success_ends_the_job_once(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS):
        claimed = await running(jobs, lease=NO_LEASE)
        succeeded, rescued = await race(
            partial(jobs.mark_succeeded, claimed.lease, RESULT),
            jobs.rescue,
        )
        assert bool(succeeded) != bool(rescued["rescue"])
        await events.check([claimed.id])
        await jobs.mark_cancelled(TENANT, claimed.id)


async def test_cancel_of_a_refinement_against_its_end_has_one_winner(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS // 2):
        claimed = await refining(jobs)
        cancelled, refined = await race(
            partial(jobs.mark_cancelled, TENANT, claimed.id, running=True),
            partial(jobs.mark_bbox_refined, claimed.lease, b"boxes"),
        )
        assert bool(cancelled) != bool(refined)
        await events.check([claimed.id])


async def test_concurrent_submits_with_one_key_make_one_job(jobs: JobRepository, database: Database) -> None:
    answers = await race(*[lambda: jobs.submit([a_job(request_key="order-1")])] * 40)
    assert len({answer[0].id for answer in answers}) == 1
    assert sum(answer[0].created for answer in answers) == 1
    assert len(await database.fetch("SELECT FROM jobs")) == len(await database.fetch("SELECT FROM queue")) == 1


async def test_batches_with_the_same_keys_in_different_order_do_not_deadlock(jobs: JobRepository) -> None:
    keys = [f"order-{number}" for number in range(20)]
    orders = [keys, keys[::-1]] * 12
    answers = await race(*[partial(jobs.submit, [a_job(request_key=key) for key in order]) for order in orders])
    made = set()
    for order, answer in zip(orders, answers, strict=True):
        made |= {(key, job.id) for key, job in zip(order, answer, strict=True)}
    assert len(made) == len(keys)


async def test_after_a_repeated_request_each_job_is_looked_for_before_it_is_stored(database_url: str) -> None:
    asked: list[str] = []

    class Listening:
        def opened(self, connections: Callable[[], tuple[int, int]], most: int) -> None: ...

        def waiting(self) -> AbstractContextManager[None]:
            return nullcontext()

        def asking(self, name: str) -> AbstractContextManager[None]:
            asked.append(name)
            return nullcontext()

    async with open_database(DatabaseSettings(database_url=database_url), watch=Listening()) as database:
        jobs = JobRepository(database)
        await jobs.submit([a_job(request_key="order")])
        asked.clear()
        for statements in (["submit", "submit", "find_submitted"], ["submit", "find_submitted"]):
            answers = await jobs.submit([a_job(), a_job(request_key="order"), a_job()])
            assert [answer.created for answer in answers] == [True, False, True]
            assert asked == statements
            asked.clear()


async def test_concurrent_retries_start_one_series(jobs: JobRepository, events: Events) -> None:
    for _ in range(ROUNDS // 2):
        claimed = await running(jobs)
        await jobs.mark_failed(claimed.lease, ERROR)
        answers = await race(*[partial(jobs.retry, TENANT, claimed.id)] * 6)
        assert sum(answer is not None for answer in answers) == 1
        await events.check([claimed.id])
        await jobs.mark_cancelled(TENANT, claimed.id)


async def test_jobs_end_once_whatever_everybody_does_to_them(jobs: JobRepository, events: Events) -> None:
    ids = await submitted(jobs, 40)

    async def worker() -> None:
        while claimed := await jobs.mark_running(3, NO_LEASE if uuid4().int % 3 == 0 else LEASE, uuid4()):
            for job in claimed:
                await asyncio.sleep(0)
                await jobs.mark_succeeded(job.lease, RESULT)

    async def meddler() -> None:
        for job_id in ids[::3]:
            await jobs.mark_cancelled(TENANT, job_id, running=True)
            await jobs.rescue(base=SOON, cap=SOON)

    await race(*[worker] * 6, *[meddler] * 3)
    await events.check(ids)


async def test_the_order_of_a_jobs_moves_is_their_seq_whatever_their_place_in_the_log(
    jobs: JobRepository, database: Database, events: Events
) -> None:
    """A statement over several jobs has its place in the log from its first lock on. While it waits for the next, a job
    that it comes to later may be moved by another, with a later place: by place the last word would be `rescued`."""
    first, blocked, last = sorted([claimed.id for claimed in [await running(jobs, lease=NO_LEASE) for _ in range(3)]])
    cancel = STATEMENTS["cancel_even_running"]
    async with database.pool.acquire() as other, database.pool.acquire() as canceller:
        pid = canceller.get_server_pid()
        await canceller.execute("SET lock_timeout = 0")  # however slow this machine is
        async with other.transaction():
            await other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await other.execute("SELECT FROM queue WHERE id = $1 FOR UPDATE", blocked)
            cancelling = asyncio.create_task(canceller.fetch(cancel, [first, blocked, last], TENANT, "together"))
            while not await database.fetch("SELECT FROM pg_locks WHERE pid = $1 AND NOT granted", pid):
                await asyncio.sleep(0.005)
            rescued = await jobs.rescue()
            assert last in {moved.id for moved in rescued["rescue"]}
        assert len(await cancelling) == 3

    assert (await events.types(last))[-2:] == ["job.rescued", "job.cancelled"]
    places = await database.fetch("SELECT type FROM events WHERE job_id = $1 ORDER BY era, xid, id", last)
    assert [EVENT_NAMES[row["type"]] for row in places][-2:] == ["job.cancelled", "job.rescued"]
    await events.check([first, blocked, last])
