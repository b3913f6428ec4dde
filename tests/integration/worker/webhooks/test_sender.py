"""Deliveries on their way: a real Postgres, a real receiver, and the moves that owe them."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from gleaner.v1 import results_pb2
from gleaner_repo import (
    DeliveryState,
)
from gleaner_repo.deliveries import CALLBACK
from support.jobs import LEASE, TENANT
from support.webhook_receiver import WebhookReceiver, answering, dropping, hanging
from support.webhook_suite import SECRET, TRACE, Names, Suite

RESULT = results_pb2.ExtractionResult(extractor="embedded")


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


async def test_a_sender_that_was_woken_looks_at_once(suite: Suite) -> None:
    async with suite.sender(poll_max_s=60, lease_s=120) as sender:
        await asyncio.wait_for(suite.failed(), 5)
        sender.wake()
        await suite.receiver.received(5)
