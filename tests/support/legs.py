"""A leg whose runs do what a test says, for the loop that both workers share."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import UUID

from gleaner_repo import Bodies, ClaimedJob, Finished
from gleaner_runner import EXTRACTION_MOVES, Ending, LegSettings, Runner, RunnerSettings

SHORT_LEASE = timedelta(seconds=1.5)
QUICK = RunnerSettings(
    slots=4,
    heartbeat_s=0.3,
    poll_max_s=0.2,
    rescue_interval_s=0.1,
    retry_base_delay_s=0,
    retry_max_delay_s=0,
    run_grace_s=0.5,
)

Work = Callable[[ClaimedJob], Awaitable[bytes]]
Started = Callable[..., AbstractAsyncContextManager[Runner]]
"""Starts a runner for a leg, for the time of a block."""


async def done(job: ClaimedJob) -> bytes:
    """Work that takes no time; its result names the fencing token it ran under."""
    return str(job.lease.token).encode()


async def for_ever(job: ClaimedJob) -> bytes:
    """Work that never ends by itself."""
    await asyncio.Event().wait()
    raise AssertionError


class TestLeg:
    """An extraction leg. `started`, `stopped` and `won` tell what became of runs, in order."""

    __test__ = False
    number = 1
    moves = EXTRACTION_MOVES

    def __init__(
        self,
        work: Work = done,
        *,
        lease: timedelta = SHORT_LEASE,
        run_limit: timedelta = timedelta(seconds=30),
        max_attempts: int = 3,
        max_result_bytes: int = 1000,
    ) -> None:
        self.settings = LegSettings(lease, run_limit, max_attempts, max_result_bytes)
        self.work = work
        self.started: asyncio.Queue[ClaimedJob] = asyncio.Queue()
        self.stopped: asyncio.Queue[UUID] = asyncio.Queue()
        self.made: asyncio.Queue[tuple[UUID, str]] = asyncio.Queue()
        self.running = 0
        self.most_running = 0

    async def run(self, job: ClaimedJob, bodies: Bodies) -> Ending:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.started.put_nowait(job)
        try:
            return Ending("mark_succeeded", Finished(result=await self.work(job)))
        except asyncio.CancelledError:
            self.stopped.put_nowait(job.id)
            raise
        finally:
            self.running -= 1

    def won(self, job: ClaimedJob, move: str) -> None:
        self.made.put_nowait((job.id, move))
