"""What bounds a call: whether it is let in, how long it may take, and that it ends when the server does."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta

from gleaner_core.errors import DeadlinePassed, Draining, GleanerError, NoRoom
from gleaner_rpc.settings import GrpcSettings

_LAST_WORD_S = 0.5  # for streams to end in their own words when the server drains


class Gate:
    """Counts the calls of a server, lets in what it has room for, and none any more once it drains.

    `heavy` are methods whose requests carry documents: they have a limit of their own, and wait at the gate, before
    their body is read, so that the memory of a server is bounded. `limits` are methods that may take longer, or less
    long, than others.
    """

    def __init__(
        self, settings: GrpcSettings, *, heavy: Collection[str] = (), limits: Mapping[str, timedelta] | None = None
    ) -> None:
        self._settings = settings
        self._heavy = frozenset(heavy)
        self._heavy_slots = asyncio.Semaphore(settings.max_document_rpcs)
        self._limits = dict(limits or {})
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._streams: set[asyncio.Timeout] = set()

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return self._running

    async def admit(self, method: str) -> None:
        """The call of the current task is let in, and leaves when the task ends.

        Raises Draining, or NoRoom when there are too many.
        """
        if self._draining:
            raise Draining
        if self._running >= self._settings.max_concurrent_rpcs:
            raise NoRoom
        task = asyncio.current_task()
        assert task is not None
        self._running += 1
        self._idle.clear()
        task.add_done_callback(self._left)
        if method in self._heavy:
            if self._heavy_slots.locked():
                try:
                    async with asyncio.timeout(self._settings.admission_wait.total_seconds()):
                        await self._heavy_slots.acquire()
                except TimeoutError:
                    raise NoRoom from None
            else:
                await self._heavy_slots.acquire()
            task.add_done_callback(self._left_heavy)

    def _left_heavy(self, _: object) -> None:
        self._heavy_slots.release()

    def _left(self, _: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    def seconds(self, method: str, remaining: float | None) -> float:
        """How long a call may take: until the caller's deadline, or the server's limit where that is sooner."""
        limit = self._limits.get(method, self._settings.call_limit).total_seconds()
        return limit if remaining is None else min(limit, remaining)

    def follow(self, stream: asyncio.Timeout) -> None:
        """The stream is to end when the server drains. Raises Draining if it does already."""
        if self._draining:
            raise Draining
        self._streams.add(stream)

    def unfollow(self, stream: asyncio.Timeout) -> None:
        """The stream has ended."""
        self._streams.discard(stream)

    def over(self, seconds: float) -> GleanerError:
        """Why a call ends whose time, so many seconds, is up."""
        return Draining() if self._draining else DeadlinePassed(timedelta(seconds=seconds))

    async def drain(self) -> None:
        """No call is let in any more, streams have ended, and so has every other call: wait for it with a time-out."""
        self._draining = True
        for patience in tuple(self._streams):
            patience.reschedule(asyncio.get_running_loop().time() + _LAST_WORD_S)
        await self._idle.wait()
