"""The reaper as the real process that a CronJob starts: every class of orphans is found, and mended once."""

import asyncio
import json
import os
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import DatabaseSettings, JobRepository, Lease, open_database
from gleaner_stack.supervisor import SCRIPTS
from support.jobs import LEASE, NO_LEASE, TENANT, Events, refining, running, submitted

AT_ONCE = timedelta(0)
ERROR = JobError("WORK_TIMEOUT", "took too long", retryable=True)


async def swept(database_url: str, lease_s: float = 0.5) -> Counter[str]:
    """What one run of the command counted, by class and count."""
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / "gleaner-reaper",
        env=os.environ
        | {
            "GLEANER_DATABASE_URL": database_url,
            "GLEANER_JOB_RUN_LEASE_S": str(lease_s),
            "GLEANER_BBOX_REFINE_LEASE_S": str(lease_s),
            "GLEANER_QUEUED_ORPHAN_THRESHOLD_S": "0",
            "GLEANER_PARTIAL_SUCCEEDED_ORPHAN_THRESHOLD_S": "0",
            "GLEANER_WORKER_ADDRESSES": "",
            "GLEANER_BBOX_WORKER_ADDRESSES": "",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    assert process.returncode == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in answer.splitlines()]
    return Counter(
        {
            f"{line['orphans']} {what}": line[what]
            for line in lines
            for what in ("found", "rescued", "failed", "offered")
        }
    )


async def worn_out(jobs: JobRepository) -> UUID:
    """A job whose last lease has run out."""
    claimed = await running(jobs, lease=NO_LEASE)
    for claim in ("mark_running", "mark_suspect_running"):
        await jobs.rescue(base=AT_ONCE, cap=AT_ONCE)
        assert await jobs.claim(claim, 1, NO_LEASE, uuid4())
    return claimed.id


async def renewed_again_and_again(jobs: JobRepository, lease: Lease) -> None:
    """Its lease is always over, and never twice the same: somebody lives."""
    while True:
        await jobs.renew([lease], NO_LEASE)
        await asyncio.sleep(0.05)


async def test_every_class_of_orphans_is_found_and_mended_once_by_reapers_that_run_at_once(database_url: str) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        jobs = JobRepository(database)
        poison = await worn_out(jobs)
        stale, stale_refining = (await running(jobs, lease=NO_LEASE)).id, (await refining(jobs, lease=NO_LEASE)).id
        healthy = (await running(jobs, lease=LEASE)).id
        slow = await running(jobs, lease=NO_LEASE)
        pending = await running(jobs)
        await jobs.mark_partial_succeeded(pending.lease, b"result", b"pages")
        retried = await running(jobs)
        await jobs.requeue_for_retry(retried.lease, ERROR, AT_ONCE)
        [never_offered] = await submitted(jobs)

        living = asyncio.create_task(renewed_again_and_again(jobs, slow.lease))
        counts = sum(await asyncio.gather(swept(database_url), swept(database_url)), Counter[str]())
        living.cancel()

        assert counts["stale_queued found"] >= 2
        assert counts["pending_refinement found"] >= 1
        assert counts["stale_running rescued"] == counts["stale_running failed"] == 1, "by one of the two"
        assert counts["stale_refining rescued"] == 1
        assert counts["stale_queued offered"] == 0, "there is nobody, and that is no error"
        found = await jobs.get(
            TENANT, [poison, stale, stale_refining, healthy, slow.id, pending.id, retried.id, never_offered]
        )
        assert [(job.state, job.lapses) for job in (found[one] for one in (stale, healthy, slow.id))] == [
            (State.QUEUED, 1),
            (State.RUNNING, 0),
            (State.RUNNING, 0),
        ]
        assert (found[stale_refining].refinement, found[stale_refining].lapses) == (Refinement.PENDING, 1)
        assert found[poison].state is State.FAILED
        assert (error := found[poison].error) and error.reason == "WORKER_CRASHED"
        waiting = [found[never_offered].state, found[retried.id].state, found[pending.id].refinement]
        assert waiting == [State.QUEUED, State.QUEUED, Refinement.PENDING]
        await Events(jobs, database).check(found)
