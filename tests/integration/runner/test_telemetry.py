"""What the loop counts, on a real database."""

import asyncio

from gleaner_core.errors import ChildDied, DocumentDamaged
from gleaner_repo import ClaimedJob, JobRepository
from gleaner_telemetry import metrics
from support.jobs import TENANT, a_job
from support.legs import Started, TestLeg
from support.measured import Measured

LONG = 20


async def test_runs_are_told_by_their_end_and_errors_by_their_reason(
    jobs: JobRepository, started: Started, measured: Measured
) -> None:
    async def work(job: ClaimedJob) -> bytes:
        if job.attempt == 1:
            raise ChildDied("it died")
        if job.id == damaged.id:
            raise DocumentDamaged("it is damaged")
        return b"done"

    [good] = await jobs.submit([a_job()])
    [damaged] = await jobs.submit([a_job()])
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        made = {await leg.made.get() for _ in range(4)}

    assert made == {
        (good.id, "requeue_for_retry"),
        (damaged.id, "requeue_for_retry"),
        (good.id, "mark_succeeded"),
        (damaged.id, "mark_failed"),
    }
    runs = {labels: count for labels, (count, _) in measured.of(metrics.RUN_DURATION).items()}
    assert runs == {
        ("extraction", "requeue_for_retry"): 2,
        ("extraction", "mark_succeeded"): 1,
        ("extraction", "mark_failed"): 1,
    }
    assert measured.of(metrics.RUN_ERRORS) == {
        ("extraction", "requeue_for_retry", "CHILD_DIED"): 2,
        ("extraction", "mark_failed", "DOCUMENT_DAMAGED"): 1,
    }
    assert measured.of(metrics.CLAIMS) == {("extraction",): 4}
    waits, seconds = measured.of(metrics.QUEUE_WAIT)["extraction",]
    assert waits == 4
    assert 0 < seconds < LONG


async def test_an_end_that_comes_too_late_is_counted(jobs: JobRepository, started: Started, measured: Measured) -> None:
    async def work(job: ClaimedJob) -> bytes:
        assert await jobs.mark_cancelled(TENANT, job.id, running=True)
        return b"too late"

    await jobs.submit([a_job()])
    leg = TestLeg(work)
    async with asyncio.timeout(LONG), started(leg):
        await leg.started.get()
        while not measured.of(metrics.LOST_RACES):
            await asyncio.sleep(0.02)

    assert measured.of(metrics.LOST_RACES) == {("extraction", "mark_succeeded"): 1}


async def test_what_alerts_look_at_begins_at_nought(started: Started, measured: Measured) -> None:
    async with started(TestLeg()):
        pass

    assert measured.of(metrics.RESCUES) == dict.fromkeys(
        [("rescue",), ("fail_crashed",), ("rescue_bbox_refine",), ("fail_crashed_bbox_refine",)], 0
    )
    assert measured.of(metrics.RENEWALS) == dict.fromkeys(
        [("extraction", "kept"), ("extraction", "lost"), ("extraction", "unknown")], 0
    )
