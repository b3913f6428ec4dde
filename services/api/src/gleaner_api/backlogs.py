"""The backlog as all who ask this process see it: one reader, however many ask and however often."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gleaner_api.looking import look_until
from gleaner_repo import Backlog, BacklogRepository


class Follower:
    """Somebody who wants each new backlog; of several that came meanwhile only the last."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._latest: Backlog | None = None

    def put(self, backlog: Backlog | None) -> None:
        """A new backlog, or None for the end."""
        self._latest = backlog
        self._news.set()

    async def next(self, until: float) -> Backlog | None:
        """The next backlog, waited for until that time of the loop's clock; None then, and at the end."""
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        return self._latest


class Backlogs:
    """Reads the backlog every `every` seconds while somebody follows it, and not more often for those who ask."""

    def __init__(self, repository: BacklogRepository, every: float = 1.0) -> None:
        self._repository = repository
        self._every = every
        self._followers: set[Follower] = set()
        self._wanted = asyncio.Event()
        self._reading = asyncio.Lock()
        self._latest: tuple[float, Backlog] | None = None
        self._closed = False

    async def latest(self) -> Backlog:
        """A backlog no older than `every` seconds. Raises Unavailable if the database does not answer."""
        async with self._reading:  # those who ask at once share an answer
            if self._latest and self._latest[0] + self._every > asyncio.get_running_loop().time():
                return self._latest[1]
            return await self._fresh()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """A follower of the backlog for the length of the block."""
        follower = Follower()
        if self._closed:
            follower.put(None)
        self._followers.add(follower)
        self._wanted.set()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._wanted.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop` is set; then all followers are at their end."""
        try:
            await look_until(stop, self._look, wanted=self._wanted, every=self._every)
        finally:
            self._closed = True
            for follower in self._followers:
                follower.put(None)

    async def _look(self) -> None:
        async with self._reading:
            backlog = await self._fresh()
        for follower in self._followers:
            follower.put(backlog)

    async def _fresh(self) -> Backlog:
        began = asyncio.get_running_loop().time()
        backlog = await self._repository.read()
        self._latest = (began, backlog)
        return backlog
