import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest

from gleaner_api.watch import Tailer
from gleaner_core.errors import Unavailable
from gleaner_core.ids import uuid7
from gleaner_core.states import State
from gleaner_repo import Event

JOB, OTHER = uuid7(), uuid7()


def an_event(seq: int, job_id: UUID = JOB) -> Event:
    return Event(
        job_id=job_id,
        seq=seq,
        event_id=uuid7(),
        type="job.started",
        leg=1,
        series=1,
        attempt=1,
        final=False,
        at=datetime.now(UTC),
        state=State.RUNNING,
        refinement=None,
        error=None,
        reason=None,
    )


class Log:
    """The events of jobs, as the repository gives them; counts how often it is asked."""

    def __init__(self, *events: Event) -> None:
        self.events = list(events)
        self.asked: list[dict[UUID, int]] = []
        self.silent = 0

    async def events_of(self, after: Mapping[UUID, int]) -> list[Event]:
        self.asked.append(dict(after))
        if self.silent:
            self.silent -= 1
            raise Unavailable
        return [event for event in self.events if event.seq > after.get(event.job_id, 10**9)]


@pytest.fixture
def log() -> Log:
    return Log(*(an_event(seq) for seq in range(1, 4)), an_event(1, OTHER))


async def seqs(tailer: Tailer, job_id: UUID, after: int, count: int) -> list[int]:
    async with tailer.following(job_id, after) as moves, asyncio.timeout(5):
        return [event.seq for _ in range(count) if (event := await moves.next())]


async def test_everybody_gets_the_moves_after_what_they_saw(log: Log) -> None:
    tailer, stop = Tailer(log, every=0), asyncio.Event()  # type: ignore[arg-type]
    reading = asyncio.create_task(tailer.run(stop))
    answers = await asyncio.gather(
        seqs(tailer, JOB, 0, 3), seqs(tailer, JOB, 2, 1), seqs(tailer, OTHER, 0, 1), seqs(tailer, JOB, 1, 2)
    )
    stop.set()
    await reading

    assert [*answers] == [[1, 2, 3], [3], [1], [2, 3]]


async def test_nobody_is_asked_while_nobody_watches(log: Log) -> None:
    tailer, stop = Tailer(log, every=0), asyncio.Event()  # type: ignore[arg-type]
    reading = asyncio.create_task(tailer.run(stop))
    await seqs(tailer, JOB, 0, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    asked = len(log.asked)
    for _ in range(20):
        await asyncio.sleep(0)
    stop.set()
    await reading

    assert len(log.asked) == asked


async def test_a_database_that_does_not_answer_ends_no_watch(log: Log) -> None:
    log.silent = 3
    tailer, stop = Tailer(log, every=0), asyncio.Event()  # type: ignore[arg-type]
    reading = asyncio.create_task(tailer.run(stop))
    answer = await seqs(tailer, JOB, 0, 3)
    stop.set()
    await reading

    assert answer == [1, 2, 3]


async def test_when_the_process_ends_all_subscriptions_do() -> None:
    tailer, stop = Tailer(Log(), every=0), asyncio.Event()  # type: ignore[arg-type]
    reading = asyncio.create_task(tailer.run(stop))
    async with tailer.following(JOB, 0) as moves:
        stop.set()
        await reading
        assert await moves.next() is None
    async with tailer.following(JOB, 0) as late:
        assert await late.next() is None
