"""Replicas of one service, as a Deployment keeps them: each a process with an address of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gleaner_stack.ports import LOOPBACK
from gleaner_stack.processes import Log, Service, ServiceProcess

SURGE = 1


class Deployment:
    """A service's replicas. `addresses` are all that a replica may ever have: callers know them from the start and
    find out themselves which of them answer, as they would from a name.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ports: Sequence[int],
        log: Log,
        group: asyncio.TaskGroup,
        told: Callable[[str], None],
    ) -> None:
        self.name = name
        self.addresses = tuple(f"{LOOPBACK}:{port}" for port in ports)
        self.environment: Mapping[str, str] = {}
        self.clean = True  # whether each replica ended by itself when it was asked to
        self.started = 0
        self._command = command
        self._log = log
        self._group = group
        self._told = told
        self._free = list(self.addresses)
        self._replicas: list[ServiceProcess] = []
        self._turn = asyncio.Lock()
        self._changed = asyncio.Condition()

    @property
    def size(self) -> int:
        """How many replicas serve, those that are on their way out not counted."""
        return len(self._replicas)

    async def scale(self, size: int) -> None:
        """There are `size` replicas: new ones serve, and others were asked to end, the newest first."""
        async with self._turn:
            if size != self.size:
                self._told(f"{self.name}: {self.size} -> {size}")
            missing = max(size - self.size, 0)
            await asyncio.gather(*(self._start() for _ in range(missing)))
            for replica in self._replicas[size:][::-1]:
                self._end(replica)
        await self._tell()

    async def restart(self) -> None:
        """Each replica was replaced, one after the other: by one that serves before the old one is asked to end."""
        for old in tuple(self._replicas):
            async with self._turn:
                if old not in self._replicas:  # scaled away meanwhile
                    continue
                await self._start()
                ending = self._end(old)
            await ending
            self._told(f"{self.name}: one was replaced")

    async def reached(self, fits: Callable[[int], bool], patience: float) -> None:
        """Returns once the number of replicas fits. Raises TimeoutError."""
        async with asyncio.timeout(patience), self._changed:
            await self._changed.wait_for(lambda: fits(self.size))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _start(self) -> None:
        address = self._free.pop(0)
        self.started += 1
        service = Service(
            f"{self.name}-{self.started}", self._command, address, {**self.environment, "GLEANER_LISTEN": address}
        )
        replica = ServiceProcess(service, self._log)
        self._group.create_task(replica.run())
        await replica.serving()
        self._replicas.append(replica)

    def _end(self, replica: ServiceProcess) -> "asyncio.Task[None]":
        self._replicas.remove(replica)
        return self._group.create_task(self._ended(replica))

    async def _ended(self, replica: ServiceProcess) -> None:
        self.clean = await replica.stop(grace=60) and replica.starts == 1 and self.clean
        self._free.append(str(replica.service.address))
        await self._tell()
