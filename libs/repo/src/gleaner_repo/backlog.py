"""How much there is to do: what an autoscaler and a dashboard want to know, from the rows that are alive alone."""

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from gleaner_repo import sql
from gleaner_repo.moves import EXTRACTION, REFINEMENT
from gleaner_repo.pool import Database

LIMIT = 10_000
"""No count goes further: more than this is «very many», and must not cost more."""

_BACKLOG = sql.read("backlog")
_DELIVERIES = sql.read("delivery_backlog")


@dataclass(frozen=True, slots=True)
class LegBacklog:
    """The jobs of one leg. Each count stops at the limit.

    `claimable` may be taken now, `oldest` is how long the first of them has been waiting for it (None without any);
    `waiting` may be taken later (back-off); `running` are leased, also those whose lease ran out. `suspects`, of those
    that wait now or later, lost leases before and are run alone.
    """

    claimable: int
    waiting: int
    running: int
    suspects: int
    oldest: timedelta | None


@dataclass(frozen=True, slots=True)
class DeliveryBacklog:
    """The deliveries that are to be made: `due` now, `waiting` for a later try, `sending` under a lease."""

    due: int
    waiting: int
    sending: int
    oldest: timedelta | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """All there is to do, of all tenants."""

    extraction: LegBacklog
    refinement: LegBacklog
    deliveries: DeliveryBacklog


class BacklogRepository:
    """Reads the backlog. Raises Unavailable if the database did not answer."""

    def __init__(self, database: Database, *, limit: int = LIMIT) -> None:
        self._database = database
        self._limit = limit

    async def read(self) -> Backlog:
        """The backlog as it is: two statements, whose cost grows with what is alive, up to the limit."""
        legs = {row["leg"]: _leg(row) for row in await self._database.fetch(_BACKLOG, self._limit)}
        row = await self._database.fetchrow(_DELIVERIES, self._limit)
        assert row is not None
        return Backlog(
            extraction=legs[EXTRACTION],
            refinement=legs[REFINEMENT],
            deliveries=DeliveryBacklog(row["due"], row["waiting"], row["sending"], _age(row)),
        )


def _leg(row: asyncpg.Record) -> LegBacklog:
    return LegBacklog(row["claimable"], row["waiting"], row["running"], row["suspects"], _age(row))


def _age(row: asyncpg.Record) -> timedelta | None:
    return None if row["oldest_s"] is None else timedelta(seconds=row["oldest_s"])
