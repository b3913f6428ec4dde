"""What is removed when its time is over: a statement a batch, each safe beside any other, and beside another reaper's.

Every method yields how many rows each batch removed, until there is nothing left to look at. Whoever stops in between
loses nothing.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from gleaner_repo import sql
from gleaner_repo.groups import EVERYTHING, NOTHING, GroupRepository, Position
from gleaner_repo.pool import Database

_JOBS = sql.read("remove_jobs")
_DOCUMENTS = sql.read("remove_documents")
_DELIVERIES = sql.read("remove_deliveries")
_EVENTS = sql.read("remove_events")
_PARKED = sql.read("remove_parked")

_FIRST = UUID(int=0)
_TRIES = 5
BATCH = 1000
BATCH_BYTES = 64 * 2**20
"""What one statement removes at most, so that it ends well before its time-out."""


class Retention:
    """The end of what is kept. Every method raises Unavailable if the database did not answer."""

    def __init__(self, database: Database, *, batch: int = BATCH, batch_bytes: int = BATCH_BYTES) -> None:
        self._database = database
        self._batch = batch
        self._batch_bytes = batch_bytes

    async def jobs(self, kept: timedelta) -> AsyncGenerator[int, None]:
        """Removes jobs that ended longer ago than `kept`, with all that is theirs but their events.

        A job stays while it is alive, and while somebody has still to be told of it.
        """
        reached = _FIRST
        while row := await self._unreferenced(_JOBS, kept, reached, self._batch, self._batch_bytes):
            yield row["removed"]
            if row["reached"] is None:
                return
            reached = row["reached"]

    async def documents(self, kept: timedelta) -> AsyncGenerator[int, None]:
        """Removes documents to which no job has referred for longer than `kept`, or ever."""
        while row := await self._unreferenced(_DOCUMENTS, kept, self._batch, self._batch_bytes):
            yield row["removed"]
            if not row["removed"] + row["saved"]:
                return

    async def deliveries(self, kept: timedelta) -> AsyncGenerator[int, None]:
        """Removes deliveries that ended longer ago than `kept`."""
        after, looked = (_FIRST, _FIRST), self._batch
        while looked == self._batch:
            row = await self._row(_DELIVERIES, kept, *after, self._batch)
            yield row["removed"]
            after, looked = (row["event_id"], row["endpoint_id"]), row["looked"]

    async def events(self, kept: timedelta) -> AsyncGenerator[int, None]:
        """Removes events older than `kept` that every group has read, but for those of jobs that are alive and those
        that a delivery tells of."""
        slowest = await GroupRepository(self._database).slowest_position() or EVERYTHING
        after, looked, old = NOTHING, self._batch, True
        while old and looked == self._batch:
            row = await self._row(
                _EVENTS, slowest.era, slowest.xid, slowest.id, kept, self._batch, after.era, after.xid, after.id
            )
            yield row["removed"]
            looked, old = row["looked"], row["old"]
            if looked:
                after = Position(row["era"], row["xid"], row["id"])

    async def parked(self, kept: timedelta) -> AsyncGenerator[int, None]:
        """Removes events that were parked longer ago than `kept`, but for those that are about to be tried again."""
        removed = self._batch
        while removed == self._batch:
            removed = (await self._row(_PARKED, kept, self._batch))["removed"]
            yield removed

    async def _unreferenced(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The statement's row. It is sent again if it chose something that was referred to meanwhile; None if that
        went on and on, and another time is better."""
        for _ in range(_TRIES):
            try:
                return await self._row(statement, *arguments)
            except asyncpg.ForeignKeyViolationError:
                continue
        return None

    async def _row(self, statement: str, *arguments: Any) -> asyncpg.Record:
        row = await self._database.fetchrow(statement, *arguments)
        assert row is not None
        return row
