"""Deliveries on a real Postgres: who may send, what is written down, what is told."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gleaner_core.errors import JobError, Unavailable
from gleaner_core.states import Refinement, State
from gleaner_repo import (
    ClaimedDelivery,
    Database,
    DatabaseSettings,
    DeliveryRepository,
    DeliveryState,
    JobRepository,
    Tried,
    open_database,
)
from gleaner_repo.deliveries import CALLBACK
from support.jobs import LEASE, NO_LEASE, RESULT, TENANT, a_job, race
from support.proxy import Proxy

URL = "https://example.org/hook"
DELIVERED = Tried(DeliveryState.DELIVERED, status=200)


@pytest.fixture
def deliveries(database: Database) -> DeliveryRepository:
    return DeliveryRepository(database)


async def owed(jobs: JobRepository, count: int = 1) -> list[UUID]:
    """Jobs that failed and whose callback URLs must be told."""
    submitted = await jobs.submit([a_job(callback_url=URL) for _ in range(count)])
    for claimed in await jobs.mark_running(count, LEASE, uuid4()):
        assert await jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
    return [job.id for job in submitted]


async def claimed(
    deliveries: DeliveryRepository, *, lease: timedelta = LEASE, limit: int = 100, rescue: bool = False
) -> list[ClaimedDelivery]:
    return await deliveries.claim(limit, lease, uuid4(), rescue=rescue)


async def add_endpoint(database: Database, *types: int) -> UUID:
    endpoint = uuid4()
    await database.execute(
        "INSERT INTO endpoints (id, tenant_id, url, secrets, event_types) VALUES ($1, $2, $3, $4, $5)",
        endpoint,
        TENANT,
        "https://endpoint.example.org/",
        ["whsec_a", "whsec_b"],
        list(types),
    )
    return endpoint


async def test_any_number_of_senders_claim_each_delivery_once(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    ids = await owed(jobs, 40)

    taken = await race(*(lambda: claimed(deliveries, limit=5) for _ in range(12)))

    assert sorted(delivery.job_id for part in taken for delivery in part) == sorted(ids)


async def test_a_claim_stays_below_its_limit_and_takes_what_was_due_first(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    [first, *_] = await owed(jobs)
    await owed(jobs, 3)

    [taken] = await claimed(deliveries, limit=1)

    assert (taken.job_id, taken.attempt, taken.url, taken.secrets) == (first, 1, URL, None)


async def test_an_endpoint_is_told_besides_the_callback_and_with_the_same_id(
    jobs: JobRepository, deliveries: DeliveryRepository, database: Database
) -> None:
    endpoint = await add_endpoint(database, 8)
    await owed(jobs)

    taken = {delivery.lease.endpoint_id: delivery for delivery in await claimed(deliveries)}

    assert taken.keys() == {CALLBACK, endpoint}
    assert taken[CALLBACK].event_id == taken[endpoint].event_id
    assert taken[endpoint].secrets == ("whsec_a", "whsec_b")


async def test_claiming_one_delivery_of_an_event_leaves_the_others_alone(
    jobs: JobRepository, deliveries: DeliveryRepository, database: Database
) -> None:
    await add_endpoint(database, 8)
    await owed(jobs)

    assert [len(await claimed(deliveries, limit=1)) for _ in range(3)] == [1, 1, 0]


async def test_a_zombie_cannot_write_down_what_came_of_its_try(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await owed(jobs)
    [zombie] = await claimed(deliveries, lease=NO_LEASE)
    [owner] = await claimed(deliveries, rescue=True)

    late = await deliveries.finish(zombie.lease, DELIVERED)
    put_back = await deliveries.defer(zombie.lease)
    lost = await deliveries.renew([zombie.lease, owner.lease], LEASE)
    real = await deliveries.finish(owner.lease, DELIVERED)

    assert (late, put_back, lost) == (None, None, {zombie.lease})
    assert real is not None


async def test_a_lapsed_lease_is_taken_only_by_who_may_rescue(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await owed(jobs)
    [lapsed] = await claimed(deliveries, lease=NO_LEASE)

    assert await claimed(deliveries) == []
    [again] = await claimed(deliveries, rescue=True)

    assert (again.event_id, again.attempt) == (lapsed.event_id, 2)


async def test_a_claim_whose_answer_was_lost_is_undone_and_no_other(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    lost, mine = uuid4(), uuid4()
    await owed(jobs, 3)
    await deliveries.claim(2, NO_LEASE, lost, rescue=False)
    [rescued] = await deliveries.claim(1, LEASE, mine, rescue=True)
    [other] = await deliveries.claim(2, LEASE, uuid4(), rescue=False)

    await deliveries.unclaim(lost)
    await deliveries.unclaim(lost)

    [again] = await claimed(deliveries, rescue=True)
    assert again.event_id not in (rescued.event_id, other.event_id)
    assert again.attempt == 1, "nothing was sent by the claim that was undone"
    assert await deliveries.renew([rescued.lease, other.lease, again.lease], LEASE) == set()


async def test_a_renewal_on_a_dead_connection_leaves_time_for_another(
    jobs: JobRepository, deliveries: DeliveryRepository, database_url: str
) -> None:
    await owed(jobs)
    [taken] = await claimed(deliveries, lease=timedelta(seconds=1.5))
    async with Proxy(database_url).running() as proxy:
        settings = DatabaseSettings(database_url=proxy.url, database_pool_size=1, database_timeout_s=60)
        async with open_database(settings) as reached:
            proxy.freeze()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(DeliveryRepository(reached).renew([taken.lease], timedelta(seconds=1.5)), 20)

            assert await DeliveryRepository(reached).renew([taken.lease], LEASE) == set()


async def test_a_renewed_lease_does_not_lapse(jobs: JobRepository, deliveries: DeliveryRepository) -> None:
    await owed(jobs)
    [taken] = await claimed(deliveries, lease=NO_LEASE)

    assert await deliveries.renew([taken.lease], LEASE) == set()

    assert not taken.lease.lapsed()
    assert await claimed(deliveries, rescue=True) == []


async def test_two_senders_that_finish_at_once_have_one_winner(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await owed(jobs)
    [taken] = await claimed(deliveries)

    ends = await race(*(lambda: deliveries.finish(taken.lease, DELIVERED) for _ in range(8)))

    assert sum(end is not None for end in ends) == 1


async def test_a_failed_try_waits_for_its_time_and_keeps_its_id(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await owed(jobs)
    [first] = await claimed(deliveries)
    await deliveries.finish(first.lease, Tried(DeliveryState.PENDING, timedelta(hours=1), 500, "HTTP_ERROR"))
    assert await claimed(deliveries) == []

    found = await deliveries.get(TENANT, first.event_id, CALLBACK)

    assert found is not None
    assert (found.state, found.attempt, found.last_status) == (DeliveryState.PENDING, 1, 500)
    assert found.available_at - found.created_at > timedelta(minutes=59)


async def test_what_was_deferred_has_not_spent_an_attempt(jobs: JobRepository, deliveries: DeliveryRepository) -> None:
    await owed(jobs)
    [first] = await claimed(deliveries)

    assert await deliveries.defer(first.lease, longest=timedelta(days=3)) is DeliveryState.PENDING
    [again] = await claimed(deliveries)

    assert (again.attempt, again.lease.token) == (1, 2)


async def test_what_has_waited_for_too_long_is_given_up(jobs: JobRepository, deliveries: DeliveryRepository) -> None:
    await owed(jobs)
    [taken] = await claimed(deliveries)

    assert await deliveries.defer(taken.lease, longest=timedelta(0)) is DeliveryState.DEAD

    found = await deliveries.get(TENANT, taken.event_id, CALLBACK)
    assert found is not None
    assert (found.last_error, found.attempt) == ("EXPIRED", 0)


async def test_a_closed_endpoint_is_disabled_with_the_try_that_found_out(
    jobs: JobRepository, deliveries: DeliveryRepository, database: Database
) -> None:
    endpoint = await add_endpoint(database, 8)
    await owed(jobs, 2)
    first, second = [d for d in await claimed(deliveries) if d.lease.endpoint_id == endpoint]

    await deliveries.finish(first.lease, Tried(DeliveryState.DEAD, status=410, error="GONE", disable=True))
    await deliveries.defer(second.lease)
    [again] = await claimed(deliveries)
    await owed(jobs)

    assert again.endpoint_closed
    assert [d.lease.endpoint_id for d in await claimed(deliveries)] == [CALLBACK]


async def test_what_is_over_is_delivered_anew_with_the_same_id_and_all_its_tries(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await owed(jobs)
    [first] = await claimed(deliveries)
    assert not await deliveries.redeliver(TENANT, first.event_id, CALLBACK)
    await deliveries.finish(first.lease, Tried(DeliveryState.DEAD, error="TIMED_OUT"))

    assert not await deliveries.redeliver("another tenant", first.event_id, CALLBACK)
    assert await deliveries.redeliver(TENANT, first.event_id, CALLBACK)
    [again] = await claimed(deliveries)

    assert (again.event_id, again.attempt, again.lease.token) == (first.event_id, 1, 2)


async def test_lists_are_the_tenants_newest_first_in_pages(jobs: JobRepository, deliveries: DeliveryRepository) -> None:
    ids = await owed(jobs, 5)
    [taken] = await claimed(deliveries, limit=1)
    await deliveries.finish(taken.lease, DELIVERED)

    page = await deliveries.list_page(TENANT, limit=3)
    rest = await deliveries.list_page(TENANT, below=(page[-1].event_id, page[-1].endpoint_id))
    waiting = await deliveries.list_page(TENANT, states=frozenset({DeliveryState.PENDING}))
    done = await deliveries.list_page(TENANT, states=frozenset({DeliveryState.DELIVERED}))
    of_one = await deliveries.list_page(TENANT, job_id=ids[0])

    events = [delivery.event_id for delivery in page + rest]
    assert events == sorted(events, reverse=True)
    assert len(set(events)) == 5
    assert [len(waiting), [d.job_id for d in done], [d.job_id for d in of_one]] == [4, [taken.job_id], [ids[0]]]
    assert await deliveries.list_page("another tenant") == []
    assert await deliveries.list_page("another tenant", job_id=ids[0]) == []


async def test_the_content_is_the_job_as_the_move_left_it_whatever_came_later(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await jobs.submit([a_job(callback_url=URL, request_key="k-1")])
    [extracting] = await jobs.mark_running(1, LEASE, uuid4())
    await jobs.mark_partial_succeeded(extracting.lease, RESULT, b"pages")
    [refining] = await jobs.mark_bbox_refining(1, LEASE, uuid4())
    await jobs.mark_bbox_refined(refining.lease, RESULT + b" with boxes")

    partial, final = [await deliveries.content(d, 1000) for d in await claimed(deliveries)]

    assert partial and final
    assert (partial.event.state, partial.event.refinement) == (State.PARTIAL_SUCCEEDED, Refinement.PENDING)
    assert (final.event.state, final.event.refinement) == (State.SUCCEEDED, Refinement.SUCCEEDED)
    assert (partial.result, final.result) == (RESULT, RESULT + b" with boxes")
    assert (partial.request_key, partial.about) == ("k-1", b"about")


async def test_a_result_that_is_too_large_is_told_by_its_size(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    await jobs.submit([a_job(callback_url=URL)])
    [extracting] = await jobs.mark_running(1, LEASE, uuid4())
    await jobs.mark_succeeded(extracting.lease, b"r" * 100)
    [taken] = await claimed(deliveries)

    content = await deliveries.content(taken, 99)

    assert content
    assert (content.result, content.result_size) == (None, 100)


async def test_many_senders_lose_no_delivery_and_end_each_once(
    jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    ids = await owed(jobs, 60)
    ended: list[UUID] = []

    async def sender(number: int) -> None:
        while taken := await claimed(deliveries, limit=4, rescue=True):
            for delivery in taken:
                if (delivery.attempt + number) % 3 == 0:
                    await deliveries.finish(delivery.lease, Tried(DeliveryState.PENDING, error="TIMED_OUT"))
                elif await deliveries.finish(delivery.lease, DELIVERED) is not None:
                    ended.append(delivery.job_id)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(sender(number))

    assert sorted(ended) == sorted(ids)


async def test_deliveries_of_a_later_versions_events_are_listed_with_those_that_are_known(
    jobs: JobRepository, deliveries: DeliveryRepository, database: Database
) -> None:
    """During a roll-out both versions are at work."""
    await owed(jobs, 2)
    [unknown, known] = await deliveries.list_page(TENANT)
    await database.execute("UPDATE deliveries SET type = 77 WHERE event_id = $1", unknown.event_id)

    assert [told.type for told in await deliveries.list_page(TENANT)] == ["job.unknown_77", "job.failed"]
    assert known.type == "job.failed"
