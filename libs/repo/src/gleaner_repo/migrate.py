"""The migration command: brings the schema up to date, once, before the services roll out.

Migrations are numbered files, forward-only, that the previous version of the code survives. Any number of migrating
processes may run at once: the first does the work, the others wait for it.
"""

import argparse
import asyncio
import hashlib
import logging
import sys

import asyncpg

from gleaner_core.errors import Unavailable
from gleaner_repo.migrations import migrations
from gleaner_repo.pool import SILENCE
from gleaner_repo.settings import DatabaseSettings

log = logging.getLogger(__name__)

_LOCK = 7_250_113_421  # one lock for all migrating processes of a database

_ROLE_SETTINGS = {
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "2s",
    "statement_timeout": "8s",  # sooner than who waits gives up the connection (GLEANER_DATABASE_TIMEOUT_S)
    "tcp_user_timeout": "10s",  # the server waits for whoever does not take its answer, and that no other one ends
    "jit": "off",
    "enable_seqscan": "off",  # a plan made while a table was empty would read all of it once it is full
    "plan_cache_mode": "force_generic_plan",  # what the tests explain, and no planning at each call
    "enable_bitmapscan": "off",  # the same by an index, and out of order: a page of a list would read the whole tenant
}
"""On the role, not as start-up parameters: PgBouncer refuses those (docs/adr/0005-role-settings.md)."""

# For this transaction alone: behind a pooler the connection is another's afterwards.
_PATIENT = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning"

_SET = """
SELECT format('ALTER ROLE %I IN DATABASE %I SET %I = %L', current_user, current_database(), $1::text, $2::text)
"""

_RAISE_ERA = """
UPDATE log_era
SET era = era + 1
WHERE EXISTS (
    SELECT FROM events
    WHERE events.era = log_era.era AND events.xid >= pg_snapshot_xmax(pg_current_snapshot())
) OR EXISTS (
    SELECT FROM groups
    WHERE groups.era = log_era.era AND groups.xid > pg_snapshot_xmax(pg_current_snapshot())
)
RETURNING era
"""


async def migrate(url: str) -> list[str]:
    """Brings the database up to date and returns the names of the migrations that it took.

    Raises Unavailable if the database does not answer, and RuntimeError if an applied migration was changed since.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)  # there may be a pooler
    except SILENCE as error:
        raise Unavailable("the database at GLEANER_DATABASE_URL") from error
    try:
        async with connection.transaction():
            await connection.execute(_PATIENT)
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            taken = await _take_missing(connection)
            await set_role(connection)
            if era := await connection.fetchval(_RAISE_ERA):
                log.warning("the log is ahead of this cluster's transactions: era %d begins", era)
    finally:
        await connection.close()
    return taken


async def set_role(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Gives the connecting role its time-outs and planner settings, in this database alone."""
    for name, value in _ROLE_SETTINGS.items():
        await connection.execute(await connection.fetchval(_SET, name, value))


async def _take_missing(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (name text PRIMARY KEY, digest text NOT NULL, taken_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    known = {row["name"]: row["digest"] for row in await connection.fetch("SELECT name, digest FROM migrations")}
    taken = []
    for name, text in migrations():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in known:
            if known[name] != digest:
                raise RuntimeError(f"migration {name} was changed after it had been taken: write a new one instead")
            continue
        await connection.execute(text)
        await connection.execute("INSERT INTO migrations (name, digest) VALUES ($1, $2)", name, digest)
        taken.append(name)
    return taken


def run() -> None:
    """The command `gleaner-migrate`."""
    argparse.ArgumentParser(
        prog="gleaner-migrate",
        description="Brings the database at GLEANER_DATABASE_URL up to date. Safe to repeat.",
    ).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = DatabaseSettings()
        taken = asyncio.run(_migrate_when_up(settings))
    except (Unavailable, RuntimeError, ValueError) as error:
        sys.exit(f"gleaner-migrate: {error}")
    sys.stdout.write("".join(f"took {name}\n" for name in taken) or "up to date\n")


async def _migrate_when_up(settings: DatabaseSettings) -> list[str]:
    give_up = asyncio.get_running_loop().time() + settings.database_start_timeout_s
    while True:
        try:
            return await migrate(settings.database_url)
        except Unavailable:
            if asyncio.get_running_loop().time() >= give_up:
                raise
            await asyncio.sleep(0.5)
