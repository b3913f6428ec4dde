"""One reader for all who ask: counted on a repository that counts."""

import asyncio
from typing import cast

import pytest

from gleaner_api.backlogs import Backlogs
from gleaner_core.errors import Unavailable
from gleaner_repo import Backlog, BacklogRepository, DeliveryBacklog, LegBacklog

FOREVER = float("inf")


class Counting:
    """Answers with backlogs of 1, 2, 3 ... claimable jobs."""

    def __init__(self) -> None:
        self.reads = 0
        self.silent = False
        self._progress = asyncio.Condition()

    async def reach(self, reads: int) -> None:
        """Returns once it was read so often."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.reads >= reads)

    async def read(self) -> Backlog:
        if self.silent:
            self.silent = False
            raise Unavailable
        async with self._progress:
            self.reads += 1
            self._progress.notify_all()
        leg = LegBacklog(self.reads, 0, 0, 0, None)
        return Backlog(leg, leg, DeliveryBacklog(0, 0, 0, None))


def backlogs(repository: Counting, every: float) -> Backlogs:
    return Backlogs(cast("BacklogRepository", repository), every)


async def test_those_who_ask_at_once_share_an_answer() -> None:
    repository = Counting()
    shared = backlogs(repository, every=3600)

    answers = await asyncio.gather(*(shared.latest() for _ in range(50)))

    assert repository.reads == 1 and len(set(map(id, answers))) == 1


async def test_nobody_reads_while_nobody_follows() -> None:
    repository = Counting()
    shared = backlogs(repository, every=0.001)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.run(stop))
        async with shared.following() as follower, shared.following() as other:
            first, second = await follower.next(FOREVER), await other.next(FOREVER)
            await follower.next(FOREVER)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await repository.reach(repository.reads + 2)  # one may have been under way
        stop.set()

    assert first is second is not None


async def test_followers_wait_on_while_the_database_does_not_answer() -> None:
    repository = Counting()
    repository.silent = True
    shared = backlogs(repository, every=0.001)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.run(stop))
        async with shared.following() as follower:
            assert await follower.next(FOREVER) is not None
        stop.set()


async def test_followers_are_at_their_end_when_the_process_ends() -> None:
    shared = backlogs(Counting(), every=3600)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.run(stop))
        async with shared.following() as follower:
            await follower.next(FOREVER)
            stop.set()
            assert await follower.next(FOREVER) is None
    async with shared.following() as late:
        assert await late.next(FOREVER) is None


async def test_a_follower_is_at_its_end_when_its_time_is_over() -> None:
    async with backlogs(Counting(), every=3600).following() as follower:
        assert await follower.next(asyncio.get_running_loop().time()) is None


async def test_who_asks_is_told_that_the_database_does_not_answer() -> None:
    repository = Counting()
    repository.silent = True

    with pytest.raises(Unavailable):
        await backlogs(repository, every=1).latest()
