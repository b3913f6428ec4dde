"""How far the log's readers are behind, on a real Postgres."""

from datetime import timedelta

import asyncpg
import pytest

from gleaner_repo import Database, GroupRepository, JobRepository, LagRepository
from gleaner_repo.groups import EVERY_TENANT
from support.group_reader import SINK, drain, make_sink
from support.jobs import TENANT, submitted
from support.written_events import readable, write_events

NONE = timedelta(0)


@pytest.fixture
def groups(database: Database) -> GroupRepository:
    return GroupRepository(database, max_tries=1, rest=NONE, longest_rest=NONE)


async def test_an_empty_log_without_groups_has_no_lag(database: Database) -> None:
    lag = await LagRepository(database).read()

    assert (lag.groups, lag.tenants, lag.parked) == ({}, None, 0)


async def test_each_group_of_the_suite_is_told_by_name_until_it_is_at_the_end(
    database: Database, groups: GroupRepository
) -> None:
    await make_sink(database)
    await groups.make(EVERY_TENANT, "audit", earliest=True)
    await groups.make(EVERY_TENANT, "sink", earliest=True)
    await write_events(database, 3)
    await drain(groups, "audit", limit=10)

    lag = await LagRepository(database).read()

    assert lag.groups["audit"] == NONE
    assert NONE < lag.groups["sink"] < timedelta(minutes=1)


async def test_of_all_tenants_groups_only_the_slowest_is_told(database: Database, groups: GroupRepository) -> None:
    await groups.make(TENANT, "early", earliest=True)
    await write_events(database, 1)
    await groups.make("another", "late")
    lags = LagRepository(database)

    behind = (await lags.read()).tenants
    await groups.delete(TENANT, "early")
    at_the_end = (await lags.read()).tenants

    assert behind is not None
    assert behind > NONE
    assert at_the_end == NONE


async def test_a_writer_that_stays_open_stalls_the_log_and_is_named(
    database: Database, jobs: JobRepository, database_url: str
) -> None:
    lags = LagRepository(database)
    await readable(database)
    culprit = await asyncpg.connect(database_url, server_settings={"application_name": "report"})
    try:
        async with culprit.transaction():
            await culprit.execute("SELECT pg_current_xact_id()")
            await submitted(jobs)
            stalled = await lags.read()
    finally:
        await culprit.close()
    await readable(database)
    afterwards = await lags.read()

    assert stalled.stalled > NONE
    assert stalled.writer is not None
    assert (stalled.writer.application, stalled.writer.state) == ("report", "idle in transaction")
    assert stalled.writer.age is not None
    assert stalled.writer.age >= stalled.stalled
    assert afterwards.stalled == NONE


async def test_parked_events_are_counted_up_to_the_limit(database: Database, groups: GroupRepository) -> None:
    await make_sink(database)
    await groups.make(EVERY_TENANT, "broken", earliest=True)
    await write_events(database, 3)
    for _ in range(3):
        await groups.consume(EVERY_TENANT, "broken", SINK.replace("seq FROM", "seq / 0 FROM"), limit=1)

    assert (await LagRepository(database).read()).parked == 3
    assert (await LagRepository(database, limit=2).read()).parked == 2
