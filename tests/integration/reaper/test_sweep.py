"""The reaper as the real process that a CronJob starts: every class of orphans is found, and mended once."""

import asyncio
import hashlib
import json
import os
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import (
    Database,
    DatabaseSettings,
    DeliveryRepository,
    DeliveryState,
    DocumentRepository,
    GroupRepository,
    JobRepository,
    Lease,
    Tried,
    open_database,
)
from gleaner_stack.supervisor import SCRIPTS
from support.jobs import LEASE, NO_LEASE, TENANT, Events, a_job, refining, running, submitted
from support.otlp_receiver import otlp_receiver
from support.spans import named

AT_ONCE = timedelta(0)
ERROR = JobError("WORK_TIMEOUT", "took too long", retryable=True)


async def reaper(database_url: str, *options: str, **settings: str) -> asyncio.subprocess.Process:
    """The command, started."""
    return await asyncio.create_subprocess_exec(
        SCRIPTS / "gleaner-reaper",
        *options,
        env=os.environ
        | {
            "GLEANER_DATABASE_URL": database_url,
            "GLEANER_JOB_RUN_LEASE_S": "0.5",
            "GLEANER_BBOX_REFINE_LEASE_S": "0.5",
            "GLEANER_QUEUED_ORPHAN_THRESHOLD_S": "0",
            "GLEANER_PARTIAL_SUCCEEDED_ORPHAN_THRESHOLD_S": "0",
            "GLEANER_WORKER_ADDRESSES": "",
            "GLEANER_BBOX_WORKER_ADDRESSES": "",
            **settings,
        },
        stdout=asyncio.subprocess.PIPE,
    )


async def swept(database_url: str, **settings: str) -> Counter[str]:
    """What one run of the command counted, by class and count."""
    process = await reaper(database_url, **settings)
    answer, _ = await process.communicate()
    assert process.returncode == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in answer.splitlines()]
    return Counter({f"{line['orphans']} {what}": line[what] for line in lines for what in line.keys() - {"orphans"}})


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


AT_ONCE_ALL = {
    f"GLEANER_{name}_S": "0.000001"
    for name in (
        "RETENTION",
        "DOCUMENT_RETENTION",
        "EVENT_RETENTION",
        "DELIVERY_RETENTION",
        "PARKED_EVENT_RETENTION",
        "GROUP_TTL",
    )
}


async def over(jobs: JobRepository, database: Database, digest: bytes) -> UUID:
    """A job that failed, of which its callback URL was told."""
    job = a_job(digests=(digest,), callback_url="https://example.org/hook")
    await jobs.submit([job])
    [claimed] = await jobs.mark_running(1, LEASE, uuid4())
    await jobs.mark_failed(claimed.lease, ERROR)
    deliveries = DeliveryRepository(database)
    for delivery in await deliveries.claim(10, LEASE, uuid4(), rescue=False):
        await deliveries.finish(delivery.lease, Tried(DeliveryState.DELIVERED, status=200))
    return job.id


async def test_what_is_old_is_removed_once_by_reapers_that_run_at_once(database_url: str) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        jobs, documents, groups = JobRepository(database), DocumentRepository(database), GroupRepository(database)
        used, unused = hashlib.sha256(b"used").digest(), hashlib.sha256(b"unused").digest()
        for digest in (used, unused):
            await documents.put(TENANT, digest, b"bytes", "")
        gone = [await over(jobs, database, used) for _ in range(5)]
        await groups.make(TENANT, "idle", earliest=True)
        await database.execute(
            """INSERT INTO parked_events
            SELECT tenant_id, 'idle', event_id, era, xid, id, job_id, seq, tenant_id, type, leg, series, attempt,
                at, body, 'refused', 5
            FROM events WHERE type IN (7, 8, 9)"""  # final ones
        )
        [alive] = await submitted(jobs)
        batch = {"GLEANER_REAPER_BATCH_SIZE": "2"}

        assert (await swept(database_url))["old_jobs removed"] == 0, "they are kept for days"
        counts = sum(
            await asyncio.gather(*(swept(database_url, **AT_ONCE_ALL, **batch) for _ in range(2))), Counter[str]()
        )
        counts += await swept(database_url, **AT_ONCE_ALL)  # what the two held from each other

        del counts["old_deliveries removed"]  # or with their jobs: whoever comes first
        assert {what: count for what, count in counts.items() if what.endswith(("removed", "expired")) and count} == {
            "idle_groups expired": 1,
            "old_jobs removed": 5,
            "old_events removed": 15,
            "old_parked_events removed": 5,
            "doomed_documents removed": 2,
        }
        assert set(await jobs.get(TENANT, [*gone, alive])) == {alive}
        assert await Events(jobs, database).types(alive) == ["job.submitted"]


async def test_what_is_to_be_kept_for_ever_is_kept(database_url: str) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        jobs, documents = JobRepository(database), DocumentRepository(database)
        digest = hashlib.sha256(b"used").digest()
        await documents.put(TENANT, digest, b"bytes", "")
        job_id = await over(jobs, database, digest)
        forever = {name: "0" for name in AT_ONCE_ALL if "DOCUMENT" not in name and "GROUP" not in name}

        counts = await swept(database_url, **forever, GLEANER_DOCUMENT_RETENTION_S="0.000001")

        assert not any(count for what, count in counts.items() if what.endswith("removed"))
        assert await jobs.get(TENANT, [job_id])
        assert await documents.get(TENANT, digest)


async def test_a_sweep_leaves_its_span_with_what_it_counted_though_its_process_ends(database_url: str) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        await running(JobRepository(database), lease=NO_LEASE)
    async with otlp_receiver() as receiver:
        await swept(database_url, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        [sweep] = named(await receiver.spans(lambda seen: named(seen, "sweep")), "sweep")

    counts = dict(sweep.events)
    assert (counts["stale_running"]["found"], counts["stale_running"]["rescued"]) == (1, 1)
    assert counts["old_jobs"]["removed"] == 0
    assert not sweep.error


@pytest.mark.parametrize("options", [[], ["--loop"]], ids=["once", "loop"])
async def test_one_that_is_told_to_end_ends_at_once_and_tells_what_it_did(
    database_url: str, options: list[str]
) -> None:
    async with open_database(DatabaseSettings(database_url=database_url)) as database:
        await running(JobRepository(database), lease=NO_LEASE)
    async with otlp_receiver() as receiver:
        process = await reaper(
            database_url,
            *options,
            GLEANER_JOB_RUN_LEASE_S="600",  # for so long it waits within the sweep
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        )
        assert process.stdout
        async with asyncio.timeout(30):
            while json.loads(await process.stdout.readline())["orphans"] != "pending_refinement":
                pass
            process.terminate()
            assert await process.wait() == (0 if options else 1)
        [sweep] = named(await receiver.spans(lambda seen: named(seen, "sweep")), "sweep")

    assert "stale_queued" in dict(sweep.events)
    assert not sweep.error
