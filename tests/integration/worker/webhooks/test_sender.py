"""Deliveries on their way: a real Postgres, a real receiver, and the moves that owe them."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import results_pb2
from gleaner_core.errors import JobError, Unavailable
from gleaner_core.ids import uuid7
from gleaner_repo import (
    Database,
    DatabaseSettings,
    Delivery,
    DeliveryRepository,
    DeliveryState,
    JobRepository,
    NewJob,
    Tried,
    open_database,
)
from gleaner_repo.deliveries import CALLBACK
from gleaner_worker.webhooks import Poster, Sender, WebhookSettings
from support.jobs import LEASE, NO_LEASE, TENANT
from support.proxy import Proxy
from support.webhook_receiver import WebhookReceiver, answering, dropping, hanging

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
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
RESULT = results_pb2.ExtractionResult(extractor="embedded")


class Suite:
    """What a worker's webhooks stand on, and what is asked of them."""

    def __init__(self, database: Database, receiver: WebhookReceiver) -> None:
        self.database = database
        self.jobs = JobRepository(database)
        self.deliveries = DeliveryRepository(database)
        self.receiver = receiver

    async def submitted(self, **rest: str) -> UUID:
        """A new job with a callback URL."""
        about = stored_pb2.JobAbout(correlation_id="order-7", metadata={"a": "1", "_b": "private"}, documents=["x.pdf"])
        job = NewJob(
            id=uuid7(),
            tenant_id=rest.get("tenant", TENANT),
            fingerprint=b"f",
            request=b"",
            about=about.SerializeToString(),
            callback_url=rest.get("url", self.receiver.url),
            trace_context=TRACE,
        )
        await self.jobs.submit([job])
        return job.id

    async def failed(self, count: int = 1, **rest: str) -> list[UUID]:
        """Jobs that failed: each owes one webhook."""
        ids = [await self.submitted(**rest) for _ in range(count)]
        for claimed in await self.jobs.mark_running(count, LEASE, uuid4()):
            assert await self.jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
        return ids

    async def endpoint(self, secret: str) -> UUID:
        """An endpoint that is told of failed jobs."""
        made = uuid4()
        await self.database.execute(
            "INSERT INTO endpoints (id, tenant_id, url, secrets, event_types) VALUES ($1, $2, $3, $4, $5)",
            made,
            TENANT,
            self.receiver.url + "/endpoint",
            [secret],
            [8],
        )
        return made

    async def delivery(self, job_id: UUID, *, tenant: str = TENANT) -> Delivery:
        """The job's only delivery."""
        [found] = await self.deliveries.list_page(tenant, job_id=job_id)
        return found

    async def until(self, job_id: UUID, *states: DeliveryState, tenant: str = TENANT) -> Delivery:
        """The job's delivery, once it is in one of the states."""
        async with asyncio.timeout(15):
            while (found := await self.delivery(job_id, tenant=tenant)).state not in states:
                await asyncio.sleep(0.02)
        return found

    @asynccontextmanager
    async def sender(self, *, grace: float = 5, **settings: object) -> AsyncIterator[Sender]:
        """A sender that runs for the length of the block, then drains."""
        quick: dict[str, object] = {"retry_base_delay_s": 0.02, "retry_max_delay_s": 2, "timeout_s": 5}
        told = WebhookSettings.model_validate({"secrets": SECRET, "allow_private": True, **quick, **settings})
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            made = Sender(self.deliveries, Poster(told), told, grace=timedelta(seconds=grace))
            group.create_task(made.run(stop))
            try:
                yield made
            finally:
                stop.set()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


class Names:
    """The system's resolver as it finds every name of example.org at this machine, after a while those of slow ones."""

    def __init__(self) -> None:
        self.slow: list[str] = []
        self._answered = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, host: str, *arguments: Any, **rest: Any) -> Any:
        if host.endswith(".slow.example.org"):
            self.slow.append(host)
            self._answered.wait()
        return self._real("127.0.0.1" if host.endswith(".example.org") else host, *arguments, **rest)

    def answer(self) -> None:
        """The slow ones are found, too."""
        self._answered.set()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answer()


@pytest.fixture
def suite(database: Database, receiver: WebhookReceiver) -> Suite:
    return Suite(database, receiver)


async def test_a_move_is_told_signed_and_with_the_callers_ids(suite: Suite) -> None:
    [job] = await suite.failed()
    async with suite.sender():
        got = await suite.receiver.received()
        told = await suite.until(job, DeliveryState.DELIVERED)

    payload = Webhook(SECRET).verify(got.body, got.headers)
    [event] = [event for event in await suite.jobs.events_of({job: 0}) if event.final]
    assert got.webhook_id == str(event.event_id) == str(told.event_id)
    assert payload["type"] == "job.failed"
    assert payload["data"]["job"]["name"] == f"jobs/{job}"
    assert payload["data"]["job"]["metadata"] == {"a": "1"}
    assert got.headers["x-correlation-id"] == "order-7"
    assert got.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert (got.headers["content-type"], told.attempt, told.last_status) == ("application/json", 1, 200)


async def test_both_ends_of_a_refined_job_are_told_each_with_its_own_id_and_result(suite: Suite) -> None:
    job = await suite.submitted()
    refined = results_pb2.ExtractionResult(extractor="embedded", documents=[results_pb2.DocumentResult(document="x")])
    [extracting] = await suite.jobs.mark_running(1, LEASE, uuid4())
    await suite.jobs.mark_partial_succeeded(extracting.lease, RESULT.SerializeToString(), b"pages")
    [refining] = await suite.jobs.mark_bbox_refining(1, LEASE, uuid4())
    await suite.jobs.mark_bbox_refined(refining.lease, refined.SerializeToString())

    async with suite.sender():
        both = [await suite.receiver.received(), await suite.receiver.received()]

    told = {(payload := json.loads(got.body))["type"]: payload["data"] for got in both}
    assert told.keys() == {"job.partial_succeeded", "job.succeeded"}
    assert told["job.partial_succeeded"]["result"] == {"extractor": "embedded"}
    assert told["job.succeeded"]["result"]["documents"] == [{"document": "x"}]
    assert len({got.webhook_id for got in both}) == 2
    assert {told["job.succeeded"]["job"]["name"]} == {f"jobs/{job}"}


async def test_every_try_has_the_same_id_and_the_same_bytes(suite: Suite) -> None:
    suite.receiver.next.extend([answering(500), dropping, answering(404), answering(302, location="/elsewhere")])
    [job] = await suite.failed()

    async with suite.sender():
        told = await suite.until(job, DeliveryState.DELIVERED)

    assert (told.attempt, len(suite.receiver.all)) == (5, 5)
    assert len({(got.webhook_id, got.body, got.path) for got in suite.receiver.all}) == 1
    for got in suite.receiver.all:
        Webhook(SECRET).verify(got.body, got.headers)


async def test_after_the_last_try_it_is_dead_until_somebody_sends_it_again(suite: Suite) -> None:
    suite.receiver.next.extend([answering(500), answering(500)])
    [job] = await suite.failed()

    async with suite.sender(max_attempts=2) as sender:
        dead = await suite.until(job, DeliveryState.DEAD)
        assert await suite.deliveries.redeliver(TENANT, dead.event_id, CALLBACK)
        sender.wake()
        again = await suite.until(job, DeliveryState.DELIVERED)

    assert (dead.attempt, dead.last_status, dead.last_error) == (2, 500, "HTTP_ERROR")
    assert (again.event_id, again.attempt) == (dead.event_id, 1)
    assert len({got.webhook_id for got in suite.receiver.all}) == 1


async def test_a_time_out_is_tried_again(suite: Suite) -> None:
    suite.receiver.next.append(hanging)
    [job] = await suite.failed()

    async with suite.sender(timeout_s=0.3):
        told = await suite.until(job, DeliveryState.DELIVERED)

    assert told.attempt == 2


async def test_gone_is_the_end_at_once(suite: Suite) -> None:
    suite.receiver.always = answering(410)
    [job] = await suite.failed()

    async with suite.sender():
        told = await suite.until(job, DeliveryState.DEAD)

    assert (told.attempt, told.last_status, len(suite.receiver.all)) == (1, 410, 1)


async def test_retry_after_is_kept_to_by_all_deliveries_to_that_host(suite: Suite) -> None:
    suite.receiver.next.append(answering(429, retry_after="1"))
    [first] = await suite.failed()
    loop = asyncio.get_running_loop()

    async with suite.sender(endpoint_slots=1) as sender:
        await suite.receiver.received()
        paused_at = loop.time()
        await suite.until(first, DeliveryState.PENDING)
        [second] = await suite.failed()
        sender.wake()
        await suite.receiver.received()
        resumed_at = loop.time()
        ends = [await suite.until(job, DeliveryState.DELIVERED) for job in (first, second)]

    assert resumed_at - paused_at > 0.9
    assert [end.attempt for end in ends] == [2, 1], "who waited for the pause spent no attempt"


async def test_an_open_circuit_spends_nobodys_attempts(suite: Suite) -> None:
    suite.receiver.next.extend([answering(500)] * 2)
    jobs = await suite.failed(6)

    async with suite.sender(breaker_failures=2, breaker_pause_s=0.3, endpoint_slots=1, retry_max_delay_s=0.1):
        ends = [await suite.until(job, DeliveryState.DELIVERED) for job in jobs]

    assert sum(end.attempt for end in ends) == len(jobs) + 2 == len(suite.receiver.all)


async def test_a_host_is_sent_no_more_at_once_than_its_limit(suite: Suite) -> None:
    jobs = await suite.failed(12)

    async with suite.sender(endpoint_slots=2):
        for job in jobs:
            await suite.until(job, DeliveryState.DELIVERED)

    assert suite.receiver.most_at_once <= 2
    assert len(suite.receiver.all) == len(jobs), "each once"


async def test_one_host_that_hangs_holds_up_no_other(suite: Suite) -> None:
    with WebhookReceiver() as stuck:
        stuck.always = hanging
        await suite.failed(10, url=stuck.url)
        [job] = await suite.failed()
        async with suite.sender(slots=8, endpoint_slots=2, grace=0):
            told = await suite.until(job, DeliveryState.DELIVERED)

    assert told.attempt == 1


async def test_a_tenants_many_hosts_that_hang_hold_up_no_other_tenant(suite: Suite, names: Names) -> None:
    with WebhookReceiver() as stuck:
        stuck.always = hanging
        for number in range(16):
            await suite.failed(url=f"http://{number}.example.org:{stuck.port}/", tenant="many")
        async with suite.sender(slots=4, timeout_s=60, grace=0):
            await stuck.received(), await stuck.received()
            [job] = await suite.failed(url=f"http://good.example.org:{suite.receiver.port}/")
            told = await suite.until(job, DeliveryState.DELIVERED)

        assert told.attempt == 1
        assert stuck.most_at_once == 2, "half of the slots"


async def test_a_tenants_many_names_that_nobody_answers_hold_up_no_other_tenant_and_spend_few_tries(
    suite: Suite, names: Names
) -> None:
    slow = [
        (await suite.failed(url=f"http://{number}.slow.example.org:{suite.receiver.port}/", tenant="many"))[0]
        for number in range(8)
    ]
    async with suite.sender(slots=4, timeout_s=1, poll_max_s=0.2, breaker_pause_s=0.3):
        async with asyncio.timeout(15):
            while [(await suite.delivery(job, tenant="many")).last_error for job in slow].count("TIMED_OUT") < 2:
                await asyncio.sleep(0.02)
        [job] = await suite.failed(url=f"http://good.example.org:{suite.receiver.port}/")
        await suite.until(job, DeliveryState.DELIVERED)
        asked = len(names.slow)
        names.answer()
        ends = [await suite.until(job, DeliveryState.DELIVERED, tenant="many") for job in slow]

    assert asked == 2, "a look-up keeps its place, though its try is over"
    assert sum(end.attempt for end in ends) == len(names.slow), "who waits for a place spends no try"


async def test_nothing_is_claimed_while_look_ups_without_an_answer_are_too_many(suite: Suite, names: Names) -> None:
    for number in range(4):
        await suite.failed(url=f"http://{number}.slow.example.org:{suite.receiver.port}/", tenant=str(number))
    async with suite.sender(slots=1, timeout_s=0.5, poll_max_s=0.2):
        async with asyncio.timeout(15):
            while len(names.slow) < 4:
                await asyncio.sleep(0.02)
        [job] = await suite.failed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await suite.receiver.received()
        waiting = await suite.delivery(job)
        names.answer()
        await suite.until(job, DeliveryState.DELIVERED)

    assert (waiting.state, waiting.attempt) == (DeliveryState.PENDING, 0)


async def test_what_leads_inside_is_dead_without_a_word_to_it(suite: Suite) -> None:
    [job] = await suite.failed()

    async with suite.sender(allow_private=False):
        told = await suite.until(job, DeliveryState.DEAD)

    assert (told.last_error, suite.receiver.all) == ("URL_REFUSED", [])


async def test_a_name_that_leads_inside_for_a_while_is_tried_again(suite: Suite, names: Names) -> None:
    [job] = await suite.failed(url=f"http://sinkhole.example.org:{suite.receiver.port}/")

    async with suite.sender(allow_private=False, max_attempts=2):
        told = await suite.until(job, DeliveryState.DEAD)

    assert (told.last_error, told.attempt, suite.receiver.all) == ("ADDRESS_REFUSED", 2, [])


async def test_an_endpoint_whose_secret_is_none_is_told_so_and_tried_again(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = await suite.endpoint("whsec_not-base64-secret")
    with WebhookReceiver() as callbacks:
        await suite.failed(url=callbacks.url)
        async with suite.sender(retry_base_delay_s=0.2):
            await callbacks.received()
            async with asyncio.timeout(10):
                while "BAD_SECRET" not in [told.last_error for told in await suite.deliveries.list_page(TENANT)]:
                    await asyncio.sleep(0.02)
            await suite.database.execute("UPDATE endpoints SET secrets = $2 WHERE id = $1", endpoint, [SECRET])
            got = await suite.receiver.received()

    Webhook(SECRET).verify(got.body, got.headers)
    assert "cannot be signed" in caplog.text
    assert "not-base64-secret" not in caplog.text


async def test_without_a_secret_nothing_goes_to_callback_urls_and_nothing_is_lost(suite: Suite) -> None:
    [job] = await suite.failed()

    async with suite.sender(secrets=""):
        async with asyncio.timeout(10):
            while (told := await suite.delivery(job)).available_at - told.created_at < timedelta(seconds=30):
                await asyncio.sleep(0.02)

    assert (told.state, told.attempt, suite.receiver.all) == (DeliveryState.PENDING, 0, [])


async def test_an_endpoint_has_its_own_secrets_and_gone_disables_it(suite: Suite) -> None:
    secret = "whsec_" + "C2" * 16
    await suite.endpoint(secret)
    with WebhookReceiver() as callbacks:
        suite.receiver.always = answering(410)
        await suite.failed(url=callbacks.url)
        async with suite.sender():
            got = await suite.receiver.received()
            theirs = await callbacks.received()
            await suite.failed(url=callbacks.url)
            await callbacks.received()

    Webhook(secret).verify(got.body, got.headers)
    assert (got.webhook_id, got.body) == (theirs.webhook_id, theirs.body)
    assert len(suite.receiver.all) == 1, "a disabled endpoint is owed nothing"


async def test_many_senders_deliver_each_once(suite: Suite) -> None:
    jobs = await suite.failed(40)

    async with suite.sender(slots=4), suite.sender(slots=4), suite.sender(slots=4):
        for job in jobs:
            await suite.until(job, DeliveryState.DELIVERED)

    assert len({got.webhook_id for got in suite.receiver.all}) == len(suite.receiver.all) == len(jobs)


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


async def test_a_sender_that_was_woken_looks_at_once(suite: Suite) -> None:
    async with suite.sender(poll_max_s=60, lease_s=120) as sender:
        await asyncio.wait_for(suite.failed(), 5)
        sender.wake()
        await suite.receiver.received(5)


async def test_after_too_many_dead_senders_nobody_tries_any_more(suite: Suite) -> None:
    [job] = await suite.failed()
    [claimed] = await suite.deliveries.claim(1, LEASE, uuid4(), rescue=False)
    await suite.deliveries.finish(claimed.lease, Tried(DeliveryState.PENDING))
    await suite.database.execute("UPDATE deliveries SET attempt = 8")

    async with suite.sender():
        told = await suite.until(job, DeliveryState.DEAD)

    assert (told.last_error, suite.receiver.all) == ("SENDERS_DIED", [])
