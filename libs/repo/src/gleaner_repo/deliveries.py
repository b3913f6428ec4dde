"""Deliveries: what must be sent for an event, and by whom. The moves write them; each method here is one statement."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from gleaner_repo import records, sql
from gleaner_repo.moves import event_name
from gleaner_repo.pool import Database
from gleaner_repo.rows import NO_DELAY, Event

CALLBACK = UUID(int=0)
"""The endpoint of a delivery to its job's callback URL."""

_LAST = UUID(int=2**128 - 1)
NEWEST = (_LAST, _LAST)

_CLAIM = sql.read("claim_deliveries")
_UNCLAIM = sql.read("unclaim_deliveries")
_RENEW = sql.read("renew_deliveries")
_FINISH = sql.read("finish_delivery")
_DEFER = sql.read("defer_delivery")
_REDELIVER = sql.read("redeliver")
_GET = sql.read("get_delivery")
_LIST = sql.read("list_deliveries")
_LIST_OF_JOB = sql.read("list_deliveries_of_job")
_CONTENT = sql.read("delivery_content")


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


@dataclass(unsafe_hash=True, slots=True)
class DeliveryLease:
    """The right to send and to write down what came of it. `expires` as a Lease's."""

    event_id: UUID
    endpoint_id: UUID
    token: int
    expires: float = field(compare=False)

    def lapsed(self) -> bool:
        """Whether it ran out by this process's own count."""
        return time.monotonic() >= self.expires


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery as it was claimed. `secrets` are its endpoint's; None for a job's callback URL."""

    lease: DeliveryLease
    tenant_id: str
    job_id: UUID
    seq: int
    attempt: int
    url: str
    secrets: tuple[str, ...] | None
    endpoint_closed: bool

    @property
    def event_id(self) -> UUID:
        """The event's id: the webhook-id, whichever try it is."""
        return self.lease.event_id


@dataclass(frozen=True, slots=True)
class Content:
    """What a delivery tells. `lapses` and `started_at` are known of moves that end a leg; `result` is None, too, if it
    is larger than was asked for."""

    event: Event
    about: bytes
    created_at: datetime
    request_key: str | None
    trace_context: str | None
    lapses: int | None
    started_at: datetime | None
    result: bytes | None
    result_size: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a try: the state it leaves the delivery in, and why."""

    state: DeliveryState
    delay: timedelta = NO_DELAY
    status: int | None = None
    error: str | None = None
    disable: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is."""

    event_id: UUID
    endpoint_id: UUID
    job_id: UUID
    seq: int
    type: str
    url: str
    state: DeliveryState
    attempt: int
    created_at: datetime
    available_at: datetime
    ended_at: datetime | None
    last_status: int | None
    last_error: str | None


class DeliveryRepository:
    """The deliveries of all tenants. Every method raises Unavailable if the database did not answer; whether its
    statement was carried out is then unknown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, limit: int, lease: timedelta, claim: UUID, *, rescue: bool) -> list[ClaimedDelivery]:
        """PENDING -> SENDING for up to `limit` due deliveries, oldest first; with `rescue` those, too, whose sender
        let its lease run out. `claim` is an id that no other claim has, by which `unclaim` knows it."""
        sent = time.monotonic()
        rows = await self._database.fetch(_CLAIM, limit, lease, claim, rescue)
        return [_claimed(row, sent + lease.total_seconds()) for row in rows]

    async def unclaim(self, claim: UUID) -> None:
        """SENDING -> PENDING for what the claim took and nobody else has taken since, without counting the attempt."""
        await self._database.execute(_UNCLAIM, claim)

    async def renew(self, leases: Iterable[DeliveryLease], lease: timedelta) -> set[DeliveryLease]:
        """Writes the leases' new end and counts it from before the statement was sent; returns those that are lost."""
        asked = {(held.event_id, held.endpoint_id, held.token): held for held in leases}
        sent = time.monotonic()
        columns = [list(column) for column in zip(*asked, strict=True)]
        # As for jobs: a connection may be dead without a word, and there must be time to ask on another.
        rows = await self._database.fetch(_RENEW, *columns, lease, within=lease.total_seconds() / 3)
        answers = {(row["event_id"], row["endpoint_id"], row["lease_token"]): row for row in rows}
        for key, held in asked.items():
            if answers[key]["renewed"]:
                held.expires = sent + lease.total_seconds()
        return {held for key, held in asked.items() if answers[key]["lost"]}

    async def finish(self, lease: DeliveryLease, tried: Tried) -> timedelta | None:
        """SENDING -> what the try came to. Returns how old the delivery is, or None if the lease is lost."""
        row = await self._database.fetchrow(
            _FINISH,
            lease.event_id,
            lease.endpoint_id,
            lease.token,
            tried.state,
            tried.delay,
            tried.status,
            tried.error,
            tried.disable,
        )
        return None if row is None else timedelta(seconds=row["age_s"])

    async def defer(
        self, lease: DeliveryLease, delay: timedelta = NO_DELAY, *, longest: timedelta | None = None
    ) -> DeliveryState | None:
        """SENDING -> PENDING after `delay`, without counting the attempt, or DEAD after `longest`; None if the lease
        is lost."""
        row = await self._database.fetchrow(_DEFER, lease.event_id, lease.endpoint_id, lease.token, delay, longest)
        return None if row is None else DeliveryState(row["state"])

    async def content(self, delivery: ClaimedDelivery, largest_result: int) -> Content | None:
        """What the delivery tells, None if its job is not kept any more. The same on every try."""
        row = await self._database.fetchrow(_CONTENT, delivery.tenant_id, delivery.job_id, delivery.seq, largest_result)
        return None if row is None else _content(row)

    async def redeliver(self, tenant_id: str, event_id: UUID, endpoint_id: UUID) -> bool:
        """DEAD or DELIVERED -> PENDING, with all its tries; False if it is neither."""
        return await self._database.fetchrow(_REDELIVER, event_id, endpoint_id, tenant_id) is not None

    async def get(self, tenant_id: str, event_id: UUID, endpoint_id: UUID) -> Delivery | None:
        """The delivery as it is."""
        row = await self._database.fetchrow(_GET, event_id, endpoint_id, tenant_id)
        return None if row is None else _delivery(row)

    async def list_page(
        self,
        tenant_id: str,
        *,
        job_id: UUID | None = None,
        states: frozenset[DeliveryState] = frozenset(),
        below: tuple[UUID, UUID] = NEWEST,
        limit: int = 50,
    ) -> list[Delivery]:
        """Up to `limit` deliveries whose event and endpoint are below `below`, newest first."""
        arguments: list[Any] = [tenant_id, *below, limit, list(states or DeliveryState)]
        if job_id is None:
            rows = await self._database.fetch(_LIST, *arguments)
        else:
            rows = await self._database.fetch(_LIST_OF_JOB, *arguments, job_id)
        return [_delivery(row) for row in rows]


def _claimed(row: asyncpg.Record, expires: float) -> ClaimedDelivery:
    return ClaimedDelivery(
        lease=DeliveryLease(row["event_id"], row["endpoint_id"], row["lease_token"], expires),
        tenant_id=row["tenant_id"],
        job_id=row["job_id"],
        seq=row["seq"],
        attempt=row["attempt"],
        url=row["url"],
        secrets=None if row["secrets"] is None else tuple(row["secrets"]),
        endpoint_closed=row["endpoint_closed"],
    )


def _content(row: asyncpg.Record) -> Content:
    return Content(
        event=records.event(row),
        about=row["about"],
        created_at=row["created_at"],
        request_key=row["request_key"],
        trace_context=row["trace_context"],
        lapses=row["lapses"],
        started_at=row["started_at"],
        result=row["result"],
        result_size=row["result_size"] or 0,
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(
        event_id=row["event_id"],
        endpoint_id=row["endpoint_id"],
        job_id=row["job_id"],
        seq=row["seq"],
        type=event_name(row["type"]),
        url=row["url"],
        state=DeliveryState(row["state"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        available_at=row["available_at"],
        ended_at=row["ended_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
    )
