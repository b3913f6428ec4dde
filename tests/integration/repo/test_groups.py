"""Consumer groups on a real Postgres: nothing skipped, nothing doubled, one reader at a time, nobody holds the log."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from gleaner_core.errors import GroupExpired, GroupNotFound, Unavailable
from gleaner_repo import Database, DatabaseSettings, GroupRepository, JobRepository, Position, open_database
from gleaner_repo.groups import EVERY_TENANT, GroupLease
from gleaner_repo.migrate import migrate
from support.group_reader import SINK, drain, make_sink, reading
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, running, submitted
from support.postgres import end_statements_after
from support.written_events import in_sink, readable, write_events, write_slowly

AT_ONCE = timedelta(0)


@pytest.fixture
async def groups(database: Database) -> GroupRepository:
    await make_sink(database)
    made = GroupRepository(database, max_tries=3, rest=AT_ONCE, longest_rest=AT_ONCE)
    await made.make(EVERY_TENANT, "audit", earliest=True)
    await made.make(TENANT, "billing", earliest=True)
    return made


@pytest.fixture
async def another(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def taken(groups: GroupRepository, name: str = "billing", lease: timedelta = LEASE) -> GroupLease:
    lease_of_it = await groups.take(TENANT, name, uuid4(), lease)
    assert lease_of_it
    return lease_of_it


async def handed_out(groups: GroupRepository, lease: GroupLease, limit: int = 100) -> list[UUID]:
    batch = await groups.read(lease, lease.position, limit)
    assert batch
    return [logged.event.event_id for logged in batch.events]


# A handler in the database.


@pytest.mark.parametrize("count", [20, 20_000])
async def test_eight_drainers_hand_each_event_over_exactly_once(
    groups: GroupRepository, database: Database, count: int
) -> None:
    written = [event for _ in range(4) for event in await write_events(database, count // 4)]
    await asyncio.gather(*(drain(groups, "audit", limit=1 + count // 100) for _ in range(8)))
    arrived = await in_sink(database)
    assert set(arrived) == set(written)
    assert set(arrived.values()) == {1}


async def test_a_killed_drainer_neither_loses_nor_doubles(
    groups: GroupRepository, database: Database, database_url: str
) -> None:
    written = await write_events(database, 20_000)
    async with reading(database_url, "audit") as victim, reading(database_url, "audit"):
        assert victim.stdout
        async with asyncio.timeout(30):
            await victim.stdout.readline()
        await asyncio.sleep(random.uniform(0, 0.05))  # anywhere between two batches, or within one
        victim.kill()
        await drain(groups, "audit", limit=400)
    arrived = await in_sink(database)
    assert set(arrived) == set(written)
    assert set(arrived.values()) == {1}


async def test_writers_that_commit_late_are_neither_skipped_nor_doubled(
    groups: GroupRepository, database: Database, database_url: str
) -> None:
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            await groups.consume(EVERY_TENANT, "audit", SINK, limit=random.randrange(1, 40))
            await asyncio.sleep(0.001)
        await drain(groups, "audit", limit=100)

    async with asyncio.TaskGroup() as readers:
        for _ in range(3):
            readers.create_task(read())
        written = await asyncio.gather(*(write_slowly(database_url, 6, 0.02) for _ in range(64)))
        await readable(database)
        done.set()
    arrived = await in_sink(database)
    assert set(arrived) == {event for ids in written for event in ids}
    assert set(arrived.values()) == {1}


async def test_events_arrive_in_the_order_of_a_jobs_moves(
    groups: GroupRepository, jobs: JobRepository, database: Database
) -> None:
    async def work() -> None:
        while claimed := await jobs.mark_running(3, LEASE, uuid4()):
            for job in claimed:
                await jobs.mark_succeeded(job.lease, RESULT)

    ids = await submitted(jobs, 30)
    await asyncio.gather(*(work() for _ in range(4)), *(drain(groups, "audit", 7) for _ in range(2)))
    await readable(database)
    await drain(groups, "audit", 100)
    rows = await database.fetch("SELECT job_id, seq FROM sink ORDER BY n")
    for job_id in ids:
        assert [row["seq"] for row in rows if row["job_id"] == job_id] == [1, 2, 3]


async def test_an_event_that_the_handler_takes_too_long_over_is_parked_and_the_rest_goes_on(
    groups: GroupRepository, database: Database, database_url: str
) -> None:
    """Also where a reader outside left without a word: its lease has run out."""
    slow = SINK.replace("FROM batch", "FROM batch CROSS JOIN LATERAL (SELECT pg_sleep(10 * (seq = 7)::int)) AS slow")
    await write_events(database, 4)
    await database.execute("UPDATE events SET seq = 7 WHERE id = (SELECT id FROM events ORDER BY id OFFSET 2 LIMIT 1)")
    assert await groups.take(EVERY_TENANT, "audit", uuid4(), NO_LEASE)
    await end_statements_after(0.2, database_url)
    async with open_database(DatabaseSettings(database_url=database_url)) as impatient:
        hasty = GroupRepository(impatient, max_tries=2, rest=AT_ONCE, longest_rest=AT_ONCE)
        for _ in range(5):
            await hasty.consume(EVERY_TENANT, "audit", slow)
    assert len(await in_sink(database)) == 3
    [parked] = await groups.list_parked(EVERY_TENANT, "audit")
    assert (parked.logged.event.seq, parked.tries) == (7, 2)


async def test_what_a_group_does_not_want_does_not_stop_it(groups: GroupRepository, database: Database) -> None:
    await groups.make(TENANT, "ends", event_types=["job.succeeded"], earliest=True)
    await write_events(database, 2500)
    await write_events(database, 1, tenant_id="somebody else", number=7)
    wanted = await write_events(database, 1, number=7)
    assert await groups.consume(TENANT, "ends", SINK) == 1
    assert list(await in_sink(database)) == wanted
    assert await groups.consume(TENANT, "ends", SINK) == 0


async def test_a_group_made_now_gets_what_is_written_from_now_on(groups: GroupRepository, database: Database) -> None:
    await write_events(database, 5)
    await groups.make(TENANT, "late")
    written = await write_events(database, 3)
    assert await groups.consume(TENANT, "late", SINK) == 3
    assert set(await in_sink(database)) == set(written)


async def test_a_group_made_now_gets_what_was_under_way(
    groups: GroupRepository, database: Database, another: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with another.transaction():
        await another.execute("SELECT pg_current_xact_id()")
        await groups.make(TENANT, "late")
        await another.execute(
            "INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt)"
            " VALUES (1, gen_random_uuid(), gen_random_uuid(), 1, 'default', 2, 1, 1, 1)"
        )
    await readable(database)
    assert await groups.consume(TENANT, "late", SINK) == 1


async def test_an_event_that_the_handler_cannot_take_is_parked_and_the_rest_goes_on(
    groups: GroupRepository, database: Database
) -> None:
    await database.execute("ALTER TABLE sink ADD CHECK (seq < 7)")
    await write_events(database, 10)
    await database.execute("UPDATE events SET seq = 7 WHERE id = (SELECT id FROM events ORDER BY id OFFSET 4 LIMIT 1)")
    for _ in range(12):
        await groups.consume(EVERY_TENANT, "audit", SINK)
    assert len(await in_sink(database)) == 9
    [parked] = await groups.list_parked(EVERY_TENANT, "audit")
    assert (parked.logged.event.seq, parked.tries, parked.reason) == (7, 3, "the handler failed: CheckViolationError")

    await groups.replay(EVERY_TENANT, "audit")
    assert await groups.consume_replays(EVERY_TENANT, "audit", SINK) == 0
    await database.execute("ALTER TABLE sink DROP CONSTRAINT sink_seq_check")
    assert await groups.consume_replays(EVERY_TENANT, "audit", SINK) == 0, "once for each request"
    await groups.replay(EVERY_TENANT, "audit", [parked.logged.event.event_id])
    assert await groups.consume_replays(EVERY_TENANT, "audit", SINK) == 1
    assert await groups.list_parked(EVERY_TENANT, "audit") == []
    assert len(await in_sink(database)) == 10


# A reader outside.


async def test_a_group_has_one_reader_at_a_time(groups: GroupRepository) -> None:
    answers = await asyncio.gather(*(groups.take(TENANT, "billing", uuid4(), LEASE) for _ in range(16)))
    [first] = [lease for lease in answers if lease]
    assert await groups.renew(first, LEASE) is False
    await groups.release(first)
    second = await taken(groups)
    assert second.token > first.token
    assert await groups.renew(first, LEASE) is None


async def test_no_handler_in_the_database_reads_beside_a_reader(groups: GroupRepository, database: Database) -> None:
    await write_events(database, 3)
    lease = await taken(groups)
    assert await groups.consume(TENANT, "billing", SINK) is None
    await groups.release(lease)
    assert await groups.consume(TENANT, "billing", SINK) == 3


async def test_what_was_not_acknowledged_comes_again(groups: GroupRepository, database: Database) -> None:
    written = await write_events(database, 10)
    first = await taken(groups)
    batch = await groups.read(first, first.position, 4)
    assert batch
    assert [logged.event.event_id for logged in batch.events] == written[:4]
    assert await groups.ack(first, batch.events[1].position, 2, LEASE) == 0
    assert await groups.ack(first, batch.events[1].position, 2, LEASE) == 0, "its answer may have been lost"
    await groups.release(first)
    assert await handed_out(groups, await taken(groups)) == written[2:]


async def test_a_reader_that_lost_its_lease_moves_nothing(groups: GroupRepository, database: Database) -> None:
    await write_events(database, 5)
    zombie = await taken(groups, lease=NO_LEASE)
    batch = await groups.read(zombie, zombie.position, 5)
    assert batch
    owner = await taken(groups)
    assert await groups.ack(zombie, batch.events[-1].position, 5, LEASE) is None
    assert await groups.nack(zombie, zombie.position, "no") is None
    assert await groups.read(zombie, zombie.position, 5) is None
    await groups.release(zombie)
    assert (await groups.get(TENANT, "billing")).position == owner.position
    assert await groups.renew(owner, LEASE) is False


async def test_a_refused_event_is_parked_after_its_tries(groups: GroupRepository, database: Database) -> None:
    written = await write_events(database, 3)
    lease = await taken(groups)
    at = lease.position
    answers = [await groups.nack(lease, at, "cannot be read") for _ in range(3)]
    assert [answer and (answer.tries, answer.parked) for answer in answers] == [(1, False), (2, False), (0, True)]
    [parked] = await groups.list_parked(TENANT, "billing")
    assert (parked.logged.event.event_id, parked.reason, parked.tries) == (written[0], "cannot be read", 3)
    assert answers[2]
    batch = await groups.read(lease, answers[2].position, 10)
    assert batch
    assert [logged.event.event_id for logged in batch.events] == written[1:]


async def test_a_refused_event_rests_before_its_next_try(groups: GroupRepository, database: Database) -> None:
    await write_events(database, 1)
    patient = GroupRepository(database, rest=timedelta(hours=1), longest_rest=timedelta(hours=1))
    lease = await taken(patient)
    await patient.nack(lease, lease.position, "later")
    assert await handed_out(patient, lease) == []


async def test_an_event_that_kills_its_readers_is_found_and_parked(groups: GroupRepository, database: Database) -> None:
    written = await write_events(database, 8)
    poison, handled = written[3], []
    for _ in range(12):
        lease = await taken(groups, lease=NO_LEASE)
        at, careful = lease.position, lease.careful
        while batch := await groups.read(lease, at, 1 if careful else 8):
            ids = [logged.event.event_id for logged in batch.events]
            if poison in ids or not ids:
                break  # dead, and its lease runs out
            handled += ids
            at = batch.events[-1].position
            careful = await groups.ack(lease, at, len(ids), NO_LEASE) or 0
    assert handled == [event for event in written if event != poison]
    [parked] = await groups.list_parked(TENANT, "billing")
    assert (parked.logged.event.event_id, parked.reason) == (poison, "its readers died over it")


async def test_a_reader_that_dies_idle_is_nobodys_try(groups: GroupRepository) -> None:
    for _ in range(5):
        assert (await taken(groups, lease=NO_LEASE)).tries == 0


async def test_a_parked_event_is_handed_out_again_once_a_request(groups: GroupRepository, database: Database) -> None:
    [poison] = await write_events(database, 1)
    lease = await taken(groups)
    for _ in range(3):
        await groups.nack(lease, lease.position, "no")
    assert await groups.take_replays(lease, 10) == []
    assert await groups.replay(TENANT, "billing") == [poison]
    assert await groups.renew(lease, LEASE) is True
    [again] = await groups.take_replays(lease, 10)
    assert (again.logged.event.event_id, again.tries) == (poison, 4)
    assert await groups.take_replays(lease, 10) == []
    await groups.refuse_replay(TENANT, "billing", poison, "still not")
    assert [parked.reason for parked in await groups.list_parked(TENANT, "billing")] == ["still not"]
    await groups.settle_replay(TENANT, "billing", poison)
    assert await groups.list_parked(TENANT, "billing") == []


# What holds the log, and what the log holds.


async def test_an_open_writer_holds_the_horizon_and_is_named(
    groups: GroupRepository, jobs: JobRepository, database: Database, another: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await readable(database)
    async with another.transaction():
        await another.execute("SELECT pg_current_xact_id()")
        claimed = await running(jobs)
        await jobs.mark_succeeded(claimed.lease, RESULT)

        assert await groups.consume(EVERY_TENANT, "audit", SINK) == 0
        assert [event.type for event in await jobs.events_of({claimed.id: 0})] == [
            "job.submitted",
            "job.started",
            "job.succeeded",
        ], "who watches a job waits for nobody"
        culprit = await groups.horizon()
        assert culprit
        assert culprit.pid == another.get_server_pid()
        assert culprit.database == await another.fetchval("SELECT current_database()")
        assert culprit.age is not None
    await readable(database)
    assert await groups.consume(EVERY_TENANT, "audit", SINK) == 3


async def test_a_group_that_stands_still_expires_and_holds_the_log_no_longer(
    groups: GroupRepository, database: Database
) -> None:
    await groups.delete(EVERY_TENANT, "audit")
    await write_events(database, 5)
    assert await groups.slowest_position() == Position(0, 0, 0)
    assert await groups.mark_expired(timedelta(days=7)) == []
    assert await groups.mark_expired(AT_ONCE) == [(TENANT, "billing")]
    assert await groups.slowest_position() is None
    with pytest.raises(GroupExpired):
        await groups.take(TENANT, "billing", uuid4(), LEASE)
    with pytest.raises(GroupExpired):
        await groups.consume(TENANT, "billing", SINK)

    await groups.restart(TENANT, "billing", earliest=True)
    assert len(await handed_out(groups, await taken(groups))) == 5


async def test_a_group_at_the_end_of_the_log_does_not_expire(groups: GroupRepository, database: Database) -> None:
    await write_events(database, 5)
    await drain(groups, "audit", 10)
    assert await groups.mark_expired(AT_ONCE) == [(TENANT, "billing")]


async def test_a_group_that_is_gone_says_so(groups: GroupRepository) -> None:
    assert await groups.delete(TENANT, "billing")
    assert not await groups.delete(TENANT, "billing")
    with pytest.raises(GroupNotFound):
        await groups.take(TENANT, "billing", uuid4(), LEASE)
    with pytest.raises(GroupNotFound):
        await groups.consume(TENANT, "billing", SINK)


async def test_after_a_move_to_another_cluster_the_next_era_is_read(
    groups: GroupRepository, database: Database, database_url: str
) -> None:
    """A cluster whose transaction ids are low again is simulated by raising those that are stored."""
    before = await write_events(database, 6)
    await groups.consume(EVERY_TENANT, "audit", SINK, limit=4)
    await database.execute("UPDATE events SET xid = (xid::text::bigint + 1000000000000)::text::xid8")
    await database.execute(
        "UPDATE groups SET xid = (xid::text::bigint + 1000000000000)::text::xid8 WHERE name = 'audit'"
    )
    assert not await database.ready()
    with pytest.raises(Unavailable):
        await write_events(database, 1)  # no group would ever read it
    await migrate(database_url)
    after = await write_events(database, 3)
    assert await database.ready()
    await drain(groups, "audit", 2)
    arrived = await in_sink(database)
    assert set(arrived) == {*before, *after}
    assert set(arrived.values()) == {1}


async def test_a_group_that_is_ahead_of_the_cluster_begins_an_era_too(
    groups: GroupRepository, database: Database, database_url: str
) -> None:
    """Its events may all be removed, or there were none yet."""
    await groups.make(TENANT, "late")
    await database.execute(
        "UPDATE groups SET xid = (xid::text::bigint + 1000000000000)::text::xid8 WHERE name = 'late'"
    )
    async with open_database(DatabaseSettings(database_url=database_url)) as restored:
        with pytest.raises(Unavailable):
            await write_events(restored, 1)
        await migrate(database_url)
        written = await write_events(restored, 3)
        lease = await taken(GroupRepository(restored), "late")
        assert await handed_out(groups, lease) == written


async def test_groups_work_without_prepared_statements(database_url: str, groups: GroupRepository) -> None:
    settings = DatabaseSettings(database_url=database_url, database_pooler=True)
    async with open_database(settings) as database:
        pooled = GroupRepository(database)
        written = await write_events(database, 3)
        lease = await taken(pooled)
        assert await handed_out(pooled, lease) == written
