"""Each move does what its row in the table says, and nothing to a job that stands elsewhere."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import Bodies, Database, Doubt, Finished, JobRepository
from gleaner_repo.jobs import FREE_HAND_BACKS, MAX_LAPSES
from gleaner_repo.moves import MOVES
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, Events, a_job, refining, running, submitted

ERROR = JobError("DOCUMENT_DAMAGED", "page 3 cannot be read")
SOON = timedelta(0)


async def test_a_claim_counts_the_attempt_raises_the_token_and_grants_a_lease(jobs: JobRepository) -> None:
    [job_id] = await submitted(jobs)
    holder = uuid4()
    [claimed] = await jobs.mark_running(5, LEASE, holder)
    assert (claimed.id, claimed.attempt, claimed.lease.token, claimed.seq) == (job_id, 1, 1, 2)
    assert claimed.request == b"request"
    assert 14 < claimed.lease.left <= 15
    assert {lease.job_id for lease in await jobs.held_by(holder, 1)} == {job_id}
    assert (await jobs.get(TENANT, [job_id]))[job_id].state is State.RUNNING


async def test_a_claim_takes_the_oldest_first_and_no_more_than_asked(jobs: JobRepository) -> None:
    ids = await submitted(jobs, 1) + await submitted(jobs, 1) + await submitted(jobs, 1)
    first = await jobs.mark_running(2, LEASE, uuid4())
    assert [claimed.id for claimed in first] == ids[:2]
    assert [claimed.id for claimed in await jobs.mark_running(2, LEASE, uuid4())] == ids[2:]


async def test_a_fresh_lease_is_not_claimed(jobs: JobRepository) -> None:
    await running(jobs)
    assert await jobs.mark_running(5, LEASE, uuid4()) == []
    assert not any((await jobs.rescue()).values())


async def test_success_ends_the_job_with_its_result(jobs: JobRepository, events: Events) -> None:
    claimed = await running(jobs)
    assert await jobs.mark_succeeded(claimed.lease, RESULT)
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.refinement, job.over) == (State.SUCCEEDED, None, True)
    assert await jobs.result(TENANT, claimed.id) == RESULT
    assert await events.types(claimed.id) == ["job.submitted", "job.started", "job.succeeded"]


async def test_the_values_can_be_read_while_their_boxes_are_looked_for(jobs: JobRepository, events: Events) -> None:
    claimed = await running(jobs)
    await jobs.mark_partial_succeeded(claimed.lease, RESULT, b"pages")
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.refinement, job.over) == (State.PARTIAL_SUCCEEDED, Refinement.PENDING, False)
    assert await jobs.result(TENANT, claimed.id) == RESULT

    [refining] = await jobs.mark_bbox_refining(1, LEASE, uuid4())
    assert await jobs.bodies(refining) == Bodies(b"request", RESULT, b"pages")
    assert (refining.attempt, refining.lease.token) == (1, 2), "attempts begin anew, the token does not"
    assert (await jobs.get(TENANT, [claimed.id]))[claimed.id].refinement is Refinement.RUNNING

    await jobs.mark_bbox_refined(refining.lease, b"with boxes")
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.refinement, job.over) == (State.SUCCEEDED, Refinement.SUCCEEDED, True)
    assert await jobs.result(TENANT, claimed.id) == b"with boxes"
    assert [event.final for event in await jobs.events_of({claimed.id: 0})] == [False] * 4 + [True]
    await events.check([claimed.id])


async def test_a_failed_refinement_leaves_the_extractions_result(jobs: JobRepository) -> None:
    claimed = await refining(jobs)
    await jobs.mark_bbox_refine_failed(claimed.lease, ERROR)
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.refinement, job.error, job.over) == (
        State.PARTIAL_SUCCEEDED,
        Refinement.FAILED,
        ERROR,
        True,
    )
    assert await jobs.result(TENANT, claimed.id) == RESULT


async def test_a_retry_waits_in_the_row_with_its_error(jobs: JobRepository) -> None:
    claimed = await running(jobs)
    error = JobError("MODEL_THROTTLED", "the provider asks for patience", retryable=True)
    await jobs.requeue_for_retry(claimed.lease, error, timedelta(minutes=5))
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.attempt, job.error) == (State.QUEUED, 1, error)
    assert job.available_at and job.started_at and job.available_at - job.started_at > timedelta(minutes=4)
    assert await jobs.mark_running(1, LEASE, uuid4()) == [], "it is not due yet"


async def test_handing_back_costs_no_attempt_until_it_was_done_too_often(jobs: JobRepository, events: Events) -> None:
    [job_id] = await submitted(jobs)
    handed_back = 0
    while True:
        [claimed] = await jobs.mark_running(1, LEASE, uuid4()) or await jobs.mark_suspect_running(LEASE, uuid4())
        assert claimed.attempt == 1
        if not (moved := await jobs.hand_back(claimed.lease)):
            break
        handed_back += 1
    assert handed_back == FREE_HAND_BACKS + MAX_LAPSES - 1, "each further one counts as a lapse"
    assert moved is None
    await jobs.renew([claimed.lease], NO_LEASE)
    assert (await jobs.rescue())["fail_crashed"], "the lease runs out, and that ends it"
    await events.check([job_id])


async def test_a_lapsed_lease_goes_back_at_once_then_with_back_off_then_ends_the_job(
    jobs: JobRepository, events: Events
) -> None:
    claimed = await running(jobs, lease=NO_LEASE)
    [first] = (await jobs.rescue())["rescue"]
    assert (first.attempt, first.lapses) == (0, 1)
    [again] = await jobs.mark_running(1, NO_LEASE, uuid4())
    [second] = (await jobs.rescue(base=timedelta(hours=1), cap=timedelta(hours=1)))["rescue"]
    assert second.lapses == 2
    assert await jobs.suspects_due(1) == 0, "it waits"
    await _make_due(jobs, claimed.id)
    assert await jobs.mark_running(1, LEASE, uuid4()) == [], "a suspect is not claimed with others"
    assert await jobs.suspects_due(1) == 1, "nobody is at work"
    others = await submitted(jobs, 3)
    for _ in others:
        await jobs.mark_running(1, LEASE, uuid4())
    assert await jobs.suspects_due(1) == 3
    [suspect] = await jobs.mark_suspect_running(NO_LEASE, uuid4())
    assert suspect.lease.token == again.lease.token + 1
    [ended] = (await jobs.rescue())["fail_crashed"]
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert ended.state is State.FAILED
    assert job.error and job.error.reason == "WORKER_CRASHED"
    assert job.lapses == MAX_LAPSES
    await events.check([claimed.id])


async def test_a_lapsed_refinement_ends_without_costing_the_result(jobs: JobRepository) -> None:
    lapsing = JobRepository(jobs._database, max_lapses=1)
    claimed = await refining(jobs, lease=NO_LEASE)
    [ended] = (await lapsing.rescue())["fail_crashed_bbox_refine"]
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (ended.state, job.refinement) == (State.PARTIAL_SUCCEEDED, Refinement.FAILED)
    assert await jobs.result(TENANT, claimed.id) == RESULT


async def test_the_reaper_takes_only_leases_that_did_not_change_since_it_saw_them(jobs: JobRepository) -> None:
    dead, alive = await running(jobs, lease=NO_LEASE), await running(jobs, lease=NO_LEASE)
    seen = await jobs.find_stale_running()
    assert {stale.job_id for stale in seen} == {dead.id, alive.id}
    await jobs.renew([alive.lease], NO_LEASE)
    assert [job.id for job in (await jobs.rescue(seen=seen))["rescue"]] == [dead.id]
    assert not any((await jobs.rescue(seen=[])).values()), "nothing seen, nothing taken"


@pytest.mark.parametrize("allow_running", [False, True])
async def test_cancel_ends_a_waiting_job_with_its_reason(
    jobs: JobRepository, events: Events, allow_running: bool
) -> None:
    [job_id] = await submitted(jobs)
    assert await jobs.mark_cancelled(TENANT, job_id, running=allow_running, reason="superseded")
    job = (await jobs.get(TENANT, [job_id]))[job_id]
    assert (job.state, job.reason) == (State.CANCELLED, "superseded")
    assert [event.reason for event in await jobs.events_of({job_id: 1})] == ["superseded"]
    await events.check([job_id])


async def test_cancel_leaves_a_running_job_alone_unless_it_is_told_to(jobs: JobRepository) -> None:
    claimed = await running(jobs)
    assert await jobs.mark_cancelled(TENANT, claimed.id) is None
    assert await jobs.mark_cancelled(TENANT, claimed.id, running=True)
    assert await jobs.mark_succeeded(claimed.lease, RESULT) is None, "the holder is fenced out"
    assert (await jobs.renew([claimed.lease], LEASE)).lost == {claimed.lease}


async def test_cancelling_a_refinement_keeps_the_result(jobs: JobRepository, events: Events) -> None:
    claimed = await refining(jobs)
    assert await jobs.mark_cancelled(TENANT, claimed.id) is None
    assert await jobs.mark_cancelled(TENANT, claimed.id, running=True, reason="enough")
    job = (await jobs.get(TENANT, [claimed.id]))[claimed.id]
    assert (job.state, job.refinement, job.reason) == (State.PARTIAL_SUCCEEDED, Refinement.CANCELLED, "enough")
    assert await jobs.result(TENANT, claimed.id) == RESULT
    await events.check([claimed.id])


async def test_no_tenant_touches_or_sees_anothers_job(jobs: JobRepository) -> None:
    [job_id] = await submitted(jobs)
    assert await jobs.mark_cancelled("other", job_id, running=True) is None
    assert await jobs.get("other", [job_id]) == {}
    assert await jobs.retry("other", job_id) is None
    assert await jobs.result("other", job_id) is None


@pytest.mark.parametrize("refinement", [False, True])
async def test_a_retry_by_hand_starts_the_next_series_and_keeps_token_and_seq(
    jobs: JobRepository, events: Events, refinement: bool
) -> None:
    claimed = await (refining if refinement else running)(jobs)
    fail = jobs.mark_bbox_refine_failed if refinement else jobs.mark_failed
    failed = await fail(claimed.lease, ERROR)
    assert failed
    again = await jobs.retry(TENANT, claimed.id)
    assert again
    assert (again.series, again.seq, again.lease_token) == (2, failed.seq + 1, claimed.lease.token)
    assert (again.attempt, again.lapses, again.hand_backs) == (0, 0, 0)
    claim = jobs.mark_bbox_refining if refinement else jobs.mark_running
    [reclaimed] = await claim(1, LEASE, uuid4())
    assert reclaimed.lease.token == claimed.lease.token + 1
    assert await fail(claimed.lease, ERROR) is None, "a holder of the series before is fenced out"
    await events.check([claimed.id])


async def test_what_is_alive_or_succeeded_is_not_retried(jobs: JobRepository) -> None:
    claimed = await running(jobs)
    assert await jobs.retry(TENANT, claimed.id) is None
    await jobs.mark_succeeded(claimed.lease, RESULT)
    assert await jobs.retry(TENANT, claimed.id) is None


async def test_the_callback_url_is_owed_partial_success_and_each_final_event(
    jobs: JobRepository, events: Events
) -> None:
    [job] = await jobs.submit([a_job(callback_url="https://example.org/hook")])
    [claimed] = await jobs.mark_running(1, LEASE, uuid4())
    await jobs.mark_partial_succeeded(claimed.lease, RESULT, b"")
    [refining] = await jobs.mark_bbox_refining(1, LEASE, uuid4())
    await jobs.mark_bbox_refine_failed(refining.lease, ERROR)
    assert await events.deliveries() == [(job.id, 3), (job.id, 5)]


async def test_an_endpoint_is_owed_what_it_subscribed_to(
    jobs: JobRepository, database: Database, events: Events
) -> None:
    for tenant_id in (TENANT, "other"):
        await database.execute(
            "INSERT INTO endpoints (id, tenant_id, url, secrets, event_types)"
            " VALUES ($1, $2, 'https://example.org', '{}', '{1,7}')",
            uuid4(),
            tenant_id,
        )
    claimed = await running(jobs)
    await jobs.mark_succeeded(claimed.lease, RESULT)
    assert await events.deliveries() == [(claimed.id, 1), (claimed.id, 3)]


HOLDERS_MOVES = [
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


@pytest.mark.parametrize("move", HOLDERS_MOVES)
async def test_a_zombie_cannot_make_any_move(jobs: JobRepository, events: Events, move: str) -> None:
    start: Callable[..., Awaitable[object]] = running if MOVES[move].leg == 1 else refining
    zombie = await start(jobs, lease=NO_LEASE)
    await jobs.rescue()
    claim = jobs.mark_running if MOVES[move].leg == 1 else jobs.mark_bbox_refining
    [owner] = await claim(1, LEASE, uuid4())
    how = Finished(RESULT, b"pages", ERROR)
    before = await events.types(owner.id)
    assert await jobs.finish(move, zombie.lease, how) is None  # type: ignore[attr-defined]
    assert await events.types(owner.id) == before
    assert await jobs.finish(move, owner.lease, how) is not None
    await events.check([owner.id])


@pytest.mark.parametrize("move", HOLDERS_MOVES)
async def test_a_move_whose_answer_was_lost_is_found_to_be_made(jobs: JobRepository, move: str) -> None:
    claimed = await (running if MOVES[move].leg == 1 else refining)(jobs)
    assert await jobs.doubt(move, claimed.lease) is Doubt.OPEN
    assert await jobs.finish(move, claimed.lease, Finished(RESULT, b"", ERROR))
    assert await jobs.finish(move, claimed.lease, Finished(RESULT, b"", ERROR)) is None
    assert await jobs.doubt(move, claimed.lease) is Doubt.MADE


async def test_a_move_that_somebody_else_prevented_is_found_to_be_lost(jobs: JobRepository) -> None:
    claimed = await running(jobs)
    await jobs.mark_cancelled(TENANT, claimed.id, running=True)
    assert await jobs.doubt("mark_succeeded", claimed.lease) is Doubt.LOST
    other = await running(jobs, lease=NO_LEASE)
    await jobs.rescue()
    await jobs.mark_running(1, LEASE, uuid4())
    assert await jobs.doubt("mark_succeeded", other.lease) is Doubt.LOST


async def test_a_batch_ends_what_is_held_and_leaves_out_what_is_lost(jobs: JobRepository) -> None:
    kept, lost = await running(jobs), await running(jobs)
    await jobs.mark_cancelled(TENANT, lost.id, running=True)
    made = await jobs.finish_many(
        "mark_succeeded", [(kept.lease, Finished(b"a")), (lost.lease, Finished(b"b")), (kept.lease, Finished(b"a"))]
    )
    assert set(made) == {kept.lease}


async def test_a_batch_with_the_zombies_and_the_owners_end_of_one_job_makes_one_move(
    jobs: JobRepository, events: Events
) -> None:
    zombie = await running(jobs, lease=NO_LEASE)
    await jobs.rescue()
    [owner] = await jobs.mark_running(1, LEASE, uuid4())
    ends = [(zombie.lease, Finished(b"late")), (owner.lease, Finished(b"real")), (owner.lease, Finished(b"real"))]
    assert set(await jobs.finish_many("mark_succeeded", ends)) == {owner.lease}
    assert await jobs.result(TENANT, owner.id) == b"real"
    await events.check([owner.id])


async def test_each_event_has_a_uuid7_of_its_own_however_many_a_millisecond(jobs: JobRepository) -> None:
    await submitted(jobs, 100)
    claimed = await jobs.mark_running(100, LEASE, uuid4())
    await jobs.finish_many("requeue_for_retry", [(job.lease, Finished(error=ERROR, delay=SOON)) for job in claimed])
    again = await jobs.mark_running(100, LEASE, uuid4())
    await jobs.finish_many("mark_succeeded", [(job.lease, Finished(RESULT)) for job in again])

    ids = [row["event_id"] for row in await jobs._database.fetch("SELECT event_id FROM events")]
    assert len(set(ids)) == 100 * len(("submitted", "started", "requeued", "started", "succeeded"))
    assert {event_id.version for event_id in ids} == {7}


async def _make_due(jobs: JobRepository, job_id: UUID) -> None:
    await jobs._database.execute("UPDATE queue SET available_at = now() WHERE id = $1", job_id)
