"""Calls to the database that may be repeated, repeated a little while it does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from gleaner_core.backoff import backoff
from gleaner_core.errors import Unavailable

T = TypeVar("T")
_TRIES = 4
_BASE, _CAP = timedelta(milliseconds=100), timedelta(seconds=2)


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a call that may be repeated, tried again a few times while the database does not answer."""
    for attempt in range(1, _TRIES):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(backoff(attempt, _BASE, _CAP).total_seconds())
    return await call()
