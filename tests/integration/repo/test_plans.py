"""Plans of the hot statements: no statistics, however empty or old, make one read a whole table.

Generic plans, as prepared statements get them, on a database whose role was set up as the migration command does.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from gleaner_repo import Database, JobFilter, JobRepository, sql
from gleaner_repo.groups import consuming
from gleaner_repo.jobs import STATEMENTS, SUBMIT_NEW
from support.jobs import TENANT
from support.postgres import Databases

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

FINISHED = 100_000
ALIVE = 5_000
LEASED = 500

HOT = dict(STATEMENTS) | {
    name: sql.read(name)
    for name in (
        "submit",
        "find_submitted",
        "renew",
        "lease_of",
        "get_job",
        "get_result",
        "bodies",
        "events_of",
        "list_jobs",
        "list_jobs_in_rare_states",
        "list_job_of_key",
        "delete_job",
        "backlog",
        "delivery_backlog",
    )
}
HOT |= {
    name: sql.read(name)
    for name in (
        "claim_deliveries",
        "unclaim_deliveries",
        "renew_deliveries",
        "finish_delivery",
        "defer_delivery",
        "redeliver",
        "get_delivery",
        "delivery_content",
        "list_deliveries",
        "list_deliveries_of_job",
        "log_stall",
    )
}
HOT |= {
    name: sql.read(name)
    for name in (
        "create_endpoint",
        "get_endpoint",
        "list_endpoints",
        "update_endpoint",
        "rotate_secret",
        "delete_endpoint",
    )
}
HOT |= {
    name: sql.read(name) for name in ("take_group", "renew_group", "read_group", "ack_group", "nack_group", "park_head")
}
HOT |= {
    name: sql.read(name)
    for name in ("remove_jobs", "remove_documents", "remove_deliveries", "remove_events", "remove_parked")
}
HOT["submit, trusting"] = SUBMIT_NEW
HOT["consume"] = consuming("SELECT event_id FROM batch")
# What reads every row that is being sent, on purpose. (Leased rows are the front of queue_pkey.)
_ALLOWED_FILTERS = ("deliveries_sending_idx",)
_WHETHER_THERE_IS_ANY = re.compile(r"Index Only Scan using endpoints_\w+ on endpoints .* width=0\)")

_UNDISTURBED = """
DO $$
BEGIN
    EXECUTE (
        SELECT string_agg(format('ALTER TABLE %I SET (autovacuum_enabled = false)', relname), ';')
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    );
END $$
"""

_FILL = f"""
INSERT INTO jobs (id, tenant_id, fingerprint, request, about)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'default', 'f', 'r', 'a' FROM generate_series(1, {FINISHED}) AS n;
INSERT INTO outcomes (job_id, seq, tenant_id, leg, series, state, has_callback, attempt, lapses, lease_token, result)
SELECT lpad(to_hex(n), 32, '0')::uuid, 3, 'default', 1, 1, 'SUCCEEDED', false, 1, 0, 1, 'r'
FROM generate_series(1, {FINISHED}) AS n;
INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt)
SELECT 1, gen_random_uuid(), lpad(to_hex(n), 32, '0')::uuid, 3, 'default', 7, 1, 1, 1
FROM generate_series(1, {FINISHED}) AS n;
INSERT INTO deliveries (event_id, endpoint_id, tenant_id, job_id, seq, type, url, state, ready)
SELECT gen_random_uuid(), '{UUID(int=0)}', 'default', lpad(to_hex(n), 32, '0')::uuid, 3, 7, 'u', 'DELIVERED', false
FROM generate_series(1, {FINISHED}) AS n;
INSERT INTO jobs (id, tenant_id, fingerprint, request, about)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'default', 'f', 'r', 'a'
FROM generate_series({FINISHED} + 1, {FINISHED} + {ALIVE}) AS n;
INSERT INTO queue (id, tenant_id, has_callback)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'default', false FROM generate_series({FINISHED} + 1, {FINISHED} + {ALIVE}) AS n;
UPDATE queue SET ready = false, holder = '{UUID(int=1)}',
    lease_expires_at = now() + interval '1 hour'
WHERE id <= lpad(to_hex({FINISHED} + {LEASED}), 32, '0')::uuid;
"""


@pytest.fixture(scope="module")
def known(databases: Databases) -> Iterator[dict[str, str]]:
    """Databases by what the planner knows of them: tables that are empty, that were, or as they are.

    The tests only look at them, so they are filled once for all. Nobody else analyses them meanwhile.
    """
    urls = {"empty": databases.clone(), "stale": databases.clone()}
    asyncio.run(_execute(urls["stale"], _UNDISTURBED, "ANALYZE", _FILL))
    urls["fresh"] = databases.clone(of=urls["stale"])
    asyncio.run(_execute(urls["fresh"], "ANALYZE"))
    yield urls
    for url in urls.values():
        databases.drop(url)


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"statement_timeout": "0"})
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture(params=["empty", "stale", "fresh"])
async def connection(request: pytest.FixtureRequest, known: dict[str, str]) -> AsyncIterator[Connection]:
    """A connection that plans with statistics of empty tables, of tables long gone, or of the tables as they are."""
    planning = await asyncpg.connect(known[request.param])
    await planning.execute("SET plan_cache_mode = force_generic_plan")
    yield planning
    await planning.close()


async def test_no_hot_statement_reads_a_whole_table(connection: Connection) -> None:
    found = []
    for name, statement in HOT.items():
        plan = await _generic_plan(connection, statement)
        found += [f"{name}: {line.strip()}" for line in plan if re.search(r"Seq Scan on (?!log_era|groups)", line)]
        # An index scan without a condition, or by a filter alone, is a whole table too.
        found += [f"{name}: {line}" for line in _unconditional(plan)]
        found += [f"{name}: {line}" for line in _roundabout(plan)]
    assert found == []


async def test_the_rows_of_a_move_are_not_compared_each_with_each(connection: Connection) -> None:
    found = []
    for name, statement in [*STATEMENTS.items(), ("submit", SUBMIT_NEW)]:
        plan = json.loads("".join(await _generic_plan(connection, statement, "(FORMAT JSON)")))
        joins = [node for node in _nodes(plan[0]["Plan"]) if node["Node Type"] == "Nested Loop"]
        found += [name for join in joins if all(_is_short_lived(below) for below in _joined(join))]
    # Of these the reaper makes a hundred at once at most.
    assert set(found) <= {"fail_crashed", "fail_crashed_bbox_refine"}


async def test_what_is_asked_again_and_again_is_planned_once(jobs: JobRepository, database: Database) -> None:
    for _ in range(6):
        await jobs.get(TENANT, [UUID(int=1)])
        await jobs.list_page(TENANT, JobFilter())

    # The pool gives out the connection that came back last.
    kept = await database.fetch(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE generic_plans > 1"
    )
    assert [tuple(row) for row in kept] == [(6, 0), (6, 0)]


async def test_the_backlog_of_a_deep_queue_is_not_read_to_its_end(connection: Connection) -> None:
    plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.read('backlog')}", 100))

    read = [node["Actual Rows"] for node in _nodes(plan[0]["Plan"])]
    assert max(read) <= LEASED < ALIVE - LEASED


@pytest.mark.parametrize("name", ["list_jobs", "list_jobs_in_rare_states", "list_job_of_key"])
async def test_a_page_of_a_list_is_walked_to_and_never_sorted_out_of_all_jobs(
    connection: Connection, name: str
) -> None:
    plan = json.loads("".join(await _generic_plan(connection, sql.read(name), "(FORMAT JSON)")))

    sorts = [node for node in _nodes(plan[0]["Plan"]) if node["Node Type"] in ("Sort", "Incremental Sort", "Hash")]
    sorted_out = [below.get("Relation Name") for node in sorts for below in _without_limit(node)]
    assert not {"jobs", "outcomes"} & set(sorted_out)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _joined(join: dict[str, Any]) -> list[dict[str, Any]]:
    return [below for below in join["Plans"] if below["Parent Relationship"] in ("Outer", "Inner")]


def _is_short_lived(plan: dict[str, Any]) -> bool:
    """Whether it gives rows that the statement itself has made or was given."""
    while plan["Node Type"] in ("Materialize", "Sort", "Unique"):
        [plan] = [below for below in plan["Plans"] if below["Parent Relationship"] == "Outer"]
    return plan["Node Type"] in ("CTE Scan", "Function Scan")


def _without_limit(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a node takes in as a whole."""
    yield plan
    for below in plan.get("Plans", []):
        if below["Node Type"] != "Limit":
            yield from _without_limit(below)


def _roundabout(plan: list[str]) -> list[str]:
    """Scans of the queue's indexes whose condition does not narrow them: ids looked for in all that waits."""
    found = []
    for line, following in zip(plan, [*plan[1:], ""], strict=True):
        scan = re.search(r"(?:Index|Bitmap).* Scan .*(?:using|on) (queue_\w+)", line)
        condition = following.partition("Index Cond: ")[2]
        if scan and scan.group(1) == "queue_pkey" and "(id " not in condition and condition != "(ready = false)":
            found.append(f"{line.strip()} {condition}")
        if scan and scan.group(1) in ("queue_claim_idx", "queue_suspect_idx") and "(id " in condition:
            found.append(f"{line.strip()} {condition}")
    return found


async def _generic_plan(connection: Connection, statement: str, form: str = "") -> list[str]:
    prepared = await connection.prepare(statement)
    arguments = ", ".join("NULL" for _ in prepared.get_parameters())
    await connection.execute(f"PREPARE planned AS {statement}")
    rows = await connection.fetch(f"EXPLAIN {form} EXECUTE planned" + (f"({arguments})" if arguments else ""))
    await connection.execute("DEALLOCATE planned")
    return [row[0] for row in rows]


def _unconditional(plan: list[str]) -> list[str]:
    """Index scans that no condition narrows, but for those over the leased rows."""
    found = []
    for line, following in zip(plan, [*plan[1:], ""], strict=True):
        scan = re.search(r"Index (?:Only )?Scan (?:Backward )?using (\w+)", line)
        allowed = scan and (scan.group(1) in _ALLOWED_FILTERS or _WHETHER_THERE_IS_ANY.search(line))
        if scan and not allowed and "Index Cond" not in following:
            found.append(line.strip())
    return found
