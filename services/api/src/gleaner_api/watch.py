"""Following jobs: one reader a process for all that are watched, by their own rows and in the order of their moves.

It never looks at the log's position, so that a stalled log stalls nobody who waits for one job.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from gleaner_api.looking import look_until
from gleaner_repo import Event, JobRepository


class Subscription:
    """The moves of one job, as they are made. Ends when the process does."""

    def __init__(self, job_id: UUID, after: int) -> None:
        self.job_id = job_id
        self.after = after
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event | None) -> None:
        """The next move, or None for the end."""
        if event is not None:
            self.after = event.seq
        self._events.put_nowait(event)

    async def next(self) -> Event | None:
        """The next move, None at the end; waits for it."""
        return await self._events.get()


class Tailer:
    """Reads the moves of all jobs that somebody follows, every `every` seconds while there is one."""

    def __init__(self, jobs: JobRepository, every: float = 0.1) -> None:
        self._jobs = jobs
        self._every = every
        self._watched: dict[UUID, set[Subscription]] = {}
        self._wanted = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def following(self, job_id: UUID, after: int) -> AsyncIterator[Subscription]:
        """A subscription to the job's moves with a `seq` above `after`, for the length of the block."""
        subscription = Subscription(job_id, after)
        if self._closed:
            subscription.put(None)
        self._watched.setdefault(job_id, set()).add(subscription)
        self._wanted.set()
        try:
            yield subscription
        finally:
            subscribers = self._watched[job_id]
            subscribers.discard(subscription)
            if not subscribers:
                del self._watched[job_id]
            if not self._watched:
                self._wanted.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop` is set; then all subscriptions end."""
        try:
            await look_until(stop, self._look, wanted=self._wanted, every=self._every)
        finally:
            self._closed = True
            for subscribers in self._watched.values():
                for subscription in subscribers:
                    subscription.put(None)

    async def _look(self) -> None:
        asked = {job_id: min(s.after for s in subscribers) for job_id, subscribers in self._watched.items()}
        for event in await self._jobs.events_of(asked):
            for subscription in self._watched.get(event.job_id, ()):
                if event.seq > subscription.after:
                    subscription.put(event)
