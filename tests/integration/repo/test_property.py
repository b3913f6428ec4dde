"""Random interleavings of all moves by many actors, against a model that knows the legal ones, and against a checker
that knows what every history must look like."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import Database, DatabaseSettings, Finished, JobRepository, Lease, open_database
from gleaner_repo.jobs import FREE_HAND_BACKS, MAX_LAPSES
from gleaner_repo.moves import MOVES, SUSPECT_LAPSES
from support.history import CLAIMS, RENEW, SUBMIT, History, Logged, violations
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, a_job

T = TypeVar("T")
ERROR = JobError("WORK_TIMEOUT", "took too long", retryable=True)
AT_ONCE = timedelta(0)
HOLDERS = [
    "mark_succeeded",
    "mark_partial_succeeded",
    "mark_failed",
    "requeue_for_retry",
    "hand_back",
    "mark_bbox_refined",
    "mark_bbox_refine_failed",
    "requeue_bbox_refine",
    "hand_back_bbox_refine",
]

CANCELS = {
    False: ("mark_cancelled", "cancel_bbox_refine"),
    True: ("cancel_even_running", "cancel_bbox_refine_even_running"),
}


@dataclass
class Model:
    """A job as it should be."""

    state: State = State.QUEUED
    refinement: Refinement | None = None
    over: bool = False
    leg: int = 1
    series: int = 1
    seq: int = 1
    attempt: int = 0
    lapses: int = 0
    hand_backs: int = 0
    token: int = 0
    lapsed: bool = False
    events: list[str] = field(default_factory=lambda: ["job.submitted"])

    @property
    def leased(self) -> bool:
        return not self.over and self.state in (State.RUNNING, State.REFINING_BBOXES)

    @property
    def suspect(self) -> bool:
        return self.lapses >= SUSPECT_LAPSES

    def make(self, name: str) -> None:
        """The move, without any guard: what it writes."""
        move = MOVES[name]
        self.seq += 1
        self.events.append(move.event)
        self.state, self.over = move.to_state, move.ends
        self.refinement = {State.PARTIAL_SUCCEEDED: Refinement.PENDING, State.REFINING_BBOXES: Refinement.RUNNING}.get(
            move.to_state
        )
        if move.ends:
            self.refinement = move.refinement

    def legal(self, name: str) -> bool:
        """Whether the job stands where the move begins."""
        move = MOVES[name]
        return not self.over and self.leg == move.leg and self.state in move.from_states


class Moves(RuleBasedStateMachine):
    """Every rule makes one call and says beforehand what it must answer."""

    jobs_made = Bundle("jobs")
    leases = Bundle("leases")
    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.repository = JobRepository(self.database)
        self.models: dict[UUID, Model] = {}
        self.order: list[UUID] = []
        self._do(self.database.execute("TRUNCATE jobs, queue, outcomes, events, deliveries CASCADE"))

    def _do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    @rule(target=jobs_made)
    def submit(self) -> UUID:
        [job] = self._do(self.repository.submit([a_job()]))
        self.models[job.id] = Model()
        return job.id

    @rule(target=leases, move=st.sampled_from(CLAIMS), limit=st.integers(1, 3), lapsing=st.booleans())
    def claim(self, move: str, limit: int, lapsing: bool) -> object:
        claimed = self._do(self.repository.claim(move, limit, NO_LEASE if lapsing else LEASE, uuid4()))
        due = {
            job_id
            for job_id, model in self.models.items()
            if model.legal(move) and model.suspect == ("suspect" in move)
        }
        assert {job.id for job in claimed} <= due
        assert len(claimed) == min(limit, len(due))
        for job in claimed:
            model = self.models[job.id]
            model.make(move)
            model.token += 1
            model.attempt += 1
            model.lapsed = lapsing
            assert (job.lease.token, job.attempt, job.lapses) == (model.token, model.attempt, model.lapses)
        return multiple(*(job.lease for job in claimed))

    @rule(lease=leases, move=st.sampled_from(HOLDERS))
    def finish(self, lease: Lease, move: str) -> None:
        model = self.models[lease.job_id]
        patient = "hand_back" not in move or model.hand_backs < FREE_HAND_BACKS or model.lapses + 1 < MAX_LAPSES
        mine = model.legal(move) and model.token == lease.token and patient
        answer = self._do(self.repository.finish(move, lease, Finished(RESULT, b"pages", ERROR)))
        assert (answer is not None) == mine
        if not mine:
            return
        model.make(move)
        if "hand_back" in move:
            model.attempt -= 1
            model.lapses += model.hand_backs >= FREE_HAND_BACKS
            model.hand_backs += 1
        if move == "mark_partial_succeeded":
            model.leg, model.attempt, model.lapses, model.hand_backs = 2, 0, 0, 0

    @rule(lease=leases, lapsing=st.booleans())
    def renew(self, lease: Lease, lapsing: bool) -> None:
        model = self.models[lease.job_id]
        mine = model.leased and model.token == lease.token
        renewal = self._do(self.repository.renew([lease], NO_LEASE if lapsing else LEASE))
        assert (renewal.kept, renewal.lost) == (
            (frozenset({lease}), frozenset()) if mine else (frozenset(), frozenset({lease}))
        )
        if mine:
            model.lapsed = lapsing

    @rule()
    def rescue(self) -> None:
        made = self._do(self.repository.rescue(base=AT_ONCE, cap=AT_ONCE))
        for name, moved in made.items():
            expected = {
                job_id
                for job_id, model in self.models.items()
                if model.legal(name) and model.lapsed and (model.lapses + 1 >= MAX_LAPSES) == MOVES[name].ends
            }
            assert {job.id for job in moved} == expected
            for job_id in expected:
                model = self.models[job_id]
                model.make(name)
                model.lapses += 1
                model.attempt -= not MOVES[name].ends

    @rule(job=jobs_made, running=st.booleans())
    def cancel(self, job: UUID, running: bool) -> None:
        model = self.models[job]
        pair = (
            ("cancel_even_running", "cancel_bbox_refine_even_running")
            if running
            else ("mark_cancelled", "cancel_bbox_refine")
        )
        move = next((name for name in pair if model.legal(name)), None)
        answer = self._do(self.repository.mark_cancelled(TENANT, job, running=running))
        assert (answer is not None) == (move is not None)
        if move:
            model.make(move)

    @rule(job=jobs_made)
    def retry(self, job: UUID) -> None:
        model = self.models[job]
        move = None
        if model.over and model.state in (State.FAILED, State.CANCELLED):
            move = "retry_job"
        elif model.over and model.refinement in (Refinement.FAILED, Refinement.CANCELLED):
            move = "retry_bbox_refine"
        answer = self._do(self.repository.retry(TENANT, job))
        assert (answer is not None) == (move is not None)
        if move:
            model.make(move)
            model.series += 1
            model.leg = MOVES[move].leg
            model.attempt = model.lapses = model.hand_backs = 0

    @rule(lease=consumes(leases))
    def forget(self, lease: Lease) -> None:
        """A worker dies: nobody carries its lease any more."""

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        jobs = self._do(self.repository.get(TENANT, self.models))
        for job_id, model in self.models.items():
            job = jobs[job_id]
            assert (job.state, job.refinement, job.over, job.seq, job.series, job.attempt, job.lapses) == (
                model.state,
                model.refinement,
                model.over,
                model.seq,
                model.series,
                model.attempt,
                model.lapses,
            )

    def teardown(self) -> None:
        events = self._do(self.repository.events_of(dict.fromkeys(self.models, 0)))
        for job_id, model in self.models.items():
            assert [event.type for event in events if event.job_id == job_id] == model.events
        log = [
            Logged(str(event.job_id), event.seq, event.type, event.series, event.final, str(event.event_id))
            for event in events
        ]
        assert violations([], log) == []


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


@pytest.mark.timeout(300)
def test_random_interleavings_do_what_the_model_says(database_url: str, runner: asyncio.Runner) -> None:
    opened = open_database(DatabaseSettings(database_url=database_url, database_pool_size=2))
    Moves.runner, Moves.database = runner, runner.run(opened.__aenter__())
    try:
        run_state_machine_as_test(
            Moves,
            settings=settings(
                max_examples=40,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        runner.run(opened.__aexit__(None, None, None))


ACTORS, STEPS, JOBS = 12, 60, 10


@pytest.mark.parametrize("seed", range(3))
async def test_what_many_actors_do_at_once_makes_a_history_without_faults(
    jobs: JobRepository, database: Database, seed: int
) -> None:
    history = History()
    ids: list[UUID] = []
    leases: list[Lease] = []

    async def submit(actor: str) -> None:
        new = a_job()
        with history.call(actor, SUBMIT, str(new.id)) as call:
            [made] = await jobs.submit([new])
            call.made = made.created
        ids.append(new.id)

    async def claim(actor: str) -> None:
        move = chance.choice(CLAIMS)
        began = history.call(actor, move, "")
        with began as call:
            claimed = await jobs.claim(move, 1, chance.choice((NO_LEASE, LEASE)), uuid4())
            if claimed:
                call.job, call.token, call.made = str(claimed[0].id), claimed[0].lease.token, True
                leases.append(claimed[0].lease)

    async def finish(actor: str) -> None:
        if leases:
            lease, move = chance.choice(leases), chance.choice(HOLDERS)
            with history.call(actor, move, str(lease.job_id), lease.token) as call:
                call.made = await jobs.finish(move, lease, Finished(RESULT, b"", ERROR)) is not None

    async def renew(actor: str) -> None:
        if leases:
            lease = chance.choice(leases)
            with history.call(actor, RENEW, str(lease.job_id), lease.token) as call:
                call.made = lease in (await jobs.renew([lease], LEASE)).kept

    async def rescue(actor: str) -> None:
        await jobs.rescue(base=AT_ONCE, cap=AT_ONCE)

    async def cancel(actor: str) -> None:
        if ids:
            await jobs.mark_cancelled(TENANT, chance.choice(ids), running=chance.random() < 0.5)

    async def retry(actor: str) -> None:
        if ids:
            await jobs.retry(TENANT, chance.choice(ids))

    chance = random.Random(seed)
    weighted: list[Callable[[str], Awaitable[None]]] = [
        *[submit] * 2, *[claim] * 6, *[finish] * 6, *[renew] * 2, *[rescue] * 2, cancel, retry,
    ]  # fmt: skip

    async def act(actor: str) -> None:
        for _ in range(STEPS):
            await chance.choice(weighted)(actor)

    await asyncio.gather(*(act(f"actor-{number}") for number in range(ACTORS)))
    events = await jobs.events_of(dict.fromkeys(ids, 0))
    log = [Logged(str(e.job_id), e.seq, e.type, e.series, e.final, str(e.event_id)) for e in events]
    assert violations(history.calls, log) == []
    states = await jobs.get(TENANT, ids)
    last = {event.job_id: event for event in events}
    for job_id in ids:
        assert (states[job_id].state, states[job_id].over) == (last[job_id].state, last[job_id].final)
