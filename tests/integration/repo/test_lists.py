"""Pages of jobs: by state, by what the refinement came to, by time and by key, each job once."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import Job, JobFilter, JobRepository
from support.jobs import RESULT, TENANT, a_job, refining, running, submitted

BAD = JobError("BAD_DOCUMENT", "it cannot be read", retryable=False)


def in_states(*states: State) -> JobFilter:
    return JobFilter(states=frozenset(states))


def ids(page: Iterable[Job]) -> list[UUID]:
    return [job.id for job in page]


async def failed(jobs: JobRepository) -> UUID:
    claimed = await running(jobs)
    assert await jobs.mark_failed(claimed.lease, BAD)
    return claimed.id


async def test_a_job_that_failed_in_two_series_is_listed_once(jobs: JobRepository) -> None:
    job_id = await failed(jobs)
    assert await jobs.retry(TENANT, job_id)
    [again] = await jobs.mark_running(1, timedelta(seconds=15), UUID(int=1))
    assert await jobs.mark_failed(again.lease, BAD)

    assert ids(await jobs.list_page(TENANT, in_states(State.FAILED))) == [job_id]


async def test_a_job_that_failed_and_waits_again_is_listed_as_waiting_alone(jobs: JobRepository) -> None:
    job_id = await failed(jobs)
    assert await jobs.retry(TENANT, job_id)

    assert ids(await jobs.list_page(TENANT, in_states(State.FAILED, State.CANCELLED))) == []
    assert ids(await jobs.list_page(TENANT, in_states(State.FAILED, State.QUEUED))) == [job_id]


async def test_results_without_boxes_are_listed_while_the_boxes_are_looked_for_and_if_none_were_found(
    jobs: JobRepository,
) -> None:
    refined, given_up = await refining(jobs), await refining(jobs)
    assert await jobs.mark_bbox_refined(refined.lease, RESULT)
    assert await jobs.mark_bbox_refine_failed(given_up.lease, BAD)
    extracted = await running(jobs)
    assert await jobs.mark_partial_succeeded(extracted.lease, RESULT, b"pages")

    partial = await jobs.list_page(TENANT, in_states(State.PARTIAL_SUCCEEDED))
    refinement_failed = await jobs.list_page(TENANT, JobFilter(refinements=frozenset({Refinement.FAILED})))
    assert ids(partial) == [extracted.id, given_up.id]
    assert ids(refinement_failed) == [given_up.id]


async def test_pages_of_several_states_are_newest_first_whatever_the_state(jobs: JobRepository) -> None:
    first, second = await failed(jobs), await failed(jobs)
    [cancelled, waiting] = await submitted(jobs, 2)
    assert await jobs.mark_cancelled(TENANT, cancelled)
    third = await failed_after(jobs, waiting)

    some = in_states(State.FAILED, State.CANCELLED, State.QUEUED)
    page = await jobs.list_page(TENANT, some, limit=2)
    rest = await jobs.list_page(TENANT, some, below=page[-1].id)
    assert ids(page) + ids(rest) == sorted([first, second, cancelled, third], reverse=True)


async def failed_after(jobs: JobRepository, waiting: UUID) -> UUID:
    [claimed] = await jobs.mark_running(1, timedelta(seconds=15), UUID(int=1))
    assert claimed.id == waiting
    assert await jobs.mark_failed(claimed.lease, BAD)
    return claimed.id


async def test_jobs_are_listed_by_when_they_were_stored_to_the_microsecond(jobs: JobRepository) -> None:
    stored = {job.id: job.created_at for job in [(await jobs.submit([a_job()]))[0] for _ in range(3)]}
    oldest, middle, newest = sorted(stored, key=stored.__getitem__)  # ids of one millisecond are in any order

    since = await jobs.list_page(TENANT, JobFilter(created_after=stored[middle]))
    before = await jobs.list_page(TENANT, JobFilter(created_before=stored[middle]))
    waiting = JobFilter(states=frozenset({State.QUEUED}), created_after=stored[newest])
    assert ids(since) == sorted([middle, newest], reverse=True)
    assert ids(before) == [oldest]
    assert ids(await jobs.list_page(TENANT, waiting)) == [newest]


async def test_any_moment_that_there_is_can_be_asked_for(jobs: JobRepository) -> None:
    [job_id] = await submitted(jobs)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    assert ids(await jobs.list_page(TENANT, JobFilter(created_after=first, created_before=last))) == [job_id]
    assert ids(await jobs.list_page(TENANT, JobFilter(created_after=last))) == []


async def test_a_key_finds_its_job_in_any_state_but_not_in_another_tenant(jobs: JobRepository) -> None:
    [mine] = await jobs.submit([a_job(request_key="mine")])
    await jobs.submit([a_job(request_key="mine", tenant_id="other")])

    keyed = JobFilter(request_key="mine")
    waiting = JobFilter(request_key="mine", states=frozenset({State.QUEUED}))
    over = JobFilter(request_key="mine", states=frozenset({State.FAILED}))
    assert ids(await jobs.list_page(TENANT, keyed)) == [mine.id]
    assert ids(await jobs.list_page(TENANT, waiting)) == [mine.id]
    assert ids(await jobs.list_page(TENANT, over)) == []
    assert ids(await jobs.list_page(TENANT, keyed, below=mine.id)) == []
