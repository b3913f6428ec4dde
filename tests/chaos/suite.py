"""The suite under test: real processes, a Postgres of their own, and something breakable between the two."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from chaos.plan import Plan
from chaos.receiver import Receiver

from gleaner_repo import Database, DatabaseSettings, open_database
from gleaner_stack.postgres import EmbeddedPostgres
from gleaner_stack.supervisor import COMMANDS, Stack, StackOptions
from support.pgbouncer import pgbouncer
from support.proxy import Proxy

KINDS = ("api", "worker", "bbox-worker", "reaper")
DRAINERS = "drainer"
"""Not a service: who reads a consumer group in the database itself."""
# A few transactions commit long after they have drawn their place in the log, and after others with later places.
_LATE = """
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.03 THEN
        PERFORM pg_sleep(0.05 + random() / 5);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER late AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION late()
"""


@dataclass
class Suite:
    """`proxies`: the way to Postgres, one for each kind of service, one for drainers. `database`: our own, which nobody
    breaks.

    `holders`: by the id under which a process holds jobs, which service it is. `bugs`: errors that a service has logged
    with a trace, for it expected none.
    """

    stack: Stack
    postgres: EmbeddedPostgres
    proxies: dict[str, Proxy]
    receiver: Receiver
    database: Database
    holders: dict[str, str] = field(default_factory=dict)
    bugs: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Suite]:
    """The suite, serving; what all of it logs is in `chaos.log`."""
    plan.out.mkdir(parents=True, exist_ok=True)
    holders: dict[str, str] = {}
    bugs: Counter[str] = Counter()
    async with AsyncExitStack() as exits:
        log = exits.enter_context((plan.out / "chaos.log").open("w", encoding="utf-8", buffering=1))

        def heard(name: str, line: str) -> None:
            log.write(f"{name:<14} | {line}\n")
            if '"claiming"' in line:
                holders[json.loads(line)["holder"]] = name
            if '"exception"' in line and '"ERROR"' in line:
                bugs[f"{name}: {json.loads(line)['message']}"] += 1

        postgres = await exits.enter_async_context(EmbeddedPostgres(settings={"max_connections": "200"}))
        way = (
            exits.enter_context(pgbouncer(postgres.url, connections=20)).url(postgres.url)
            if plan.pgbouncer
            else postgres.url
        )
        proxies = {kind: await exits.enter_async_context(Proxy(way).running()) for kind in (*KINDS, DRAINERS)}
        receiver = await exits.enter_async_context(Receiver().listening())
        options = StackOptions(
            database_url=postgres.url,
            workers=plan.workers,
            bbox_workers=plan.bbox_workers,
            reapers=plan.reapers,
            environment=plan.environment,
            commands={"migrate": COMMANDS["migrate"]} | {kind: _by_way_of(proxies[kind], kind) for kind in KINDS},
            grace=20,
        )
        stack = await exits.enter_async_context(Stack(options, heard))
        ours = DatabaseSettings(database_url=postgres.url, database_pool_size=4, database_timeout_s=10)
        database = await exits.enter_async_context(open_database(ours, name="chaos"))
        await database.execute(_LATE)
        yield Suite(stack, postgres, proxies, receiver, database, holders, bugs)


def _by_way_of(proxy: Proxy, kind: str) -> list[str]:
    return ["/usr/bin/env", f"GLEANER_DATABASE_URL={proxy.url}", *COMMANDS[kind]]
