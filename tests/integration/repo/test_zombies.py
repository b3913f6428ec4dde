"""Ten thousand writes of every kind by holders that were fenced out: none is accepted, and nothing changes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from gleaner_core.errors import JobError
from gleaner_repo import (
    Database,
    DeliveryLease,
    DeliveryRepository,
    DeliveryState,
    Finished,
    JobRepository,
    Lease,
    Tried,
)
from gleaner_repo.moves import MOVES
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, a_job, submitted

ATTEMPTS = 10_000
JOBS = 400  # a fourth of them in each situation
WRITES = [move.name for move in MOVES.values() if "lease_token" in move.guard]
HOW = Finished(RESULT, b"pages", JobError("WORK_TIMEOUT", "took too long", retryable=True))
TABLES = ("queue", "outcomes", "events", "deliveries")


async def everything(database: Database) -> list[object]:
    """All that a write could change."""
    return [await database.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]


async def fenced_out(jobs: JobRepository, leg: int) -> list[Lease]:
    """Holders whose job was rescued and waits, was given to somebody else, was ended by that one, or was cancelled."""
    await submitted(jobs, JOBS)
    claim, end = ("mark_running", "mark_succeeded") if leg == 1 else ("mark_bbox_refining", "mark_bbox_refined")
    if leg == 2:
        extracted = await jobs.claim("mark_running", JOBS, LEASE, uuid4())
        await jobs.finish_many("mark_partial_succeeded", [(job.lease, HOW) for job in extracted])
    zombies = [job.lease for job in await jobs.claim(claim, JOBS, NO_LEASE, uuid4())]
    for lease in zombies[: JOBS // 4]:
        assert await jobs.mark_cancelled(TENANT, lease.job_id, running=True)
    await jobs.rescue(limit=JOBS)
    owners = await jobs.claim(claim, JOBS // 2, LEASE, uuid4())
    await jobs.finish_many(end, [(job.lease, HOW) for job in owners[::2]])
    return zombies


@pytest.mark.parametrize("move", WRITES)
async def test_no_move_of_a_fenced_out_holder_is_accepted(jobs: JobRepository, database: Database, move: str) -> None:
    zombies = await fenced_out(jobs, MOVES[move].leg)
    before = await everything(database)
    batches = [jobs.finish_many(move, [(lease, HOW) for lease in zombies]) for _ in range(ATTEMPTS // JOBS)]
    assert [made for made in await asyncio.gather(*batches) if made] == []
    assert await everything(database) == before


@pytest.mark.parametrize("leg", [1, 2])
async def test_no_renewal_of_a_fenced_out_holder_is_accepted(jobs: JobRepository, database: Database, leg: int) -> None:
    zombies = await fenced_out(jobs, leg)
    before = await everything(database)
    for _ in range(ATTEMPTS // JOBS):
        assert (await jobs.renew(zombies, LEASE)).lost == frozenset(zombies)
    assert await everything(database) == before


async def test_no_write_of_a_fenced_out_sender_is_accepted(jobs: JobRepository, database: Database) -> None:
    deliveries = DeliveryRepository(database)
    zombies = await fenced_out_senders(jobs, deliveries)
    before = await everything(database)
    tries = [zombies[number % len(zombies)] for number in range(ATTEMPTS)]

    async def write(mine: Sequence[DeliveryLease]) -> None:
        for lease in mine:
            assert await deliveries.finish(lease, Tried(DeliveryState.DELIVERED)) is None
            assert await deliveries.defer(lease, timedelta(seconds=1)) is None

    await asyncio.gather(*(write(tries[start::8]) for start in range(8)))
    for _ in range(ATTEMPTS // len(zombies)):
        assert await deliveries.renew(zombies, LEASE) == set(zombies)
    assert await everything(database) == before


async def fenced_out_senders(jobs: JobRepository, deliveries: DeliveryRepository) -> list[DeliveryLease]:
    """Senders whose delivery somebody else has taken by now; every second one has been delivered."""
    await jobs.submit([a_job(callback_url="https://example.org") for _ in range(100)])
    for job in await jobs.mark_running(100, LEASE, uuid4()):
        await jobs.mark_succeeded(job.lease, RESULT)
    zombies = [sent.lease for sent in await deliveries.claim(100, NO_LEASE, uuid4(), rescue=False)]
    owners = await deliveries.claim(100, LEASE, uuid4(), rescue=True)
    for owner in owners[::2]:
        await deliveries.finish(owner.lease, Tried(DeliveryState.DELIVERED))
    assert len(zombies) == len(owners) == 100
    return zombies
