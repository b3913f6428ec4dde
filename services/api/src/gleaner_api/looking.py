"""One look at the database for all who wait for the same, again and again while anybody does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gleaner_core.errors import Unavailable
from gleaner_repo import FAILURES

_log = logging.getLogger(__name__)


async def look_until(
    stop: asyncio.Event, look: Callable[[], Awaitable[None]], *, wanted: asyncio.Event, every: float
) -> None:
    """Looks every `every` seconds while `wanted` is set, until `stop` is. One that the database does not answer is
    left out."""
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_look(look, wanted, every))
        await stop.wait()
        looking.cancel()


async def _look(look: Callable[[], Awaitable[None]], wanted: asyncio.Event, every: float) -> None:
    while True:
        await wanted.wait()
        try:
            await look()
        except FAILURES as error:  # its text may quote a row
            level = logging.DEBUG if isinstance(error, Unavailable) else logging.ERROR
            _log.log(level, "a look failed, and those who wait wait on: %s", type(error).__name__)
        await asyncio.sleep(every)
