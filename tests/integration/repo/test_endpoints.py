"""Endpoints on a real Postgres: how many there may be, which secrets sign, what they are owed."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gleaner_core.errors import JobError, TooManyEndpoints
from gleaner_core.ids import uuid7
from gleaner_repo import (
    ClaimedDelivery,
    Database,
    DeliveryRepository,
    DeliveryState,
    Endpoint,
    EndpointChanges,
    EndpointRepository,
    JobRepository,
    NewEndpoint,
    Tried,
)
from support.jobs import LEASE, TENANT, a_job, race

MOST = 20
OTHER = "other"


@pytest.fixture
def endpoints(database: Database) -> EndpointRepository:
    return EndpointRepository(database)


@pytest.fixture
def deliveries(database: Database) -> DeliveryRepository:
    return DeliveryRepository(database)


def an_endpoint(**other: Any) -> NewEndpoint:
    new = NewEndpoint(
        id=uuid7(),
        tenant_id=TENANT,
        url="https://example.org/hook",
        event_types=frozenset({"job.failed"}),
        secret=f"whsec_{uuid4().hex}",
        request_key=uuid4().hex,
    )
    return replace(new, **other)


async def fails(jobs: JobRepository) -> UUID:
    """A job fails; which is what endpoints here are told of."""
    [job] = await jobs.submit([a_job()])
    [claimed] = await jobs.mark_running(1, LEASE, uuid4())
    assert await jobs.mark_failed(claimed.lease, JobError("DOCUMENT_DAMAGED", "it is damaged"))
    return job.id


async def claimed(deliveries: DeliveryRepository) -> list[ClaimedDelivery]:
    return await deliveries.claim(100, LEASE, uuid4(), rescue=False)


async def test_what_was_made_is_read_as_it_was_given_and_without_its_secret(endpoints: EndpointRepository) -> None:
    new = an_endpoint(event_types=frozenset({"job.failed", "job.succeeded"}), description="billing")

    made = await endpoints.create(new)

    told = made.endpoint
    assert (told.id, told.url, told.event_types, told.description) == (new.id, new.url, new.event_types, "billing")
    assert (told.disabled_at, told.secret_count, made.secret) == (None, 1, new.secret)
    assert await endpoints.get(TENANT, new.id) == told
    assert await endpoints.list_page(TENANT) == [told]


async def test_no_secret_is_in_what_a_log_would_show(endpoints: EndpointRepository) -> None:
    new = an_endpoint()
    made = await endpoints.create(new)
    assert new.secret not in f"{new!r} {made!r} {made.endpoint!r}"


async def test_of_any_number_of_creates_at_once_no_more_pass_than_may(endpoints: EndpointRepository) -> None:
    async def attempt() -> UUID | None:
        try:
            return (await endpoints.create(an_endpoint())).endpoint.id
        except TooManyEndpoints:
            return None

    for _ in range(MOST - 2):
        await endpoints.create(an_endpoint())
    for _ in range(20):  # the first round finds few connections open
        made = [id_ for id_ in await race(*(attempt for _ in range(12))) if id_]
        assert len(made) == 2
        for id_ in made:
            await endpoints.delete(TENANT, id_)


async def test_a_create_waits_for_one_that_may_still_be_committed_and_counts_it(
    endpoints: EndpointRepository, database: Database, database_url: str
) -> None:
    for _ in range(MOST - 1):
        await endpoints.create(an_endpoint())
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute(
            "INSERT INTO endpoints (id, tenant_id, url, secrets, event_types) VALUES ($1, $2, 'u', '{}', '{8}')",
            uuid4(),
            TENANT,
        )
        late = asyncio.create_task(endpoints.create(an_endpoint()))
        while not late.done() and not await database.fetch(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            await asyncio.sleep(0.01)
    await other.close()

    with pytest.raises(TooManyEndpoints):
        await late


async def test_the_limit_is_each_tenant_s_and_a_deleted_one_makes_room(endpoints: EndpointRepository) -> None:
    made = [await endpoints.create(an_endpoint(disabled=True)) for _ in range(MOST)]

    with pytest.raises(TooManyEndpoints):
        await endpoints.create(an_endpoint())
    await endpoints.create(an_endpoint(tenant_id=OTHER))
    assert await endpoints.delete(TENANT, made[7].endpoint.id)
    await endpoints.create(an_endpoint())


async def test_the_same_key_makes_one_endpoint_also_at_once_and_when_there_are_as_many_as_may_be(
    endpoints: EndpointRepository,
) -> None:
    for _ in range(MOST - 1):
        await endpoints.create(an_endpoint())

    answers = await race(*(lambda: endpoints.create(an_endpoint(request_key="k")) for _ in range(8)))
    again = await endpoints.create(an_endpoint(request_key="k"))

    assert len({(answer.endpoint.id, answer.secret) for answer in [*answers, again]}) == 1


async def test_the_same_key_of_another_tenant_makes_another_endpoint(endpoints: EndpointRepository) -> None:
    mine = await endpoints.create(an_endpoint(request_key="k"))
    theirs = await endpoints.create(an_endpoint(request_key="k", tenant_id=OTHER))
    assert mine.endpoint.id != theirs.endpoint.id


async def test_lists_are_the_tenants_newest_first_in_pages(endpoints: EndpointRepository) -> None:
    made = [(await endpoints.create(an_endpoint())).endpoint.id for _ in range(3)]
    await endpoints.create(an_endpoint(tenant_id=OTHER))

    first = await endpoints.list_page(TENANT, limit=2)
    rest = await endpoints.list_page(TENANT, below=first[-1].id)

    assert [found.id for found in [*first, *rest]] == sorted(
        made, reverse=True
    )  # those of one millisecond in any order
    assert len(first) == 2


async def test_another_tenant_s_endpoint_is_not_there(endpoints: EndpointRepository, database: Database) -> None:
    theirs = await endpoints.create(an_endpoint(tenant_id=OTHER))
    id_ = theirs.endpoint.id

    assert await endpoints.get(TENANT, id_) is None
    assert await endpoints.update(TENANT, id_, EndpointChanges(disabled=True)) is None
    assert await endpoints.rotate(TENANT, id_, "whsec_mine", "k") is None
    assert not await endpoints.delete(TENANT, id_)
    assert await endpoints.get(OTHER, id_) == theirs.endpoint
    assert await secrets_of(database, id_) == [theirs.secret]


@pytest.mark.parametrize(
    "changes",
    [
        EndpointChanges(url="https://example.org/other"),
        EndpointChanges(event_types=frozenset({"job.cancelled", "job.started"})),
        EndpointChanges(description=""),
        EndpointChanges(url="https://example.org/other", description="new"),
        EndpointChanges(disabled=False),
        EndpointChanges(),
    ],
)
async def test_only_what_is_named_is_changed(endpoints: EndpointRepository, changes: EndpointChanges) -> None:
    before = (await endpoints.create(an_endpoint(description="old"))).endpoint
    named = {
        name: value for name in ("url", "event_types", "description") if (value := getattr(changes, name)) is not None
    }

    after = await endpoints.update(TENANT, before.id, changes)

    assert after == replace(before, **named)


async def test_who_is_disabled_again_keeps_the_time_and_enabling_ends_it(endpoints: EndpointRepository) -> None:
    id_ = (await endpoints.create(an_endpoint())).endpoint.id

    first, again, renamed = [
        await endpoints.update(TENANT, id_, changes)
        for changes in (
            EndpointChanges(disabled=True),
            EndpointChanges(disabled=True),
            EndpointChanges(description="x"),
        )
    ]
    enabled = await endpoints.update(TENANT, id_, EndpointChanges(disabled=False))

    assert first and again and renamed and enabled
    assert first.disabled_at == again.disabled_at == renamed.disabled_at is not None
    assert enabled.disabled_at is None


async def test_a_rotation_leaves_the_secret_before_it_valid_and_no_older_one(
    endpoints: EndpointRepository, database: Database
) -> None:
    made = await endpoints.create(an_endpoint())
    id_ = made.endpoint.id

    second = await endpoints.rotate(TENANT, id_, "whsec_2", "k2")
    after_second = await secrets_of(database, id_)
    third = await endpoints.rotate(TENANT, id_, "whsec_3", "k3")

    assert second and third
    assert (second.secret, second.endpoint.secret_count) == ("whsec_2", 2)
    assert after_second == ["whsec_2", made.secret]
    assert (third.secret, await secrets_of(database, id_)) == ("whsec_3", ["whsec_3", "whsec_2"])


async def test_a_rotation_that_expires_the_previous_leaves_one(
    endpoints: EndpointRepository, database: Database
) -> None:
    id_ = (await endpoints.create(an_endpoint())).endpoint.id
    await endpoints.rotate(TENANT, id_, "whsec_2", "k2")

    third = await endpoints.rotate(TENANT, id_, "whsec_3", "k3", expire_previous=True)

    assert third and third.endpoint.secret_count == 1
    assert await secrets_of(database, id_) == ["whsec_3"]


async def test_a_rotation_that_is_repeated_also_at_once_is_one(
    endpoints: EndpointRepository, database: Database
) -> None:
    made = await endpoints.create(an_endpoint())

    answers = await race(
        *(lambda: endpoints.rotate(TENANT, made.endpoint.id, f"whsec_{uuid4().hex}", "k") for _ in range(8))
    )

    [secret] = {answer.secret for answer in answers}
    assert await secrets_of(database, made.endpoint.id) == [secret, made.secret]


async def test_rotations_at_once_each_get_their_own_secret_and_the_last_two_sign(
    endpoints: EndpointRepository, database: Database
) -> None:
    made = await endpoints.create(an_endpoint())

    async def rotate() -> str:
        rotated = await endpoints.rotate(TENANT, made.endpoint.id, f"whsec_{uuid4().hex}", uuid4().hex)
        assert rotated
        return rotated.secret

    told = await race(*(rotate for _ in range(8)))

    left = await secrets_of(database, made.endpoint.id)
    assert len(set(told)) == 8
    assert len(left) == 2 and set(left) <= set(told)


async def test_what_is_owed_goes_to_the_url_and_is_signed_with_the_secrets_of_the_moment(
    endpoints: EndpointRepository, jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    made = await endpoints.create(an_endpoint())
    job = await fails(jobs)
    await endpoints.rotate(TENANT, made.endpoint.id, "whsec_2", "k2")
    await endpoints.update(TENANT, made.endpoint.id, EndpointChanges(url="https://example.org/new"))

    [delivery] = await claimed(deliveries)

    assert (delivery.job_id, delivery.url, delivery.endpoint_closed) == (job, "https://example.org/new", False)
    assert delivery.secrets == ("whsec_2", made.secret)


async def test_moves_owe_nothing_to_who_is_disabled_nor_what_was_missed_when_enabled_again(
    endpoints: EndpointRepository, jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    id_ = (await endpoints.create(an_endpoint(disabled=True))).endpoint.id
    await fails(jobs)
    await endpoints.update(TENANT, id_, EndpointChanges(disabled=False))
    told = await fails(jobs)

    assert [delivery.job_id for delivery in await claimed(deliveries)] == [told]


async def test_what_is_owed_when_it_is_disabled_or_deleted_is_closed_for_its_sender(
    endpoints: EndpointRepository, jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    disabled, deleted, open_ = [(await endpoints.create(an_endpoint())).endpoint.id for _ in range(3)]
    await fails(jobs)
    await endpoints.update(TENANT, disabled, EndpointChanges(disabled=True))
    await endpoints.delete(TENANT, deleted)

    closed = {delivery.lease.endpoint_id: delivery.endpoint_closed for delivery in await claimed(deliveries)}

    assert closed == {disabled: True, deleted: True, open_: False}


async def test_who_was_disabled_by_a_410_is_told_again_once_enabled(
    endpoints: EndpointRepository, jobs: JobRepository, deliveries: DeliveryRepository
) -> None:
    id_ = (await endpoints.create(an_endpoint())).endpoint.id
    await fails(jobs)
    [gone] = await claimed(deliveries)
    await deliveries.finish(gone.lease, Tried(DeliveryState.DEAD, status=410, error="HTTP_ERROR", disable=True))
    found: Endpoint | None = await endpoints.get(TENANT, id_)
    assert found and found.disabled_at

    await endpoints.update(TENANT, id_, EndpointChanges(disabled=False))
    told = await fails(jobs)

    assert [delivery.job_id for delivery in await claimed(deliveries)] == [told]


async def secrets_of(database: Database, endpoint_id: UUID) -> list[str]:
    """The secrets that sign, newest first."""
    row = await database.fetchrow("SELECT secrets FROM endpoints WHERE id = $1", endpoint_id)
    assert row
    return list(row["secrets"])
