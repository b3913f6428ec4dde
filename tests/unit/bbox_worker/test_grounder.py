"""Grounding in child processes: what it says, and what becomes of it when it is disturbed."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from gleaner.internal.v1 import bbox_worker_pb2
from gleaner.v1 import results_pb2
from gleaner_bbox_worker.grounder import Grounder
from gleaner_bbox_worker.grounding import ground
from gleaner_bbox_worker.settings import GrounderSettings
from gleaner_core.errors import ChildDied
from gleaner_documents import artefact
from support.packs import a_pack
from support.processes import at_work, is_alive

QUICK = a_pack(2, pages=3)


@pytest.fixture
async def grounder() -> AsyncIterator[Grounder]:
    async with Grounder(GrounderSettings(children=1)) as opened:
        yield opened


def pid_of_child(grounder: Grounder) -> int:
    process = grounder.children._children[0]._process
    assert process is not None
    return process.pid


async def grounded(grounder: Grounder, asked: bbox_worker_pb2.GroundRequest) -> results_pb2.ExtractionResult:
    return await grounder.ground(asked.result, asked.schema, asked.pages)


async def begun(grounder: Grounder) -> tuple[asyncio.Task[results_pb2.ExtractionResult], int]:
    """A grounding that takes a while, and the child that is at it."""
    task = asyncio.create_task(grounded(grounder, a_pack()))
    await asyncio.sleep(0)
    pid = pid_of_child(grounder)
    await at_work(pid)
    return task, pid


async def test_a_child_finds_what_we_find_ourselves(grounder: Grounder) -> None:
    theirs = await grounded(grounder, QUICK)

    [stage] = theirs.stages
    assert stage.stage == "ground" and stage.duration.ToNanoseconds() > 0
    del theirs.stages[:]
    assert theirs == ground(QUICK.result, QUICK.schema, artefact.from_pb(QUICK.pages))


async def test_cancelling_ends_the_child_within_a_second(grounder: Grounder) -> None:
    task, pid = await begun(grounder)

    cancelled_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - cancelled_at < 1
    assert not is_alive(pid)
    await grounded(grounder, QUICK)


async def test_a_killed_child_is_worth_another_attempt(grounder: Grounder) -> None:
    task, pid = await begun(grounder)

    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ChildDied) as died:
        await task

    assert died.value.job_error().retryable
    await grounded(grounder, QUICK)


async def test_the_event_loop_goes_on_meanwhile(grounder: Grounder) -> None:
    task, _ = await begun(grounder)
    pauses = []

    while not task.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        pauses.append(time.monotonic() - before)

    assert sorted(pauses)[len(pauses) // 2] < 0.05
    assert max(pauses) < 2, "a heartbeat is due every five seconds"
