"""What is removed when its time is over, and what never is: beside everybody who may take it up again meanwhile."""

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from gleaner_core.errors import DocumentGone, JobError
from gleaner_core.ids import uuid7
from gleaner_repo import (
    Database,
    DeliveryRepository,
    DeliveryState,
    DocumentRepository,
    GroupRepository,
    JobRepository,
    Retention,
    Tried,
)
from gleaner_repo.deliveries import CALLBACK
from gleaner_repo.groups import EVERY_TENANT
from support.group_reader import SINK, make_sink
from support.jobs import LEASE, RESULT, TENANT, Events, a_job, race, refining, running, submitted
from support.written_events import readable

ROUNDS = 30
AT_ONCE = timedelta(0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
URL = "https://example.org/hook"
CONTENT = b"the bytes"
DIGEST = hashlib.sha256(CONTENT).digest()


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, batch=3)


@pytest.fixture
async def document(documents: DocumentRepository) -> bytes:
    await documents.put(TENANT, DIGEST, CONTENT, "")
    return DIGEST


async def removed(batches: AsyncIterator[int]) -> int:
    return sum([count async for count in batches])


def id_from(age: timedelta) -> UUID:
    """An id as it was made so long ago."""
    milliseconds = int((time.time() - age.total_seconds()) * 1000)
    return UUID(int=(milliseconds << 80) | (uuid7().int & (2**80 - 1)))


async def ended(
    jobs: JobRepository, database: Database, age: timedelta = AT_ONCE, *, made: timedelta | None = None, **rest: object
) -> UUID:
    """A job that was cancelled so long ago, and made then too or before."""
    job = replace(a_job(**rest), id=id_from(age if made is None else made))  # type: ignore[arg-type]
    await jobs.submit([job])
    assert await jobs.mark_cancelled(TENANT, job.id, reason="not needed")
    await database.execute("UPDATE outcomes SET ended_at = ended_at - $2::interval WHERE job_id = $1", job.id, age)
    return job.id


async def known(database: Database, digest: bytes = DIGEST) -> bool:
    return bool(await database.fetch("SELECT FROM documents WHERE digest = $1", digest))


async def doom(database: Database, age: timedelta) -> None:
    await database.execute("UPDATE documents SET doomed_at = clock_timestamp() - $1::interval", age)


class TestJobs:
    async def test_those_that_ended_long_ago_go_with_all_that_is_theirs(
        self, jobs: JobRepository, database: Database, retention: Retention, document: bytes, events: Events
    ) -> None:
        old = [await ended(jobs, database, 2 * DAY, digests=(document,)) for _ in range(7)]

        assert await removed(retention.jobs(DAY)) == 7
        for table in ("jobs", "queue", "outcomes", "job_documents", "deliveries"):
            assert not await database.fetch(f"SELECT FROM {table}"), table
        assert [event.reason for event in await jobs.events_of({old[0]: 0})] == [None, None]
        assert await events.types(old[0]) == ["job.submitted", "job.cancelled"]

    async def test_those_that_ended_lately_stay_however_long_ago_they_were_asked_for(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        late = [await ended(jobs, database, HOUR, made=9 * DAY) for _ in range(4)]
        young = await ended(jobs, database, HOUR)
        old = await ended(jobs, database, 2 * DAY)

        assert await removed(retention.jobs(DAY)) == 1
        assert set(await jobs.get(TENANT, [*late, young, old])) == {*late, young}

    async def test_those_that_are_alive_stay_and_hide_nobody(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        alive = [await ended(jobs, database, 9 * DAY) for _ in range(5)]  # more than a batch, before all others
        for job_id in alive:
            assert await jobs.retry(TENANT, job_id)
        half_done = await refining(jobs)
        alive += [half_done.id, (await running(jobs)).id, *await submitted(jobs)]
        over = [await ended(jobs, database, 2 * DAY) for _ in range(4)]

        assert await removed(retention.jobs(AT_ONCE)) == 4
        assert set(await jobs.get(TENANT, [*alive, *over])) == set(alive)
        assert await jobs.mark_bbox_refined(half_done.lease, RESULT)

    async def test_one_of_which_somebody_has_still_to_be_told_stays_until_he_was(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        job_id = await ended(jobs, database, 2 * DAY, callback_url=URL)
        deliveries = DeliveryRepository(database)
        assert await removed(retention.jobs(DAY)) == 0
        [delivery] = await deliveries.claim(1, LEASE, uuid4(), rescue=False)
        assert await removed(retention.jobs(DAY)) == 0
        assert await deliveries.finish(delivery.lease, Tried(DeliveryState.DELIVERED, status=200))

        assert await removed(retention.jobs(DAY)) == 1
        assert not await jobs.get(TENANT, [job_id])
        assert not await deliveries.get(TENANT, delivery.event_id, CALLBACK)

    async def test_large_results_are_removed_a_few_at_a_time(self, jobs: JobRepository, database: Database) -> None:
        for _ in range(4):
            job = await running(jobs)
            await jobs.mark_succeeded(job.lease, b"x" * 100)

        small = Retention(database, batch=100, batch_bytes=150)
        assert [count async for count in small.jobs(AT_ONCE)] == [2, 2, 0]

    async def test_what_a_group_parked_of_them_says_nothing_any_more(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        await ended(jobs, database)
        await park(database, EVERY_TENANT)

        assert await removed(retention.jobs(AT_ONCE)) == 1
        assert {row["body"] for row in await database.fetch("SELECT body FROM parked_events")} == {""}

    async def test_their_end_against_retry_and_deletion_has_exactly_one_winner(
        self, jobs: JobRepository, database: Database, events: Events
    ) -> None:
        reapers = [Retention(database), Retention(database)]
        winners = set()
        for _ in range(ROUNDS):
            job_id = await ended(jobs, database)
            retried, deleted, *swept = await race(
                partial(jobs.retry, TENANT, job_id),
                partial(jobs.delete, TENANT, job_id),
                *(lambda reaper=reaper: removed(reaper.jobs(AT_ONCE)) for reaper in reapers),
            )
            assert (retried is not None) + deleted + sum(swept) == 1
            winners.add("retry" if retried else "delete" if deleted else "reaper")
            assert (job_id in await jobs.get(TENANT, [job_id])) is (retried is not None)
            if retried:
                await events.check([job_id])
                await jobs.mark_cancelled(TENANT, job_id)
                await jobs.delete(TENANT, job_id)
        assert len(winners) > 1, "they raced"


class TestDocuments:
    async def test_one_that_no_job_ever_referred_to_goes(
        self, database: Database, retention: Retention, document: bytes
    ) -> None:
        assert await removed(retention.documents(HOUR)) == 0, "its submit may be on its way"
        await doom(database, 2 * HOUR)

        assert await removed(retention.documents(HOUR)) == 1
        assert not await known(database)

    @pytest.mark.parametrize("again", ["put", "keep"])
    async def test_one_that_a_submit_is_about_to_name_stays_as_long_again(
        self, database: Database, documents: DocumentRepository, retention: Retention, document: bytes, again: str
    ) -> None:
        await doom(database, 2 * HOUR)
        if again == "put":
            await documents.put(TENANT, document, CONTENT, "")
        else:
            assert await documents.keep(TENANT, document)

        assert await removed(retention.documents(HOUR)) == 0
        await doom(database, 2 * HOUR)
        assert await removed(retention.documents(HOUR)) == 1, "the submit never came"

    async def test_one_goes_with_its_last_job_and_not_before(
        self, jobs: JobRepository, database: Database, retention: Retention, document: bytes
    ) -> None:
        first, last = [await ended(jobs, database, digests=(document,)) for _ in range(2)]
        await jobs.delete(TENANT, first)
        assert await removed(retention.documents(AT_ONCE)) == 0
        await jobs.delete(TENANT, last)
        assert await removed(retention.documents(HOUR)) == 0

        assert await removed(retention.documents(AT_ONCE)) == 1
        assert not await known(database)

    async def test_those_in_use_hide_none_that_are_not(
        self, jobs: JobRepository, database: Database, documents: DocumentRepository, retention: Retention
    ) -> None:
        digests = [hashlib.sha256(bytes([n])).digest() for n in range(9)]
        for digest in digests:
            await documents.put(TENANT, digest, CONTENT, "")
        await jobs.submit([a_job(digests=tuple(digests[:8]))])

        assert await removed(retention.documents(AT_ONCE)) == 1
        assert not await known(database, digests[8])
        kept = await database.fetch("SELECT doomed_at FROM documents")
        assert [row["doomed_at"] for row in kept] == [None] * 8, "and are not looked at again"

    async def test_large_ones_go_a_few_at_a_time(self, database: Database, documents: DocumentRepository) -> None:
        for n in range(5):
            await documents.put(TENANT, hashlib.sha256(bytes([n])).digest(), bytes(100), "")

        small = Retention(database, batch=100, batch_bytes=150)
        assert [count async for count in small.documents(AT_ONCE)] == [2, 2, 1, 0]

    async def test_one_that_a_submit_links_right_now_is_neither_removed_nor_waited_for(
        self, database: Database, retention: Retention, document: bytes
    ) -> None:
        async with database.pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await connection.execute(
                    "INSERT INTO job_documents (job_id, tenant_id, digest) VALUES ($1, $2, $3)",
                    uuid4(),
                    TENANT,
                    document,
                )
                # Had it waited, the role's lock_timeout would have ended it.
                assert await removed(retention.documents(AT_ONCE)) == 0
            assert await removed(retention.documents(AT_ONCE)) == 0
        assert await known(database)

    async def test_a_link_that_the_removal_could_not_see_refuses_it(
        self, database: Database, retention: Retention, document: bytes, jobs: JobRepository
    ) -> None:
        """The statement, begun before the submit and finished after it: what the retry in `documents` is for."""
        async with database.pool.acquire() as connection:
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                async with connection.transaction(isolation="repeatable_read"):
                    await connection.execute("SELECT FROM documents")  # its snapshot
                    await jobs.submit([a_job(digests=(document,))])
                    await connection.execute("DELETE FROM documents")
        assert await removed(retention.documents(AT_ONCE)) == 0
        assert await known(database)

    async def test_no_submit_loses_its_document_to_reapers_that_run_at_once(
        self, jobs: JobRepository, database: Database, documents: DocumentRepository, document: bytes
    ) -> None:
        reapers = [Retention(database), Retention(database)]

        async def submit() -> UUID:
            job = a_job(digests=(document,))
            while True:
                await documents.put(TENANT, document, CONTENT, "")
                try:
                    await jobs.submit([job])
                    return job.id
                except DocumentGone:
                    continue

        gone = 0
        for _ in range(ROUNDS):
            old = await ended(jobs, database, digests=(document,))
            first, second, _, *swept = await race(
                submit,
                submit,
                partial(jobs.delete, TENANT, old),
                *(lambda reaper=reaper: removed(reaper.documents(AT_ONCE)) for reaper in reapers),
            )
            await removed(reapers[0].documents(AT_ONCE))
            assert await documents.get(TENANT, document) == CONTENT
            gone += sum(swept)
            for job_id in (first, second):
                await jobs.mark_cancelled(TENANT, job_id)
                await jobs.delete(TENANT, job_id)
            await removed(reapers[0].documents(AT_ONCE))
            assert not await known(database), "nobody refers to it any more"
            await documents.put(TENANT, document, CONTENT, "")


class TestEvents:
    async def test_those_that_every_group_has_read_go_and_no_others(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        groups = GroupRepository(database)
        await make_sink(database)
        for name in ("fast", "slow"):
            await groups.make(EVERY_TENANT, name, earliest=True)
        for _ in range(5):
            await ended(jobs, database)
        await readable(database)
        await groups.consume(EVERY_TENANT, "fast", SINK)
        await groups.consume(EVERY_TENANT, "slow", SINK, limit=4)

        assert await removed(retention.events(HOUR)) == 0, "they are young"
        assert await removed(retention.events(AT_ONCE)) == 4
        await groups.mark_expired(AT_ONCE)
        assert await removed(retention.events(AT_ONCE)) == 6, "who expired holds nothing"

    async def test_those_of_jobs_that_are_alive_stay_and_hide_none(
        self, jobs: JobRepository, database: Database, retention: Retention, events: Events
    ) -> None:
        alive = await submitted(jobs, 7)  # more than two batches at the log's beginning
        await ended(jobs, database)

        assert await removed(retention.events(AT_ONCE)) == 2
        await events.check(alive)

    async def test_those_that_a_delivery_tells_of_stay_until_it_goes(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        await ended(jobs, database, callback_url=URL)
        assert await removed(retention.events(AT_ONCE)) == 1, "nobody is told of the submit"
        deliveries = DeliveryRepository(database)
        [delivery] = await deliveries.claim(1, LEASE, uuid4(), rescue=False)
        assert await deliveries.content(delivery, 1000)
        assert await deliveries.finish(delivery.lease, Tried(DeliveryState.DEAD, error="GONE"))

        assert await removed(retention.events(AT_ONCE)) == 0, "it may be sent again"
        assert await deliveries.redeliver(delivery.tenant_id, delivery.event_id, delivery.lease.endpoint_id)
        [again] = await deliveries.claim(1, LEASE, uuid4(), rescue=False)
        assert await deliveries.content(again, 1000)

        assert await deliveries.finish(again.lease, Tried(DeliveryState.DELIVERED))
        assert await removed(retention.deliveries(AT_ONCE)) == 1
        assert await removed(retention.events(AT_ONCE)) == 1


class TestDeliveries:
    async def test_those_that_ended_long_ago_go_and_those_under_way_hide_none(
        self, jobs: JobRepository, database: Database, retention: Retention
    ) -> None:
        deliveries = DeliveryRepository(database)
        for _ in range(9):
            await ended(jobs, database, callback_url=URL)
        claimed = await deliveries.claim(9, LEASE, uuid4(), rescue=False)
        for delivery, state in zip(claimed[6:], ("DELIVERED", "DEAD", "DELIVERED"), strict=True):
            assert await deliveries.finish(delivery.lease, Tried(DeliveryState(state)))
        sent_again = claimed[8]
        assert await deliveries.redeliver(TENANT, sent_again.event_id, CALLBACK)

        assert await removed(retention.deliveries(HOUR)) == 0
        assert await removed(retention.deliveries(AT_ONCE)) == 2
        left = {row["event_id"] for row in await database.fetch("SELECT event_id FROM deliveries")}
        assert left == {delivery.event_id for delivery in (*claimed[:6], sent_again)}

    async def test_one_that_is_sent_again_meanwhile_stays_or_was_gone_before(
        self, jobs: JobRepository, database: Database
    ) -> None:
        deliveries, reaper = DeliveryRepository(database), Retention(database)
        for _ in range(ROUNDS):
            await ended(jobs, database, callback_url=URL)
            [delivery] = await deliveries.claim(1, LEASE, uuid4(), rescue=False)
            await deliveries.finish(delivery.lease, Tried(DeliveryState.DEAD))
            again, gone = await race(
                partial(deliveries.redeliver, TENANT, delivery.event_id, CALLBACK),
                lambda: removed(reaper.deliveries(AT_ONCE)),
            )
            assert again is (gone == 0)
            await database.execute("DELETE FROM deliveries")


async def park(database: Database, tenant_id: str, *, replay: bool = False, expired: bool = False) -> None:
    """Parks every final event for a group of its own."""
    name = uuid4().hex
    await database.execute(
        """INSERT INTO groups (tenant_id, name, era, xid, id, expired_at)
        VALUES ($1, $2, 0, '0', 0, CASE WHEN $3 THEN now() END)""",
        tenant_id,
        name,
        expired,
    )
    await database.execute(
        """INSERT INTO parked_events
        SELECT $1, $2, event_id, era, xid, id, job_id, seq, tenant_id, type, leg, series, attempt, at, body,
            'refused', 5, now(), $3
        FROM events WHERE type IN (7, 8, 9)""",  # final ones
        tenant_id,
        name,
        replay,
    )


async def test_parked_events_go_but_for_those_that_will_be_tried_again(
    jobs: JobRepository, database: Database, retention: Retention
) -> None:
    for _ in range(4):
        job = await running(jobs)
        await jobs.mark_failed(job.lease, JobError("DOCUMENT_DAMAGED", "cannot be read"))
    await park(database, TENANT)
    await park(database, EVERY_TENANT, replay=True)
    await park(database, TENANT, replay=True, expired=True)

    assert await removed(retention.parked(HOUR)) == 0
    assert await removed(retention.parked(AT_ONCE)) == 8
    assert {row["replay"] for row in await database.fetch("SELECT replay FROM parked_events")} == {True}
