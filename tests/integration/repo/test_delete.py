"""Deleting jobs that are over: what goes, what stays, and what happens to documents that others refer to."""

import asyncio
import hashlib
from functools import partial
from uuid import UUID

import pytest

from gleaner_core.errors import DocumentGone, JobError
from gleaner_repo import Database, DocumentRepository, JobRepository
from support.jobs import RESULT, TENANT, Events, a_job, race, refining, running, submitted

ROUNDS = 30
CONTENT = b"the bytes"
DIGEST = hashlib.sha256(CONTENT).digest()


async def over(jobs: JobRepository, *digests: bytes) -> UUID:
    """A cancelled job with these documents."""
    job = a_job(digests=digests, callback_url="https://example.com/hook")
    await jobs.submit([job])
    assert await jobs.mark_cancelled(TENANT, job.id, reason="not needed")
    return job.id


async def doomed(database: Database) -> bool | None:
    """Whether the document is doomed; None if it is not there."""
    row = await database.fetchrow("SELECT doomed_at IS NOT NULL AS doomed FROM documents WHERE digest = $1", DIGEST)
    return None if row is None else row["doomed"]


@pytest.fixture
async def document(documents: DocumentRepository) -> bytes:
    await documents.put(TENANT, DIGEST, CONTENT, "")
    return DIGEST


async def rows_of(database: Database, job_id: UUID) -> dict[str, int]:
    """How many rows each table has of the job."""
    columns = {"jobs": "id", "queue": "id", "outcomes": "job_id", "job_documents": "job_id", "deliveries": "job_id"}
    found = {}
    for table, column in columns.items():
        [row] = await database.fetch(f"SELECT count(*) FROM {table} WHERE {column} = $1", job_id)
        found[table] = row["count"]
    return found


async def test_nothing_stays_but_events_that_say_nothing(
    jobs: JobRepository, database: Database, events: Events, document: bytes
) -> None:
    job_id = await over(jobs, document)
    other = await over(jobs, document)

    assert await jobs.delete(TENANT, job_id)
    assert not await jobs.get(TENANT, [job_id])
    assert set((await rows_of(database, job_id)).values()) == {0}
    assert await events.types(job_id) == ["job.submitted", "job.cancelled"]
    assert [event.reason for event in await jobs.events_of({job_id: 0})] == [None, None]
    assert (await jobs.events_of({other: 1}))[0].reason == "not needed"


async def test_an_event_that_a_group_parked_says_nothing_any_more(jobs: JobRepository, database: Database) -> None:
    job = await running(jobs)
    await jobs.mark_failed(job.lease, JobError("DOCUMENT_DAMAGED", "cannot be read"))
    await database.execute("INSERT INTO groups (tenant_id, name, era, xid, id) VALUES ($1, 'audit', 0, '0', 0)", TENANT)
    await database.execute(
        """INSERT INTO parked_events
        SELECT $1, 'audit', event_id, era, xid, id, job_id, seq, tenant_id, type, leg, series, attempt, at, body,
            'refused', 5
        FROM events WHERE job_id = $2 AND body <> ''""",
        TENANT,
        job.id,
    )
    await jobs.delete(TENANT, job.id)

    [parked] = await database.fetch("SELECT body FROM parked_events")
    assert parked["body"] == ""


async def test_what_is_alive_or_somebody_elses_is_not_deleted(jobs: JobRepository) -> None:
    [queued] = await submitted(jobs)
    at_work = await refining(jobs)
    mine = await over(jobs)

    assert not await jobs.delete(TENANT, queued)
    assert not await jobs.delete(TENANT, at_work.id)
    assert not await jobs.delete("another", mine)
    assert set(await jobs.get(TENANT, [queued, at_work.id, mine])) == {queued, at_work.id, mine}
    assert await jobs.mark_bbox_refined(at_work.lease, RESULT)


async def test_a_request_key_is_free_again(jobs: JobRepository) -> None:
    first, second = a_job(request_key="key"), a_job(request_key="key", fingerprint=b"another")
    await jobs.submit([first])
    await jobs.mark_cancelled(TENANT, first.id)
    await jobs.delete(TENANT, first.id)

    [answer] = await jobs.submit([second])
    assert (answer.id, answer.created) == (second.id, True)


async def test_a_document_is_doomed_with_its_last_job(jobs: JobRepository, database: Database, document: bytes) -> None:
    first, last = await over(jobs, document), await over(jobs, document)
    await database.execute("UPDATE documents SET doomed_at = NULL")  # as the reaper does once a job refers to it

    await jobs.delete(TENANT, first)
    assert await doomed(database) is False
    await jobs.delete(TENANT, last)
    assert await doomed(database) is True


async def test_of_two_deletions_at_once_one_dooms_the_document_they_shared(
    jobs: JobRepository, database: Database, document: bytes
) -> None:
    for _ in range(ROUNDS):
        pair = [await over(jobs, document) for _ in range(2)]
        await database.execute("UPDATE documents SET doomed_at = NULL")
        assert await race(*(partial(jobs.delete, TENANT, job_id) for job_id in pair)) == [True, True]
        assert await doomed(database) is True


async def test_delete_against_retry_has_exactly_one_winner(jobs: JobRepository, events: Events) -> None:
    winners = set()
    for _ in range(ROUNDS):
        job_id = await over(jobs)
        deleted, retried = await race(partial(jobs.delete, TENANT, job_id), partial(jobs.retry, TENANT, job_id))
        assert deleted is (retried is None)
        winners.add(deleted)
        found = await jobs.get(TENANT, [job_id])
        assert (job_id in found) is not deleted
        if not deleted:
            await events.check([job_id])
            await jobs.mark_cancelled(TENANT, job_id)


async def test_a_document_that_is_not_there_refuses_the_submit(jobs: JobRepository) -> None:
    job = a_job(digests=(b"\0" * 32,))
    with pytest.raises(DocumentGone):
        await jobs.submit([job])
    assert not await jobs.get(TENANT, [job.id])


async def test_a_document_that_is_not_doomed_is_kept_without_a_lock(
    database: Database, documents: DocumentRepository, document: bytes
) -> None:
    assert not await documents.keep(TENANT, b"\0" * 32)
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM documents WHERE digest = $1 FOR UPDATE", document)
        async with asyncio.timeout(5):
            assert await documents.keep(TENANT, document)
