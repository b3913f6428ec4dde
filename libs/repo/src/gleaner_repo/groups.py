"""Consumer groups: readers of the log that share a position, by name. One reader of a group at a time.

Two ways to read. A handler in the database is part of the statement that moves the position: exactly once (`consume`).
A reader outside takes a lease, reads, and acknowledges: at least once (`take`, `read`, `ack`, `nack`).

No reader passes an event whose transaction may still be open, so a late commit with a low position is not skipped.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import asyncpg

from gleaner_core.errors import GroupExpired, GroupNotFound, Unavailable
from gleaner_repo import records, sql
from gleaner_repo.moves import EVENT_TYPES, event_name
from gleaner_repo.pool import Database
from gleaner_repo.rows import Event

EVERY_TENANT = ""
"""The tenant of groups that read the events of all tenants: the suite's own sinks."""

GROUP_TTL = timedelta(days=7)
MAX_TRIES = 5
_SCAN = 1000  # events that one statement looks at, wanted or not
_FIRST = UUID(int=0)

_MAKE = sql.read("make_group")
_RESTART = sql.read("restart_group")
_GET = sql.read("get_group")
_LIST = sql.read("list_groups")
_DELETE = sql.read("delete_group")
_TAKE = sql.read("take_group")
_RENEW = sql.read("renew_group")
_RELEASE = sql.read("release_group")
_READ = sql.read("read_group")
_ACK = sql.read("ack_group")
_NACK = sql.read("nack_group")
_PARK = sql.read("park_head")
_LIST_PARKED = sql.read("list_parked")
_REPLAY = sql.read("replay_parked")
_TAKE_REPLAYS = sql.read("take_replays")
_SETTLE_REPLAY = sql.read("settle_replay")
_REFUSE_REPLAY = sql.read("refuse_replay")
_SLOWEST = sql.read("slowest_position")
_EXPIRE = sql.read("expire_groups")
_HORIZON = sql.read("horizon")
_CONSUME = sql.read("consume")
_CONSUME_REPLAYS = sql.read("consume_replays")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log; their order is the log's. `xid` starts anew with each era."""

    era: int
    xid: int
    id: int


NOTHING = Position(0, 0, 0)
EVERYTHING = Position(2**15 - 1, 2**64 - 1, 2**63 - 1)
"""Positions before and after all events."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is. `event_types` empty: all."""

    tenant_id: str
    name: str
    event_types: frozenset[str]
    position: Position
    has_reader: bool
    tries: int
    parked: int
    created_at: datetime
    last_moved_at: datetime
    expired_at: datetime | None


@dataclass(frozen=True, slots=True)
class GroupLease:
    """The right to read a group and to move it, until it runs out or somebody else is given a higher token.

    `position` is where the group stood; `careful` how many events from there on are to be read one at a time, because
    a reader died over one of them.
    """

    tenant_id: str
    name: str
    token: int
    position: Position
    tries: int
    careful: int


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event at its place in the log."""

    position: Position
    tenant_id: str
    event: Event
    trace_context: str | None = None  # the submit's; not read of parked events


@dataclass(frozen=True, slots=True)
class Batch:
    """What a read found: events to handle, and the position up to which there is nothing else that is wanted."""

    events: tuple[LoggedEvent, ...]
    reached: Position | None


@dataclass(frozen=True, slots=True)
class Refused:
    """What became of a refused event: it is handed out again later, or, with its tries used up, it was parked.

    `position` is where the group stands now.
    """

    position: Position
    tries: int
    parked: bool


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a group gave up, and why."""

    logged: LoggedEvent
    reason: str
    tries: int
    parked_at: datetime
    replay: bool


@dataclass(frozen=True, slots=True)
class Horizon:
    """The transaction that the log waits for: nothing that was written after it began is read before it ends.

    `pid` is None for a prepared transaction, whose identifier is then the `application`; `age` is None if this role
    may not see it (pg_read_all_stats).
    """

    age: timedelta | None
    pid: int | None
    database: str | None
    application: str | None
    state: str | None


class GroupRepository:
    """The consumer groups of all tenants. Every method raises Unavailable if the database did not answer; whether its
    statement was carried out is then unknown."""

    def __init__(
        self,
        database: Database,
        *,
        max_tries: int = MAX_TRIES,
        rest: timedelta = timedelta(seconds=1),
        longest_rest: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._max_tries = max_tries
        self._rest = rest
        self._longest_rest = longest_rest

    # Groups.

    async def make(
        self, tenant_id: str, name: str, *, event_types: Collection[str] = (), earliest: bool = False
    ) -> None:
        """Makes the group if there is none of this name; it starts now, or at the oldest event that is kept."""
        await self._database.execute(_MAKE, tenant_id, name, _numbers(event_types), earliest)

    async def restart(
        self, tenant_id: str, name: str, *, event_types: Collection[str] = (), earliest: bool = False
    ) -> None:
        """Brings an expired group back, from now on or from the oldest event that is kept; else changes nothing."""
        await self._database.execute(_RESTART, tenant_id, name, _numbers(event_types), earliest)

    async def get(self, tenant_id: str, name: str) -> Group:
        """The group as it is. Raises GroupNotFound."""
        row = await self._database.fetchrow(_GET, tenant_id, name)
        if row is None:
            raise GroupNotFound(name)
        return _group(row)

    async def list_all(self, tenant_id: str) -> list[Group]:
        """The tenant's groups, by name."""
        return [_group(row) for row in await self._database.fetch(_LIST, tenant_id)]

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Deletes the group and what it parked; False if there was none."""
        return bool(await self._database.fetch(_DELETE, tenant_id, name))

    # A handler in the database: exactly once.

    async def consume(self, tenant_id: str, name: str, handler: str, *, limit: int = 500) -> int | None:
        """Does with up to `limit` events what `handler` says, in the statement that moves the position.

        `handler` is a statement that reads `batch` (the columns of `events`), a constant of the code: INSERT INTO …
        SELECT … FROM batch. Returns how many events it got, 0 also if it failed (the culprit is tried again later, and
        parked in the end), None if somebody else reads the group now. Raises GroupNotFound and GroupExpired.
        """
        while True:
            try:
                row = await self._database.fetchrow(consuming(handler), tenant_id, name, limit, _SCAN)
            except (asyncpg.PostgresError, Unavailable) as error:
                if (failed := _of_handler(error)) is None:
                    raise
                if limit == 1:
                    await self._blame_head(tenant_id, name, failed)
                    return 0
                limit //= 2
            else:
                if row is None:
                    await self._alive(tenant_id, name)
                    return None
                if row["handled"] or not row["moved"]:
                    return int(row["handled"])

    async def consume_replays(self, tenant_id: str, name: str, handler: str) -> int:
        """Does with parked events that are to be tried again what `handler` says; they stay parked if it fails."""
        try:
            row = await self._database.fetchrow(_with(_CONSUME_REPLAYS, handler), tenant_id, name)
        except (asyncpg.PostgresError, Unavailable) as error:
            if (failed := _of_handler(error)) is None:
                raise
            await self._database.execute(_REFUSE_REPLAY, tenant_id, name, None, _why(failed))
            return 0
        assert row is not None
        return int(row["handled"])

    async def _blame_head(self, tenant_id: str, name: str, error: asyncpg.PostgresError) -> None:
        group = await self.get(tenant_id, name)
        await self._refuse(tenant_id, name, None, group.position, _why(error))

    # A reader outside: at least once.

    async def take(self, tenant_id: str, name: str, holder: UUID, lease: timedelta) -> GroupLease | None:
        """Makes `holder` the group's reader; None while somebody else is. Raises GroupNotFound and GroupExpired.

        An event over which readers died until its tries were used up is parked.
        """
        row = await self._database.fetchrow(_TAKE, tenant_id, name, holder, lease)
        if row is None:
            await self._alive(tenant_id, name)
            return None
        taken = GroupLease(tenant_id, name, row["lease_token"], _position(row), row["tries"], row["careful"])
        if taken.tries < self._max_tries:
            return taken
        moved = await self._park(tenant_id, name, taken.token, "its readers died over it")
        if moved is None:
            return taken
        return GroupLease(tenant_id, name, taken.token, _position(moved), 0, moved["careful"])

    async def renew(self, lease: GroupLease, length: timedelta) -> bool | None:
        """Writes the lease's new end. Returns whether parked events are to be tried again, None if it is lost."""
        row = await self._database.fetchrow(_RENEW, lease.tenant_id, lease.name, lease.token, length)
        return None if row is None else row["replays"]

    async def release(self, lease: GroupLease, *, died: bool = False) -> None:
        """Ends the lease. With `died`, what was handed out and not settled counts as a try of its first event."""
        await self._database.execute(_RELEASE, lease.tenant_id, lease.name, lease.token, died)

    async def read(self, lease: GroupLease, after: Position, limit: int) -> Batch | None:
        """Up to `limit` events after a position; None if the lease is lost."""
        rows = await self._database.fetch(
            _READ, lease.tenant_id, lease.name, lease.token, *_columns(after), limit, max(limit, _SCAN)
        )
        if not rows:
            return None
        reached = rows[0]["reached_era"]
        return Batch(
            tuple(_logged(row) for row in rows if row["event_id"] is not None),
            None if reached is None else Position(reached, rows[0]["reached_xid"], rows[0]["reached_id"]),
        )

    async def ack(self, lease: GroupLease, upto: Position, settled: int, length: timedelta) -> int | None:
        """Moves the group on to `upto`, which settles so many of the events it was handed, and renews the lease.

        Returns how many events are still to be read one at a time; None if the lease is lost. Safe to repeat.
        """
        row = await self._database.fetchrow(
            _ACK, lease.tenant_id, lease.name, lease.token, *_columns(upto), settled, length
        )
        return None if row is None else row["careful"]

    async def nack(self, lease: GroupLease, at: Position, reason: str) -> Refused | None:
        """Refuses the first event after `at`, where the group stands; None if the lease is lost.

        Everything after `at` is handed out again, after a rest.
        """
        return await self._refuse(lease.tenant_id, lease.name, lease.token, at, reason)

    async def take_replays(self, lease: GroupLease, limit: int) -> list[ParkedEvent]:
        """Parked events that are to be tried again. They stay parked until `settle_replay`."""
        rows = await self._database.fetch(_TAKE_REPLAYS, lease.tenant_id, lease.name, lease.token, limit)
        return sorted((_parked(row) for row in rows), key=lambda parked: parked.logged.position)

    async def settle_replay(self, tenant_id: str, name: str, event_id: UUID) -> None:
        """A parked event was handled after all."""
        await self._database.execute(_SETTLE_REPLAY, tenant_id, name, event_id)

    async def refuse_replay(self, tenant_id: str, name: str, event_id: UUID, reason: str) -> None:
        """A parked event was refused once more."""
        await self._database.execute(_REFUSE_REPLAY, tenant_id, name, event_id, reason)

    # What was parked.

    async def list_parked(
        self, tenant_id: str, name: str, *, after: UUID = _FIRST, limit: int = 100
    ) -> list[ParkedEvent]:
        """Parked events of a group, oldest first, after an event."""
        rows = await self._database.fetch(_LIST_PARKED, tenant_id, name, after, limit)
        return [_parked(row) for row in rows]

    async def replay(self, tenant_id: str, name: str, event_ids: Iterable[UUID] | None = None) -> list[UUID]:
        """Asks for another try of parked events, of all by default; returns which there were."""
        wanted = None if event_ids is None else list(event_ids)
        return [row["event_id"] for row in await self._database.fetch(_REPLAY, tenant_id, name, wanted)]

    # What the reaper asks, and operators.

    async def slowest_position(self) -> Position | None:
        """The position of the slowest group that holds the log; None if there is none."""
        row = await self._database.fetchrow(_SLOWEST)
        return None if row is None else _position(row)

    async def mark_expired(self, ttl: timedelta = GROUP_TTL) -> list[tuple[str, str]]:
        """Expires the groups that stood still for so long before something to read; returns their tenants and names."""
        return [(row["tenant_id"], row["name"]) for row in await self._database.fetch(_EXPIRE, ttl)]

    async def horizon(self) -> Horizon | None:
        """The oldest open writer of the server, which the log waits for; None if nobody writes."""
        row = await self._database.fetchrow(_HORIZON)
        if row is None:
            return None
        return Horizon(row["age"], row["pid"], row["database"], row["application"], row["state"])

    async def _refuse(self, tenant_id: str, name: str, token: int | None, at: Position, reason: str) -> Refused | None:
        row = await self._database.fetchrow(
            _NACK, tenant_id, name, token, *_columns(at), self._rest, self._longest_rest
        )
        if row is None:
            return None
        if row["tries"] >= self._max_tries and (moved := await self._park(tenant_id, name, token, reason)):
            return Refused(_position(moved), 0, parked=True)
        return Refused(at, row["tries"], parked=False)

    async def _park(self, tenant_id: str, name: str, token: int | None, reason: str) -> asyncpg.Record | None:
        return await self._database.fetchrow(_PARK, tenant_id, name, token, self._max_tries, reason)

    async def _alive(self, tenant_id: str, name: str) -> None:
        if (await self.get(tenant_id, name)).expired_at is not None:
            raise GroupExpired(name)


@cache
def consuming(handler: str) -> str:
    """The statement that hands `batch` to a handler and moves the group."""
    return _with(_CONSUME, handler)


def _with(statement: str, handler: str) -> str:
    return statement.replace("/* handler */", handler)


def _numbers(event_types: Collection[str]) -> list[int] | None:
    return sorted(EVENT_TYPES[name] for name in event_types) or None


def _columns(position: Position) -> tuple[int, int, int]:
    return position.era, position.xid, position.id


def _position(row: asyncpg.Record) -> Position:
    return Position(row["era"], row["xid"], row["id"])


def _group(row: asyncpg.Record) -> Group:
    return Group(
        tenant_id=row["tenant_id"],
        name=row["name"],
        event_types=frozenset(event_name(number) for number in row["event_types"] or ()),
        position=_position(row),
        has_reader=row["has_reader"],
        tries=row["tries"],
        parked=row["parked"],
        created_at=row["created_at"],
        last_moved_at=row["last_moved_at"],
        expired_at=row["expired_at"],
    )


def _logged(row: asyncpg.Record) -> LoggedEvent:
    return LoggedEvent(_position(row), row["tenant_id"], records.event(row), row.get("trace_context"))


def _parked(row: asyncpg.Record) -> ParkedEvent:
    return ParkedEvent(_logged(row), row["reason"], row["tries"], row["parked_at"], row["replay"])


def _of_handler(error: asyncpg.PostgresError | Unavailable) -> asyncpg.PostgresError | None:
    """What went wrong, if it may have been the handler: what the server says no to, or that it took too long."""
    if isinstance(error, asyncpg.PostgresError):
        return error
    return error.__cause__ if isinstance(error.__cause__, asyncpg.QueryCanceledError) else None


def _why(error: asyncpg.PostgresError) -> str:
    # Its text may quote values of the event or of the sink.
    return f"the handler failed: {type(error).__name__}"
