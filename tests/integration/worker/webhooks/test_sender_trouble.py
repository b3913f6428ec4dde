"""Senders that die, are refused by the database, or drain: nothing is lost, and no try is spent in vain."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import Unavailable
from gleaner_repo import (
    DatabaseSettings,
    DeliveryState,
    Tried,
    open_database,
)
from support.jobs import LEASE, NO_LEASE, TENANT
from support.proxy import Proxy
from support.webhook_receiver import hanging
from support.webhook_suite import Suite

REFUSED_RENEWAL = """
CREATE SEQUENCE refusals;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('refusals') < 2 THEN
        RAISE EXCEPTION USING ERRCODE = '22000';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER refuse BEFORE UPDATE ON deliveries FOR EACH ROW
    WHEN (OLD.state = 'SENDING' AND NEW.state = 'SENDING') EXECUTE FUNCTION refuse();
"""
REFUSED_ENDS = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '22000';
END
$$;
CREATE TRIGGER refuse BEFORE UPDATE ON deliveries FOR EACH ROW
    WHEN (OLD.state = 'SENDING' AND NEW.state <> 'SENDING') EXECUTE FUNCTION refuse();
"""


async def test_a_delivery_whose_sender_died_is_sent_by_another_with_the_same_id(suite: Suite) -> None:
    [job] = await suite.failed()
    [died] = await suite.deliveries.claim(1, NO_LEASE, uuid4(), rescue=False)

    async with suite.sender(lease_s=0.6, poll_max_s=0.2):
        told = await suite.until(job, DeliveryState.DELIVERED)

    assert (told.event_id, told.attempt) == (died.event_id, 2)


async def test_a_lease_is_renewed_while_the_receiver_takes_its_time(suite: Suite) -> None:
    suite.receiver.always = hanging
    [job] = await suite.failed()

    async with suite.sender(lease_s=0.6, poll_max_s=0.2, grace=0), suite.sender(lease_s=0.6, poll_max_s=0.2, grace=0):
        await suite.receiver.received()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.Event().wait()  # three leases, in which another might have taken it
        told = await suite.delivery(job)

    assert (told.state, told.attempt, len(suite.receiver.all)) == (DeliveryState.SENDING, 1, 1)


async def test_a_lost_lease_stops_the_send_and_writes_nothing(suite: Suite) -> None:
    suite.receiver.next.append(hanging)
    [job] = await suite.failed()

    async with suite.sender(lease_s=0.6, poll_max_s=0.2, timeout_s=10):
        await suite.receiver.received()
        await suite.database.execute("UPDATE deliveries SET lease_token = lease_token + 1, lease_expires_at = now()")
        told = await suite.until(job, DeliveryState.DELIVERED)

    assert (told.attempt, told.last_status) == (2, 200)


async def test_a_claim_that_the_database_refuses_ends_nothing_and_is_told_without_its_text(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    [job] = await suite.failed()
    await suite.database.execute("ALTER TABLE deliveries RENAME COLUMN holder TO gone")

    async with suite.sender(poll_max_s=0.2):
        async with asyncio.timeout(10):
            while "UndefinedColumnError" not in caplog.text:
                await asyncio.sleep(0.02)
        await suite.database.execute("ALTER TABLE deliveries RENAME COLUMN gone TO holder")
        told = await suite.until(job, DeliveryState.DELIVERED)

    assert told.attempt == 1
    assert "holder" not in caplog.text


async def test_a_claim_that_the_database_refused_leaves_nothing_to_undo(
    suite: Suite, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[UUID] = []

    async def unclaim(claim: UUID) -> None:
        undone.append(claim)

    monkeypatch.setattr(suite.deliveries, "unclaim", unclaim)
    [job] = await suite.failed()
    await suite.database.execute("ALTER TABLE deliveries RENAME COLUMN holder TO gone")

    async with suite.sender(poll_max_s=0.2):
        async with asyncio.timeout(10):
            while caplog.text.count("UndefinedColumnError") < 2:
                await asyncio.sleep(0.02)
        await suite.database.execute("ALTER TABLE deliveries RENAME COLUMN gone TO holder")
        await suite.until(job, DeliveryState.DELIVERED)

    assert undone == []


async def test_what_the_database_refuses_is_an_answer_and_puts_off_no_rescue(suite: Suite) -> None:
    [left] = await suite.failed()
    assert await suite.deliveries.claim(1, NO_LEASE, uuid4(), rescue=False)
    await suite.failed()
    await suite.database.execute("ALTER TABLE outcomes RENAME COLUMN result TO gone")  # of which the content is made

    async with suite.sender(lease_s=1, poll_max_s=0.2):
        told = await suite.until(left, DeliveryState.PENDING)

    assert told.attempt == 1, "its sender's"


async def test_what_the_database_refuses_to_write_down_is_left_to_others_when_its_lease_ends(suite: Suite) -> None:
    await suite.database.execute(REFUSED_ENDS)
    [job] = await suite.failed()

    async with suite.sender(slots=1, lease_s=0.6, poll_max_s=0.2):
        first = await suite.receiver.received()
        second = await suite.receiver.received()
        await suite.database.execute("DROP TRIGGER refuse ON deliveries")
        await suite.until(job, DeliveryState.DELIVERED)

    assert first.webhook_id == second.webhook_id


async def test_an_event_of_a_later_version_is_left_to_its_workers(suite: Suite) -> None:
    """During a roll-out both versions are at work."""
    [job] = await suite.failed()
    await suite.database.execute("UPDATE events SET type = 77, body = 'not JSON' WHERE type = 8")

    async with suite.sender():
        async with asyncio.timeout(10):
            while (told := await suite.delivery(job)).available_at - told.created_at < timedelta(seconds=30):
                await asyncio.sleep(0.02)

    assert (told.state, told.attempt, told.last_error) == (DeliveryState.PENDING, 0, None)
    assert suite.receiver.all == []


async def test_a_renewal_that_the_database_refuses_ends_nothing_and_is_asked_again(suite: Suite) -> None:
    await suite.database.execute(REFUSED_RENEWAL)
    suite.receiver.next.append(hanging)
    [job] = await suite.failed()

    async with suite.sender(lease_s=1.5, timeout_s=2, poll_max_s=0.2):
        told = await suite.until(job, DeliveryState.DELIVERED)
        refused = await suite.database.fetchrow("SELECT last_value FROM refusals")

    assert refused
    assert refused["last_value"] > 1
    assert told.attempt == 2


async def test_what_cannot_be_read_for_a_while_spends_no_attempt(suite: Suite, database_url: str) -> None:
    [job] = await suite.failed()
    hurried = DatabaseSettings(database_url=database_url, database_timeout_s=0.3)
    async with open_database(hurried) as database:
        beside = Suite(database, suite.receiver)
        async with suite.database.pool.acquire() as connection:
            locked = connection.transaction()
            await locked.start()
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute("LOCK TABLE outcomes")  # the content's, and nobody else's
            async with beside.sender(poll_max_s=0.2):
                first = await suite.until(job, DeliveryState.SENDING)
                back = await suite.until(job, DeliveryState.PENDING)
                await locked.rollback()
                told = await suite.until(job, DeliveryState.DELIVERED)

    assert [seen.attempt for seen in (first, back, told)] == [1, 0, 1]


async def test_a_claim_whose_answer_is_lost_spends_no_attempt_and_waits_for_no_lease(
    suite: Suite, database_url: str
) -> None:
    [job] = await suite.failed()
    async with Proxy(database_url).running() as proxy:
        hurried = DatabaseSettings(database_url=proxy.url, database_pool_size=2, database_timeout_s=0.5)
        async with open_database(hurried) as database:
            proxy.swallow_answers(told=suite.receiver.url.encode())
            async with Suite(database, suite.receiver).sender(lease_s=60, poll_max_s=0.2):
                await suite.until(job, DeliveryState.SENDING)
                proxy.mend()
                told = await suite.until(job, DeliveryState.DELIVERED)

    assert (told.attempt, len(suite.receiver.all)) == (1, 1)


async def test_a_drain_finishes_what_is_being_sent(suite: Suite) -> None:
    await suite.failed(3)
    async with suite.sender():
        await suite.receiver.received()

    left = await suite.deliveries.list_page(TENANT, states=frozenset({DeliveryState.SENDING}))
    assert left == []


async def test_what_does_not_finish_in_time_is_handed_back_with_its_attempt(suite: Suite) -> None:
    suite.receiver.always = hanging
    [job] = await suite.failed()
    async with suite.sender(grace=0.1):
        await suite.receiver.received()

    told = await suite.delivery(job)
    assert (told.state, told.attempt) == (DeliveryState.PENDING, 0)


@pytest.mark.parametrize(("trouble", "written"), [(Unavailable(), "defer"), (RuntimeError(), "finish")])
async def test_what_is_being_written_down_without_an_answer_is_handed_back_by_a_drain(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, trouble: Exception, written: str
) -> None:
    """After a try that the database, or a bug, has kept from its end."""
    [job] = await suite.failed()
    writing = asyncio.Event()

    async def no_content(*_: object) -> None:
        raise trouble

    async def no_answer(*_: object, **__: object) -> None:
        monkeypatch.undo()
        writing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(suite.deliveries, "content", no_content)
    monkeypatch.setattr(suite.deliveries, written, no_answer)
    async with suite.sender(grace=0.1):
        await asyncio.wait_for(writing.wait(), 10)

    told = await suite.delivery(job)
    assert (told.state, told.attempt) == (DeliveryState.PENDING, 0)


async def test_after_too_many_dead_senders_nobody_tries_any_more(suite: Suite) -> None:
    [job] = await suite.failed()
    [claimed] = await suite.deliveries.claim(1, LEASE, uuid4(), rescue=False)
    await suite.deliveries.finish(claimed.lease, Tried(DeliveryState.PENDING))
    await suite.database.execute("UPDATE deliveries SET attempt = 8")

    async with suite.sender():
        told = await suite.until(job, DeliveryState.DEAD)

    assert (told.last_error, suite.receiver.all) == ("SENDERS_DIED", [])
