"""Endings that share a statement: each caller gets its own answer, whatever becomes of the others."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest

from gleaner_core.errors import JobError, Unavailable
from gleaner_core.states import State
from gleaner_repo import ClaimedJob, Database, Finished, JobRepository, Lease, MovedJob
from gleaner_repo.coalescer import FinishCoalescer
from support.jobs import LEASE, RESULT, TENANT, Events, submitted

DONE = Finished(result=RESULT)
LONG = 20
PATIENCE_S = 0.2


class Statements(JobRepository):
    """A repository that notes how many endings came with each statement, and sends none while the gate is closed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()

    async def finish_many(self, move: str, ends: Sequence[tuple[Lease, Finished]]) -> dict[Lease, MovedJob]:
        self.sizes.append(len(ends))
        self.begun.put_nowait(len(ends))
        await self.gate.wait()
        return await super().finish_many(move, ends)


@pytest.fixture
def statements(database: Database) -> Statements:
    return Statements(database)


@asynccontextmanager
async def running(coalescer: FinishCoalescer) -> AsyncIterator[None]:
    task = asyncio.create_task(coalescer.run())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(LONG):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def coalescer(statements: Statements) -> AsyncIterator[FinishCoalescer]:
    coalescer = FinishCoalescer(statements, max_rows=50, max_bytes=20_000, patience_s=PATIENCE_S)
    async with running(coalescer):
        yield coalescer


@asynccontextmanager
async def locked(database: Database, job_id: UUID) -> AsyncIterator[None]:
    """Somebody has the job's row."""
    async with database.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM queue WHERE NOT ready AND id = $1 FOR UPDATE", job_id)
        yield


async def claimed(jobs: JobRepository, count: int) -> list[ClaimedJob]:
    await submitted(jobs, count)
    return await jobs.mark_running(count, LEASE, uuid4())


async def states(jobs: JobRepository, ids: Sequence[UUID]) -> list[State]:
    found = await jobs.get(TENANT, ids)
    return [found[job_id].state for job_id in ids]


async def while_one_is_under_way(
    coalescer: FinishCoalescer, statements: Statements, first: Lease, others: Sequence[tuple[str, Lease, Finished]]
) -> list["asyncio.Task[MovedJob | None]"]:
    """The first, and others that came while its statement was under way; the gate is closed."""
    statements.gate.clear()
    tasks = [asyncio.create_task(coalescer.finish("mark_succeeded", first, DONE))]
    await statements.begun.get()
    tasks += [asyncio.create_task(coalescer.finish(*one)) for one in others]
    await asyncio.sleep(0)
    return tasks


def succeeded(jobs: Sequence[ClaimedJob]) -> list[tuple[str, Lease, Finished]]:
    return [("mark_succeeded", job.lease, DONE) for job in jobs]


async def test_what_comes_while_a_statement_is_under_way_shares_the_next_and_each_gets_its_own_answer(
    coalescer: FinishCoalescer, statements: Statements, events: Events
) -> None:
    jobs = await claimed(statements, 10)
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, succeeded(jobs[1:]))
    statements.gate.set()
    answers = await asyncio.gather(*tasks)
    assert [answer and (answer.id, answer.lease_token) for answer in answers] == [
        (job.id, job.lease.token) for job in jobs
    ]
    assert statements.sizes == [1, 9]
    await events.check([job.id for job in jobs])


async def test_one_that_comes_alone_is_its_own_statement_at_once(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 3)
    for job in jobs:
        before = len(asyncio.all_tasks())
        finishing = asyncio.create_task(coalescer.finish("mark_succeeded", job.lease, DONE))
        assert await statements.begun.get() == 1
        assert len(asyncio.all_tasks()) == before + 1, "no task but its caller's"
        assert await finishing


async def test_what_is_lost_is_told_so_beside_those_that_end(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 6)
    lost = Lease(jobs[2].id, jobs[2].lease.token + 1, jobs[2].lease.expires)
    others = [*succeeded(jobs[1:2]), ("mark_succeeded", lost, DONE), *succeeded(jobs[3:])]
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, others)
    statements.gate.set()
    assert [answer is None for answer in await asyncio.gather(*tasks)] == [False, False, True, False, False, False]


async def test_one_that_the_database_refuses_costs_its_own_caller_only(
    coalescer: FinishCoalescer, statements: Statements, events: Events
) -> None:
    jobs = await claimed(statements, 12)
    fine, refused = JobError("DOCUMENT_DAMAGED", "no", retryable=False), JobError("X", "\0", retryable=False)
    failing = asyncio.create_task(coalescer.finish("mark_failed", jobs[0].lease, Finished(error=fine)))
    await asyncio.sleep(0)
    others = [
        coalescer.finish("mark_failed", job.lease, Finished(error=refused if job is jobs[5] else fine))
        for job in jobs[1:]
    ]
    answers = await asyncio.gather(failing, *others, return_exceptions=True)
    assert statements.sizes[:2] == [1, 11]
    assert isinstance(answers[5], asyncpg.PostgresError)
    assert all(isinstance(answer, MovedJob) for number, answer in enumerate(answers) if number != 5)
    assert await states(statements, [job.id for job in jobs]) == [
        State.RUNNING if job is jobs[5] else State.FAILED for job in jobs
    ]
    await events.check([job.id for job in jobs])


async def test_moves_neither_share_statements_nor_wait_for_each_others(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 2)
    failed = Finished(error=JobError("X", "no", retryable=False))
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, [("mark_failed", jobs[1].lease, failed)])
    assert await statements.begun.get() == 1
    statements.gate.set()
    assert [answer and answer.state for answer in await asyncio.gather(*tasks)] == [State.SUCCEEDED, State.FAILED]


async def test_a_statement_is_no_larger_than_its_bytes_and_a_large_result_goes_alone(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 6)
    sizes = [1, 30_000, 9_000, 9_000, 9_000]
    others = [
        ("mark_succeeded", job.lease, Finished(result=b"x" * size)) for job, size in zip(jobs[1:], sizes, strict=True)
    ]
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, others)
    statements.gate.set()
    assert all(await asyncio.gather(*tasks))
    assert statements.sizes == [1, 1, 1, 2, 1]
    for job, size in zip(jobs[1:], sizes, strict=True):
        result = await statements.result(TENANT, job.id)
        assert result and len(result) == size


async def test_a_caller_that_is_cancelled_before_its_statement_ends_nothing(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 3)
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, succeeded(jobs[1:]))
    tasks[1].cancel()
    await asyncio.sleep(0)
    statements.gate.set()
    assert await tasks[0] and await tasks[2]
    assert statements.sizes == [1, 1]
    assert await states(statements, [jobs[1].id]) == [State.RUNNING]


async def test_a_caller_that_is_cancelled_cancels_no_statement_of_others(
    coalescer: FinishCoalescer, statements: Statements
) -> None:
    jobs = await claimed(statements, 4)
    tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, succeeded(jobs[1:]))
    tasks[0].cancel()  # its own, for which the others wait
    assert await statements.begun.get() == 3
    tasks[2].cancel()
    statements.gate.set()
    assert await tasks[1] and await tasks[3]
    assert await states(statements, [job.id for job in jobs]) == [State.RUNNING, *[State.SUCCEEDED] * 3]


async def test_a_locked_row_holds_up_nobody_who_comes_after_it(
    coalescer: FinishCoalescer, statements: Statements, database: Database
) -> None:
    jobs = await claimed(statements, 4)
    async with locked(database, jobs[0].id):
        held_up = asyncio.create_task(coalescer.finish("mark_succeeded", jobs[0].lease, DONE))
        await statements.begun.get()
        assert all(await asyncio.gather(*(coalescer.finish(*one) for one in succeeded(jobs[1:]))))
        assert statements.sizes == [1, 3]
        assert not held_up.done()
    assert await held_up


async def test_who_shares_a_statement_with_a_locked_row_is_told_in_time_and_ends_alone(
    coalescer: FinishCoalescer, statements: Statements, database: Database, events: Events
) -> None:
    jobs = await claimed(statements, 5)
    async with locked(database, jobs[1].id):
        tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, succeeded(jobs[1:4]))
        statements.gate.set()
        assert await tasks[0]
        answers = await asyncio.gather(*tasks[1:], return_exceptions=True)  # the server lets nobody wait for longer
        assert statements.sizes == [1, 3]
        assert all(isinstance(answer, Unavailable) for answer in answers)
        for job in jobs[2:4]:
            assert await statements.finish("mark_succeeded", job.lease, DONE)
        assert await coalescer.finish("mark_succeeded", jobs[4].lease, DONE)
    assert await statements.finish("mark_succeeded", jobs[1].lease, DONE)
    await events.check([job.id for job in jobs])


async def test_at_the_end_who_waits_is_told_so_and_later_ones_are_on_their_own(statements: Statements) -> None:
    jobs = await claimed(statements, 4)
    coalescer = FinishCoalescer(statements)
    async with running(coalescer):
        tasks = await while_one_is_under_way(coalescer, statements, jobs[0].lease, succeeded(jobs[1:3]))
    ended = await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in ended)
    statements.gate.set()
    assert await tasks[0]
    assert await coalescer.finish("mark_succeeded", jobs[3].lease, DONE)


async def test_whatever_happens_every_caller_is_answered_and_every_run_ends_at_most_once(
    coalescer: FinishCoalescer, statements: Statements, events: Events
) -> None:
    """Callers come at any moment, are cancelled, have lost their lease, bring much or little."""
    jobs = await claimed(statements, 120)
    gone = set(random.sample(range(120), 20))
    for number in gone:
        assert await statements.mark_cancelled(TENANT, jobs[number].id, running=True)

    async def end(job: ClaimedJob) -> MovedJob | None:
        await asyncio.sleep(random.uniform(0, 0.2))
        how = Finished(result=b"x" * random.choice((1, 5_000, 25_000)))
        return await coalescer.finish("mark_succeeded", job.lease, how)

    ends = [asyncio.create_task(end(job)) for job in jobs]
    for task in random.sample(ends, 30):
        await asyncio.sleep(0.005)
        task.cancel()
    answers = await asyncio.gather(*ends, return_exceptions=True)
    for number, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        if isinstance(answer, MovedJob):
            assert answer.id == job.id and number not in gone
        elif answer is None:
            assert number in gone
        else:
            assert isinstance(answer, asyncio.CancelledError)
    ended = {job.id for job, answer in zip(jobs, answers, strict=True) if isinstance(answer, MovedJob)}
    assert set(await states(statements, list(ended))) == {State.SUCCEEDED}
    await events.check([job.id for job in jobs])
