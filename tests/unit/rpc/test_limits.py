"""Places for calls that hold much: so many, kept until the call's task ends."""

import asyncio
from datetime import timedelta

import pytest

from gleaner_core.errors import NoRoom
from gleaner_rpc import GrpcSettings, Places


async def test_a_place_is_kept_until_the_calls_task_ends_and_then_the_next_has_it() -> None:
    places = Places(GrpcSettings(max_document_rpcs=1, admission_wait=timedelta(seconds=30)))
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
    places = Places(GrpcSettings(max_document_rpcs=1, admission_wait=timedelta(0)))
    await places.take()
    with pytest.raises(NoRoom):
        await places.take()
