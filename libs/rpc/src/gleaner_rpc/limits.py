"""What bounds a call: whether it is let in, how long it may take, and that it ends when the server does."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from gleaner_core.errors import DeadlinePassed, Draining, GleanerError, NoRoom
from gleaner_rpc.settings import GrpcSettings

_LAST_WORD_S = 0.5  # for streams to end in their own words when the server drains


class Places:
    """So many calls at a time hold a document or a result. Who has a place keeps it until the answer is written, for
    `longest` at most: a caller that does not read on is cut off.

    `patience` is how long one waits for a place.
    """

    def __init__(self, number: int, patience: timedelta, longest: timedelta | None = None) -> None:
        self._free = asyncio.Semaphore(number)
        self._patience_s = patience.total_seconds()
        self._longest_s = longest.total_seconds() if longest else None

    async def take(self) -> None:
        """The call of the current task has a place, until the task ends. Raises NoRoom if none gets free in time."""
        if self._free.locked():
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._free.acquire()
            except TimeoutError:
                raise NoRoom from None
        else:
            await self._free.acquire()
        task = _at_end(self._left)
        if self._longest_s is not None:
            cut = asyncio.get_running_loop().call_later(self._longest_s, task.cancel)
            task.add_done_callback(lambda _: cut.cancel())

    def _left(self, _: object) -> None:
        self._free.release()


def _at_end(left: Callable[[object], None]) -> "asyncio.Task[object]":
    """The current task, which calls `left` when it ends: after the answer is written, in that of a call."""
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(left)
    return task


class Gate:
    """Counts the calls of a server, lets in what it has room for, and none any more once it drains.

    `heavy` are methods whose requests carry documents: they have a limit of their own, and wait at the gate, before
    their body is read, so that the memory of a server is bounded. `limits` are methods that may take longer, or less
    long, than others.
    """

    def __init__(
        self,
        settings: GrpcSettings,
        *,
        heavy: Collection[str] = (),
        limits: Mapping[str, timedelta] | None = None,
    ) -> None:
        self._settings = settings
        self._heavy = frozenset(heavy)
        self._places = Places(settings.max_document_rpcs, settings.admission_wait)
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
        self._running += 1
        self._idle.clear()
        _at_end(self._left)
        if method in self._heavy:
            await self._places.take()

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
