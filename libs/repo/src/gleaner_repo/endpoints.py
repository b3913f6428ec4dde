"""Endpoints: where a tenant wants to be told of its jobs' moves. Each method is one statement."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from gleaner_core.errors import TooManyEndpoints
from gleaner_repo import sql
from gleaner_repo.jobs import NEWEST
from gleaner_repo.moves import EVENT_TYPES, event_name
from gleaner_repo.pool import Database

_CREATE = sql.read("create_endpoint")
_GET = sql.read("get_endpoint")
_LIST = sql.read("list_endpoints")
_UPDATE = sql.read("update_endpoint")
_ROTATE = sql.read("rotate_secret")
_DELETE = sql.read("delete_endpoint")


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint to store. `id`, `secret` and `request_key` are the caller's, so that a repeated statement repeats
    them."""

    id: UUID
    tenant_id: str
    url: str
    event_types: frozenset[str]
    secret: str = field(repr=False)
    request_key: str
    description: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What is to be different; None is left as it is."""

    url: str | None = None
    event_types: frozenset[str] | None = None
    description: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as it is, but for its secrets."""

    id: UUID
    url: str
    event_types: frozenset[str]
    description: str
    disabled_at: datetime | None
    created_at: datetime
    secret_count: int


@dataclass(frozen=True, slots=True)
class Keyed:
    """An endpoint with its newest secret."""

    endpoint: Endpoint
    secret: str = field(repr=False)


class EndpointRepository:
    """The endpoints of all tenants. Every method raises Unavailable if the database did not answer; whether its
    statement was carried out is then unknown, and it may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, new: NewEndpoint) -> Keyed:
        """Stores the endpoint, or finds the one that the same request key has made, as it is by now.

        Raises TooManyEndpoints.
        """
        while True:
            try:
                row = await self._database.fetchrow(
                    _CREATE,
                    new.id,
                    new.tenant_id,
                    new.url,
                    _numbers(new.event_types),
                    new.description,
                    new.disabled,
                    new.secret,
                    new.request_key,
                )
            except asyncpg.CheckViolationError as error:
                if error.constraint_name != "endpoints_limit":
                    raise
                raise TooManyEndpoints from None
            if row is not None:
                return _keyed(row)

    async def get(self, tenant_id: str, endpoint_id: UUID) -> Endpoint | None:
        """The endpoint as it is."""
        row = await self._database.fetchrow(_GET, endpoint_id, tenant_id)
        return None if row is None else _endpoint(row)

    async def list_page(self, tenant_id: str, *, below: UUID = NEWEST, limit: int = 50) -> list[Endpoint]:
        """Up to `limit` endpoints whose id is below `below`, newest first."""
        return [_endpoint(row) for row in await self._database.fetch(_LIST, tenant_id, below, limit)]

    async def update(self, tenant_id: str, endpoint_id: UUID, changes: EndpointChanges) -> Endpoint | None:
        """The endpoint with the changes; None if there is none."""
        row = await self._database.fetchrow(
            _UPDATE,
            endpoint_id,
            tenant_id,
            changes.url,
            None if changes.event_types is None else _numbers(changes.event_types),
            changes.description,
            changes.disabled,
        )
        return None if row is None else _endpoint(row)

    async def rotate(
        self, tenant_id: str, endpoint_id: UUID, secret: str, request_key: str, *, expire_previous: bool = False
    ) -> Keyed | None:
        """Puts a secret before the newest one, or in the place of all with `expire_previous`; None if there is no such
        endpoint. The key of the last rotation changes nothing and finds that one's secret."""
        row = await self._database.fetchrow(_ROTATE, endpoint_id, tenant_id, secret, request_key, expire_previous)
        return None if row is None else _keyed(row)

    async def delete(self, tenant_id: str, endpoint_id: UUID) -> bool:
        """Deletes the endpoint and its secrets; False if there was none."""
        return await self._database.fetchrow(_DELETE, endpoint_id, tenant_id) is not None


def _numbers(event_types: Collection[str]) -> list[int]:
    return sorted(EVENT_TYPES[name] for name in event_types)


def _keyed(row: asyncpg.Record) -> Keyed:
    return Keyed(_endpoint(row), row["secret"])


def _endpoint(row: asyncpg.Record) -> Endpoint:
    return Endpoint(
        id=row["id"],
        url=row["url"],
        event_types=frozenset(event_name(number) for number in row["event_types"]),
        description=row["description"],
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
        secret_count=row["secret_count"],
    )
