"""kill -9 exactly at the points that DESIGN names, one after the other, and what mends each: real processes, no hooks.

A process is caught at its point from outside: its answers are swallowed on the way, the children that work for it are
stopped, or the table that it has to write is locked.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from chaos.plan import Plan
from chaos.receiver import Mood
from chaos.suite import Suite, running

from gleaner_client import GleanerClient, document
from gleaner_core.states import Refinement, State
from gleaner_repo import Job, JobRepository
from gleaner_stack.processes import StackError
from support.history import Ended, Logged, violations
from support.jobs import TENANT
from support.processes import children
from support.requests import PDF, a_schema

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

PATIENCE = 40
_BREAK_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gleaner-bbox-worker'"
LEASE = 3.0


class Crashes:
    """The suite, and what the tests do to it."""

    def __init__(self, suite: Suite, client: GleanerClient) -> None:
        self.suite = suite
        self.client = client
        self.jobs = JobRepository(suite.database)

    async def submitted(self, name: str = "small.pdf", *, callback: bool = False) -> UUID:
        url = self.suite.receiver.url if callback else ""
        job = await self.client.submit([document(PDF, name=name)], a_schema(), callback_url=url)
        return UUID(job.name.removeprefix("jobs/"))

    async def job(self, job_id: UUID) -> Job:
        return (await self.jobs.get(TENANT, [job_id]))[job_id]

    async def types(self, job_id: UUID) -> list[str]:
        return [event.type for event in await self.jobs.events_of({job_id: 0})]

    async def until(self, so: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await so():
                await asyncio.sleep(0.01)

    async def reaches(self, job_id: UUID, event: str, times: int = 1) -> None:
        async def so() -> bool:
            return (await self.types(job_id)).count(event) >= times

        await self.until(so)

    async def ended(self, job_id: UUID) -> Job:
        """The job when it is over; its history has no faults."""

        async def so() -> bool:
            return (await self.job(job_id)).over

        await self.until(so)
        events = await self.jobs.events_of({job_id: 0})
        log = [Logged(str(e.job_id), e.seq, e.type, e.series, e.final, str(e.event_id)) for e in events]
        rows = await self.suite.database.fetch("SELECT * FROM outcomes WHERE job_id = $1", job_id)
        outcomes = [Ended(str(job_id), row["seq"], row["lease_token"]) for row in rows]
        assert violations([], log, outcomes=outcomes) == []
        return await self.job(job_id)

    async def holder(self, job_id: UUID) -> str:
        """The name of the service that holds the job, as soon as one does."""
        found = ""

        async def so() -> bool:
            nonlocal found
            row = await self.suite.database.fetchrow("SELECT holder FROM queue WHERE id = $1", job_id)
            found = self.suite.holders.get(str(row["holder"]), "") if row else ""
            return bool(found)

        await self.until(so)
        return found

    @contextmanager
    def slow_reading(self) -> Iterator[None]:
        """Documents are not read to their end within the block: the children that read them are stopped."""
        stopped: set[int] = set()
        for name, process in self.suite.stack.processes.items():
            with suppress(StackError):
                stopped |= children(process.pid) if name.startswith("worker") else set()
        _signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(stopped, signal.SIGCONT)

    @asynccontextmanager
    async def nothing_ends(self) -> AsyncIterator[None]:
        """Within the block no outcome can be written, and who tried is broken off; keep it short."""
        connection = await asyncpg.connect(
            self.suite.postgres.url, server_settings={"idle_in_transaction_session_timeout": "0"}
        )
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE outcomes IN SHARE MODE")
                yield
                # Else their statements, which wait in the server or on the way to it, would be made although their
                # senders are dead.
                self.suite.proxies["bbox-worker"].cut()

                async def none_is_left() -> bool:
                    # By another connection: within a transaction this view stays as it was.
                    return not await self.suite.database.fetch(_BREAK_OFF)

                await self.until(none_is_left)
                self.suite.proxies["bbox-worker"].mend()
        finally:
            await connection.close()


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crashes]:
    plan = Plan(lease=LEASE, workers=2, bbox_workers=1, reapers=1, out=tmp_path_factory.mktemp("crashes"))
    async with running(plan) as suite, GleanerClient(suite.stack.api_address, timeout=30) as client:
        yield Crashes(suite, client)


@pytest_asyncio.fixture(loop_scope="module")
async def crashes(everything: Crashes) -> Crashes:
    """All services serve, and a document went through them."""
    await everything.suite.stack.serving()
    await everything.ended(await everything.submitted())
    return everything


async def test_the_api_dies_between_commit_and_offer(crashes: Crashes) -> None:
    key = str(uuid4())
    found = "SELECT id FROM jobs WHERE request_key = $1"
    crashes.suite.proxies["api"].swallow_answers(asked=key.encode())
    call = asyncio.create_task(crashes.client.submit([document(PDF, name="a.pdf")], a_schema(), request_id=key))
    await crashes.until(lambda: crashes.suite.database.fetchrow(found, key))
    crashes.suite.stack.kill("api")
    crashes.suite.proxies["api"].mend()
    row = await crashes.suite.database.fetchrow(found, key)
    assert row is not None

    job = await crashes.ended(row["id"])

    assert job.state is State.SUCCEEDED
    submitted, started = (await crashes.jobs.events_of({job.id: 0}))[:2]
    assert (started.at - submitted.at).total_seconds() < 2.5, "nobody told them, and they look every 2 s"
    await crashes.suite.stack.serving()
    again = await crashes.client.submit([document(PDF, name="a.pdf")], a_schema(), request_id=key)
    assert again.name == f"jobs/{job.id}"
    with suppress(Exception):  # what the first caller was told depends on how soon the api was back
        assert (await call).name == again.name


async def test_a_worker_dies_while_it_works(crashes: Crashes) -> None:
    with crashes.slow_reading():
        job_id = await crashes.submitted()
        crashes.suite.stack.kill(await crashes.holder(job_id))
    job = await crashes.ended(job_id)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert (await crashes.types(job_id))[1:4] == ["job.started", "job.rescued", "job.started"]


async def test_all_workers_die_at_once(crashes: Crashes) -> None:
    with crashes.slow_reading():
        jobs = [await crashes.submitted() for _ in range(3)]
        for job_id in jobs:
            await crashes.holder(job_id)
        for name in ("worker-1", "worker-2"):
            crashes.suite.stack.kill(name)
    assert {(await crashes.ended(job_id)).state for job_id in jobs} == {State.SUCCEEDED}
    for job_id in jobs:
        assert "job.rescued" in await crashes.types(job_id)


async def test_a_bbox_worker_dies_while_it_works(crashes: Crashes) -> None:
    job_id = await _refining(crashes, lambda: crashes.suite.stack.kill("bbox-worker-1"))
    job = await crashes.ended(job_id)
    assert (job.state, job.refinement) == (State.SUCCEEDED, Refinement.SUCCEEDED)
    types = await crashes.types(job_id)
    assert types.count("job.refinement_rescued") == 1
    assert types.count("job.partial_succeeded") == 1, "the extraction was not done again"


async def test_a_worker_dies_after_it_put_a_job_back_for_another_attempt(crashes: Crashes) -> None:
    with crashes.slow_reading():
        job_id = await crashes.submitted()
        holder = await crashes.holder(job_id)

        async def put_back() -> bool:
            _signal(children(crashes.suite.stack.processes[holder].pid), signal.SIGKILL)  # which is a retryable error
            return "job.requeued" in await crashes.types(job_id)

        await crashes.until(put_back)
        crashes.suite.stack.kill(holder)
    job = await crashes.ended(job_id)
    assert job.state is State.SUCCEEDED
    row = await crashes.suite.database.fetchrow("SELECT attempt FROM outcomes WHERE job_id = $1 AND leg = 1", job_id)
    assert row and row["attempt"] == 2, "the error is counted, for it is in the row"


async def test_a_worker_dies_between_the_commit_of_the_values_and_the_offer(crashes: Crashes) -> None:
    name = f"{uuid4()}.pdf"  # the result bears it, so the statement that stores the result does
    crashes.suite.proxies["worker"].swallow_answers(asked=name.encode())
    job_id = await crashes.submitted(name)
    await crashes.reaches(job_id, "job.partial_succeeded")
    for worker in ("worker-1", "worker-2"):
        crashes.suite.stack.kill(worker)
    crashes.suite.proxies["worker"].mend()
    assert (await crashes.ended(job_id)).state is State.SUCCEEDED
    assert (await crashes.types(job_id)).count("job.started") == 1


async def test_a_claim_whose_answer_was_lost_is_handed_back(crashes: Crashes) -> None:
    job_id = await _claimed_unheard(crashes)
    job = await crashes.ended(job_id)
    assert (job.state, job.lapses) == (State.SUCCEEDED, 0)
    assert "job.handed_back" in await crashes.types(job_id)


async def test_a_claim_whose_answer_was_lost_and_whose_worker_died_is_rescued(crashes: Crashes) -> None:
    job_id = await _claimed_unheard(crashes, crashes.suite.stack.kill)
    assert (await crashes.ended(job_id)).state is State.SUCCEEDED
    assert "job.rescued" in await crashes.types(job_id)


async def test_a_sender_dies_while_a_webhook_is_under_way(crashes: Crashes) -> None:
    receiver = crashes.suite.receiver
    receiver.mood = Mood.SAYS_NOTHING
    job_id = await crashes.submitted(callback=True)

    async def heard() -> bool:
        return any(webhook.job == str(job_id) for webhook in receiver.received)

    async def all_delivered() -> bool:
        rows = await crashes.suite.database.fetch("SELECT state FROM deliveries WHERE job_id = $1", job_id)
        return {row["state"] for row in rows} == {"DELIVERED"}

    await crashes.until(heard)
    for name in ("worker-1", "worker-2"):
        crashes.suite.stack.kill(name)
    receiver.mood = Mood.TAKES
    await crashes.ended(job_id)
    await crashes.until(all_delivered)
    of_job = [webhook for webhook in receiver.received if webhook.job == str(job_id)]
    assert len(of_job) > len(set(of_job)) == 2, "partial_succeeded and succeeded, each with one id and one body"


@pytest.mark.timeout(180)
async def test_a_document_that_kills_its_workers_is_given_up(crashes: Crashes) -> None:
    with crashes.slow_reading():
        job_id = await crashes.submitted()
        for time in range(1, 4):
            await crashes.reaches(job_id, "job.started", time)
            crashes.suite.stack.kill(await crashes.holder(job_id))
    job = await crashes.ended(job_id)
    assert (job.state, job.lapses) == (State.FAILED, 3)
    assert job.error and job.error.reason == "WORKER_CRASHED"


@pytest.mark.timeout(180)
async def test_a_refinement_that_kills_its_workers_is_given_up_and_the_values_stay(crashes: Crashes) -> None:
    job_id = await _refining(crashes, lambda: crashes.suite.stack.kill("bbox-worker-1"), times=3)
    job = await crashes.ended(job_id)
    assert (job.state, job.refinement, job.lapses) == (State.PARTIAL_SUCCEEDED, Refinement.FAILED, 3)
    assert job.error and job.error.reason == "WORKER_CRASHED"
    assert await crashes.jobs.result(TENANT, job_id)


async def _refining(crashes: Crashes, then: Callable[[], object], times: int = 1) -> UUID:
    """A job whose refinement was under way, as often as that, when `then` was done."""
    bbox_worker = crashes.suite.stack.processes["bbox-worker-1"]
    job_id: UUID | None = None
    for time in range(1, times + 1):
        if job_id:
            await crashes.reaches(job_id, "job.refinement_rescued", time - 1)
        await crashes.suite.stack.serving()
        bbox_worker.signal(signal.SIGSTOP)  # until the lock is there
        if job_id is None:
            job_id = await crashes.submitted()
            await crashes.reaches(job_id, "job.partial_succeeded")
        async with crashes.nothing_ends():
            bbox_worker.signal(signal.SIGCONT)
            await crashes.reaches(job_id, "job.refinement_started", time)
            then()
    assert job_id
    return job_id


async def _claimed_unheard(crashes: Crashes, then: Callable[[str], object] = lambda holder: None) -> UUID:
    """A job that a worker claimed without hearing of it."""
    proxy = crashes.suite.proxies["worker"]
    name = f"{uuid4()}.pdf"  # what a claim gets to know of the job bears it
    proxy.swallow_answers(told=name.encode())
    job_id = await crashes.submitted(name)
    then(await crashes.holder(job_id))
    proxy.cut()
    proxy.mend()
    return job_id
