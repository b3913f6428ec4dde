"""Readers of consumer groups: two over the api that wait in line for each other, two that drain another group in the
database. What they were handed, and what the sink has in the end, goes into the history."""

import asyncio
import random
from collections import Counter
from contextlib import aclosing, suppress
from urllib.parse import urlsplit

from chaos.load import HardTimes
from chaos.plan import Plan
from chaos.suite import DRAINERS, Suite

from gleaner_client import GleanerClient
from gleaner_client.subscribing import Received
from gleaner_core.errors import Unavailable
from gleaner_repo import DatabaseSettings, GroupRepository, open_database
from gleaner_repo.groups import EVERY_TENANT
from support.group_reader import SINK, make_sink
from support.history import Group, History
from support.proxy import Proxy

OUTSIDE = Group("billing")
INSIDE = Group("audit", once=True)
GROUPS = (OUTSIDE, INSIDE)
_PAUSE_S = 0.3


class Readers:
    """They read until they are cancelled, and refuse, break off and are replaced until they are to be calm."""

    def __init__(self, suite: Suite, history: History, plan: Plan) -> None:
        self._suite = suite
        self._history = history
        self._plan = plan
        self._poison: set[str] = set()
        self.surprises: Counter[str] = Counter()

    async def run(self, calm: asyncio.Event) -> None:
        """Read without end; once `calm` is set, take everything."""
        await make_sink(self._suite.database)
        await GroupRepository(self._suite.database).make(EVERY_TENANT, INSIDE.name, earliest=True)
        async with asyncio.TaskGroup() as group:
            for number in (1, 2):
                group.create_task(self._read(f"reader-{number}", calm))
                group.create_task(self._drain(f"drainer-{number}", calm))

    async def write_down_sink(self) -> None:
        """What the sink has goes into the history, in the order in which it came."""
        for row in await self._suite.database.fetch("SELECT event_id, job_id FROM sink ORDER BY n"):
            with self._history.hand(INSIDE, "sink", str(row["job_id"]), str(row["event_id"])) as handed:
                handed.taken = True

    async def _read(self, actor: str, calm: asyncio.Event) -> None:
        """One reader after the other: each closes in good order after a while."""
        chance = self._chance(actor)
        async with (
            Proxy(f"//{self._suite.stack.api_address}").running() as way,
            GleanerClient(f"127.0.0.1:{urlsplit(way.url).port}") as client,
        ):
            while True:
                with HardTimes(self.surprises):
                    async with aclosing(client.subscribe(OUTSIDE.name, earliest=True)) as events:
                        left = chance.randint(10, 200)
                        async for received in events:
                            await self._meet(received, actor, way, chance, mischief=not calm.is_set())
                            left -= 1
                            if not left:
                                break
                await asyncio.sleep(_PAUSE_S)

    async def _meet(self, received: Received, actor: str, way: Proxy, chance: random.Random, *, mischief: bool) -> None:
        event_id, job = received.event.id, received.job.removeprefix("jobs/")
        with self._history.hand(OUTSIDE, actor, job, event_id) as handed:
            await asyncio.sleep(chance.expovariate(100))
            deed = chance.random()
            if mischief and deed < 0.003:
                self._poison.add(event_id)
            if mischief and (deed < 0.03 or event_id in self._poison):
                await received.nack("chaos")
            elif mischief and deed < 0.04:
                way.cut()  # without a word, as one that is killed
                way.mend()
            else:
                handed.taken = True
                await received.ack()

    async def _drain(self, actor: str, calm: asyncio.Event) -> None:
        chance = self._chance(actor)
        settings = DatabaseSettings(
            database_url=self._suite.proxies[DRAINERS].url,
            database_pool_size=1,
            database_pooler=self._plan.pgbouncer,
            database_timeout_s=self._plan.longest_lease,
        )
        # Named like a service, for its sessions are terminated like theirs.
        async with open_database(settings, name=f"gleaner-{actor}") as database:
            groups = GroupRepository(database)
            while True:
                cancelled = not calm.is_set() and chance.random() < 0.1
                with suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(chance.expovariate(200) if cancelled else None):
                        await groups.consume(EVERY_TENANT, INSIDE.name, SINK, limit=chance.choice((1, 10, 500)))
                await asyncio.sleep(chance.uniform(0, 0.1))

    def _chance(self, actor: str) -> random.Random:
        return random.Random(f"{self._plan.seed} {actor}")
