"""Places for calls that hold much: so many, kept until the call's task ends."""

import asyncio
from datetime import timedelta

import pytest

from gleaner_core.errors import NoRoom
from gleaner_rpc import Places


async def test_a_place_is_kept_until_the_calls_task_ends_and_then_the_next_has_it() -> None:
    places = Places(1, timedelta(seconds=30))
    answered = asyncio.Event()
    order: list[str] = []

    async def call(name: str) -> None:
        await places.take()
        order.append(name)
        await answered.wait()  # the servicer has returned, the answer is being written

    async with asyncio.TaskGroup() as group:
        group.create_task(call("first"))
        group.create_task(call("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["first"]
        answered.set()
    assert order == ["first", "second"]


async def test_who_finds_no_place_in_time_is_told_to_come_again() -> None:
    places = Places(1, timedelta(0))
    await places.take()
    with pytest.raises(NoRoom):
        await places.take()


async def test_who_does_not_read_the_answer_is_cut_off_and_the_place_is_free() -> None:
    places = Places(1, timedelta(seconds=30), longest=timedelta(milliseconds=50))

    async def call_that_nobody_hears() -> None:
        await places.take()
        await asyncio.Event().wait()  # a write that flow control holds up

    deaf = asyncio.create_task(call_that_nobody_hears())
    await asyncio.wait({deaf})
    assert deaf.cancelled()
    async with asyncio.timeout(10):
        await places.take()
