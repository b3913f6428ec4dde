"""One sweep: the safety net under what the workers mend themselves.

It has no past by which to know whether the database was away for long, so it takes a lease back only if it saw it
lapsed twice, a whole lease apart, with token and expiry unchanged: every holder that lives has renewed in between.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from gleaner_reaper.swept import Swept
from gleaner_repo import JobRepository, StaleLease
from gleaner_rpc import Offers


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on a row is an orphan, and how long it then waits, as after an error."""

    lease: timedelta
    base_delay: timedelta
    longest_delay: timedelta
    queued: timedelta
    partial_succeeded: timedelta
    batch: int


async def sweep(jobs: JobRepository, workers: Offers, refiners: Offers, thresholds: Thresholds) -> AsyncIterator[Swept]:
    """Mends what it finds and tells, class by class. Safe to run at any time, by any number at once, and never.

    Raises Unavailable if the database does not answer; what was mended until then stays mended.
    """
    running = await jobs.find_stale_running(thresholds.batch)
    refining = await jobs.find_stale_refining(thresholds.batch)
    queued = await jobs.find_stale_queued(thresholds.queued, thresholds.batch)
    pending = await jobs.find_pending_refinement(thresholds.partial_succeeded, thresholds.batch)

    # An offer to nobody is no error: whoever starts next looks for himself.
    left = await workers.send(len(queued))
    yield Swept("stale_queued", len(queued), offered=len(queued) - left)
    left = await refiners.send(len(pending))
    yield Swept("pending_refinement", len(pending), offered=len(pending) - left)

    made = await _rescue(jobs, [*running, *refining], thresholds)
    yield Swept("stale_running", len(running), rescued=made["rescue"], failed=made["fail_crashed"])
    yield Swept(
        "stale_refining",
        len(refining),
        rescued=made["rescue_bbox_refine"],
        failed=made["fail_crashed_bbox_refine"],
    )
    if made["rescue"]:
        await workers.send(made["rescue"])
    if made["rescue_bbox_refine"]:
        await refiners.send(made["rescue_bbox_refine"])


async def _rescue(jobs: JobRepository, lapsed: list[StaleLease], thresholds: Thresholds) -> dict[str, int]:
    if lapsed:
        await asyncio.sleep(thresholds.lease.total_seconds())
    made = await jobs.rescue(
        limit=thresholds.batch, base=thresholds.base_delay, cap=thresholds.longest_delay, seen=lapsed
    )
    return {move: len(moved) for move, moved in made.items()}
