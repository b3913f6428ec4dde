"""What is done to the suite, and when: kills all the time, troubles that last beside them, a moody receiver."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from chaos.plan import Plan
from chaos.receiver import Mood
from chaos.suite import Suite

from gleaner_core.errors import Unavailable
from gleaner_stack.postgres import PostgresError
from gleaner_stack.processes import StackError
from support.processes import children

_HELD = "SELECT id, seq, holder FROM queue WHERE NOT ready"
_BREAK = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'gleaner-%' AND random() < 0.5"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, to whom, from when to when (seconds since 1970, as the database counts them too)."""

    kind: str
    target: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill -9, and the jobs (with their seq) that its victim held."""

    target: str
    at: float
    held: tuple[tuple[str, int], ...]


class Faults:
    """`log` and `kills` tell what was done."""

    def __init__(self, suite: Suite, plan: Plan, chance: random.Random) -> None:
        self._suite = suite
        self._plan = plan
        self._chance = chance
        self.log: list[Fault] = []
        self.kills: list[Kill] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Break things until `stop`; what is under way then is mended first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(stop, self._plan.kill_every, self._kill))
            group.create_task(self._again_and_again(stop, self._plan.trouble_every, self._trouble))
            group.create_task(self._again_and_again(stop, 3, self._change_mood))
        self._suite.receiver.mood = Mood.TAKES

    async def _again_and_again(self, stop: asyncio.Event, pause: float, fault: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._chance.uniform(0.5, 1.5) * pause)
                return
            await fault()

    async def _kill(self) -> None:
        names = list(self._suite.stack.processes)
        name = self._chance.choice([name for name in names if "worker" in name] if self._plan.only_workers else names)
        if self._chance.random() < 0.15:
            self._kill_child(name)
            return
        try:
            pid = self._suite.stack.processes[name].pid
        except StackError:  # it is dead already
            return
        slowed = children(pid) if "worker" in name else set()
        _signal(slowed, signal.SIGSTOP)  # its documents take long now: it is to be killed in the middle of one
        held = await self._held(name, patience=2 if "worker" in name else 0)
        if _signal({pid}, signal.SIGKILL):
            now = time.time()
            self.kills.append(Kill(name, now, held))
            self.log.append(Fault("kill -9", name, now, now))
        _signal(slowed, signal.SIGCONT)

    def _kill_child(self, name: str) -> None:
        with suppress(StackError):
            below = sorted(children(self._suite.stack.processes[name].pid))
            if below and _signal({self._chance.choice(below)}, signal.SIGKILL):
                self._note("kill -9 of a child", name, time.time())

    async def _held(self, name: str, patience: float) -> tuple[tuple[str, int], ...]:
        """The jobs that a service holds, as soon as it holds any."""
        give_up = time.monotonic() + patience
        while True:
            try:
                rows = await self._suite.database.fetch(_HELD)
            except Unavailable:
                return ()
            mine = [row for row in rows if self._suite.holders.get(str(row["holder"])) == name]
            if mine or time.monotonic() >= give_up:
                return tuple((str(row["id"]), row["seq"]) for row in mine)
            await asyncio.sleep(0.01)

    async def _trouble(self) -> None:
        troubles = (self._stop_and_go, self._cut, self._swallow, self._break, self._restart, self._crash)
        [trouble] = self._chance.choices(troubles, weights=(4, 3, 2, 2, 1, 1))
        await trouble()

    async def _stop_and_go(self) -> None:
        """A zombie: it wakes up when its leases are long gone."""
        name = self._chance.choice([name for name in self._suite.stack.processes if "worker" in name])
        began = time.time()
        with suppress(StackError):
            pid = self._suite.stack.kill(name, signal.SIGSTOP)
            try:
                await asyncio.sleep(self._plan.longest_lease * self._chance.uniform(1.2, 2.5))
            finally:
                _signal({pid}, signal.SIGCONT)
            self._note("SIGSTOP, SIGCONT", name, began)

    async def _cut(self) -> None:
        """One kind of service loses its connections, for less or more than a lease."""
        kind, began = self._chance.choice(list(self._suite.proxies)), time.time()
        self._suite.proxies[kind].cut()
        try:
            await asyncio.sleep(self._plan.longest_lease * self._chance.uniform(0.2, 1.5))
        finally:
            self._suite.proxies[kind].mend()
        self._note("connections cut", kind, began)

    async def _swallow(self) -> None:
        """Statements arrive and their answers do not; then the connections break."""
        kind, began = self._chance.choice(list(self._suite.proxies)), time.time()
        proxy = self._suite.proxies[kind]
        proxy.swallow_answers()
        try:
            await asyncio.sleep(self._chance.uniform(0.3, 1.5))
        finally:
            proxy.cut()
            proxy.mend()
        self._note("answers swallowed", kind, began)

    async def _break(self) -> None:
        """Half of all sessions end in the middle of whatever they do."""
        with suppress(Unavailable):
            await self._suite.database.execute(_BREAK)
            self._note("sessions terminated", "postgres", time.time())

    async def _restart(self) -> None:
        """A database outage longer than a lease."""
        began = time.time()
        await asyncio.to_thread(self._suite.postgres.stop)
        await asyncio.sleep(self._plan.longest_lease * self._chance.uniform(1.1, 1.6))
        await self._start_postgres()
        self._note("postgres down longer than a lease", "postgres", began)

    async def _crash(self) -> None:
        began = time.time()
        await asyncio.to_thread(self._suite.postgres.kill)
        await self._start_postgres()
        self._note("postgres killed -9", "postgres", began)

    async def _start_postgres(self) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self._suite.postgres.start_async()
                except PostgresError:  # the children of the one that was killed are still about
                    await asyncio.sleep(0.5)

    async def _change_mood(self) -> None:
        self._suite.receiver.mood = self._chance.choice([Mood.TAKES, *Mood])

    def _note(self, kind: str, target: str, began: float) -> None:
        self.log.append(Fault(kind, target, began, time.time()))


def _signal(pids: Iterable[int], number: int) -> bool:
    """Whether any of the processes was still there to get the signal."""
    reached = False
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached = True
    return reached
