"""How far the readers of the log are behind, and what holds them up: what a dashboard wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from gleaner_repo import sql
from gleaner_repo.backlog import LIMIT
from gleaner_repo.groups import GroupRepository, Horizon
from gleaner_repo.pool import Database

_LAG = sql.read("log_lag")
_STALL = sql.read("log_stall")
_PARKED = sql.read("count_parked")


@dataclass(frozen=True, slots=True)
class Lag:
    """How the log is read. `groups`: age of what each of the suite's own groups has to read next; `tenants`: of the
    tenants' group that is furthest behind, None without any.

    `stalled` is the age of the oldest event that nobody may read yet, for the `writer` is still open.
    """

    groups: Mapping[str, timedelta]
    tenants: timedelta | None
    stalled: timedelta
    parked: int
    writer: Horizon | None


class LagRepository:
    """Reads the lag. Raises Unavailable if the database did not answer."""

    def __init__(self, database: Database, *, limit: int = LIMIT) -> None:
        self._database = database
        self._groups = GroupRepository(database)
        self._limit = limit

    async def read(self) -> Lag:
        """The lag as it is: four statements, of one probe of the log a group."""
        ages = {row["name"]: timedelta(seconds=row["age_s"]) for row in await self._database.fetch(_LAG)}
        stall = await self._database.fetchrow(_STALL)
        parked = await self._database.fetchrow(_PARKED, self._limit)
        assert parked is not None
        return Lag(
            groups={name: age for name, age in ages.items() if name is not None},
            tenants=ages.get(None),
            stalled=timedelta(seconds=stall["stalled_s"] if stall else 0),
            parked=parked["parked"],
            writer=await self._groups.horizon(),
        )
