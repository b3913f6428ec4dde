"""Cancel against claim and against the end, many times: one winner, and row, log and webhooks agree about who.

GLEANER_TEST_RACES says how many of each; `make chaos` asks for 10,000.
"""

import os
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import JobError
from gleaner_core.states import State
from gleaner_repo import ClaimedJob, JobRepository, MovedJob
from support.history import Logged, violations
from support.jobs import LEASE, RESULT, TENANT, Events, a_job, race

RACES = int(os.environ.get("GLEANER_TEST_RACES", "300"))
AT_ONCE = 25
ERROR = JobError("DOCUMENT_DAMAGED", "no", retryable=False)
SUBMITTED, STARTED, CANCELLED = "job.submitted", "job.started", "job.cancelled"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def contested(
    jobs: JobRepository, *, running: bool
) -> tuple[list[UUID], dict[UUID, MovedJob], dict[UUID, ClaimedJob]]:
    """A few jobs, each with a cancel of its own and as many claims in no order; who cancelled, and who claimed what."""
    ids = [job.id for job in await jobs.submit([a_job(callback_url="https://example.org") for _ in range(AT_ONCE)])]
    contenders: list[Callable[[], Awaitable[MovedJob | list[ClaimedJob] | None]]] = [
        *(partial(jobs.mark_cancelled, TENANT, job_id, running=running) for job_id in ids),
        *[partial(jobs.mark_running, 1, LEASE, uuid4())] * AT_ONCE,
    ]
    random.shuffle(contenders)
    answers = await race(*contenders)
    cancelled = {answer.id: answer for answer in answers if isinstance(answer, MovedJob)}
    claimed = {job.id: job for answer in answers if isinstance(answer, list) for job in answer}
    return ids, cancelled, claimed


async def logged(jobs: JobRepository, ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """What the log says of the jobs, which must be a history without faults."""
    events = await jobs.events_of(dict.fromkeys(ids, 0))
    log = [Logged(str(e.job_id), e.seq, e.type, e.series, e.final, str(e.event_id)) for e in events]
    assert violations([], log) == []
    types: dict[UUID, list[str]] = {}
    for event in events:
        types.setdefault(event.job_id, []).append(event.type)
    return types


async def test_a_waiting_job_is_either_cancelled_or_claimed(jobs: JobRepository, events: Events) -> None:
    won = {"cancel": 0, "claim": 0}
    told: set[UUID] = set()
    for _ in range(RACES // AT_ONCE):
        ids, cancelled, claimed = await contested(jobs, running=False)
        for job_id, types in (await logged(jobs, ids)).items():
            assert not (job_id in cancelled and job_id in claimed)
            expected = [CANCELLED] if job_id in cancelled else [STARTED] if job_id in claimed else []
            assert types == [SUBMITTED, *expected]
        won["cancel"] += len(cancelled)
        won["claim"] += len(claimed)
        told |= cancelled.keys()
        # A claim that came while a cancel had the row locked went away with nothing: the row waits for the next one.
        left = await jobs.mark_running(AT_ONCE, LEASE, uuid4())
        for job in [*claimed.values(), *left]:
            assert await jobs.mark_cancelled(TENANT, job.id) is None, "it runs, and that was not allowed for"
            assert await jobs.mark_failed(job.lease, ERROR)
            told.add(job.id)
    assert all(won.values()), f"no race at all: {won}"
    assert {job_id for job_id, _ in await events.deliveries()} == told
    assert len(await events.deliveries()) == len(told), "each told once"


async def test_a_cancel_that_may_stop_running_jobs_misses_none(jobs: JobRepository, events: Events) -> None:
    fenced = 0
    for _ in range(RACES // AT_ONCE):
        ids, cancelled, claimed = await contested(jobs, running=True)
        assert cancelled.keys() == set(ids)
        for job_id, types in (await logged(jobs, ids)).items():
            assert types == [SUBMITTED, *([STARTED] if job_id in claimed else []), CANCELLED]
        for job in claimed.values():
            assert await jobs.mark_succeeded(job.lease, RESULT) is None
        fenced += len(claimed)
    assert fenced, "no race at all"
    assert len(await events.deliveries()) == RACES // AT_ONCE * AT_ONCE


async def test_a_running_job_is_either_cancelled_or_ends(jobs: JobRepository, events: Events) -> None:
    won = {State.CANCELLED: 0, State.SUCCEEDED: 0}
    for _ in range(RACES // AT_ONCE):
        await jobs.submit([a_job(callback_url="https://example.org") for _ in range(AT_ONCE)])
        claimed = await jobs.mark_running(AT_ONCE, LEASE, uuid4())
        contenders = [
            contender
            for job in claimed
            for contender in (
                partial(jobs.mark_cancelled, TENANT, job.id, running=True),
                partial(jobs.mark_succeeded, job.lease, RESULT),
            )
        ]
        random.shuffle(contenders)
        answers: list[MovedJob] = [answer for answer in await race(*contenders) if answer is not None]
        assert {answer.id for answer in answers} == {job.id for job in claimed}
        assert len(answers) == len(claimed), "one winner each"
        found = await jobs.get(TENANT, [job.id for job in claimed])
        for answer in answers:
            assert found[answer.id].state is answer.state
            won[answer.state] += 1
        await logged(jobs, found)
    assert all(won.values()), f"no race at all: {won}"
    assert len(await events.deliveries()) == RACES // AT_ONCE * AT_ONCE
