"""The plans of the statements that were measured: generic ones, as prepared statements come to have."""

from collections.abc import AsyncIterator, Mapping

from bench.scale.sides import Side
from bench.scale.timings import Taken
from gleaner_repo import sql


async def plans(side: Side, taken: Mapping[str, Mapping[str, Taken]]) -> str:
    """The plan of each statement of each measure, each statement once."""
    statements = {statement: None for found in taken.values() for statement in found[side.name].statements}
    return "\n".join([line async for line in _plans(side, statements)])


async def _plans(side: Side, statements: Mapping[str, None]) -> AsyncIterator[str]:
    async with side.database.pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for statement in statements:
            prepared = await connection.prepare(statement)
            nulls = ", ".join("NULL" for _ in prepared.get_parameters())
            arguments = f"({nulls})" if nulls else ""
            await connection.execute(f"PREPARE planned AS {statement}")
            yield f"\n-- {sql.name_of(statement)}"
            for row in await connection.fetch(f"EXPLAIN EXECUTE planned{arguments}"):
                yield row[0]
            await connection.execute("DEALLOCATE planned")
        await connection.execute("RESET plan_cache_mode")
