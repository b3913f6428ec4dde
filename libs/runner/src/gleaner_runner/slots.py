"""How much a worker does at once, counted by work that has stopped, not by leases held."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gleaner_core.errors import NoRoom


class Slots:
    """A fixed number of places, shared by claimed jobs and synchronous calls.

    A claim reserves the places that it asks for: a synchronous call that comes while the answer is under way takes
    none of them. Work that must be alone takes all places; for its sake they are kept free as others leave them.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = 0
        self._reserved = 0
        self._emptying = False
        self._freed = asyncio.Event()
        self._on_free: list[Callable[[], None]] = []

    @property
    def free(self) -> int:
        """How many places nobody works in."""
        return self.size - self._taken

    def on_free(self, call: Callable[[], None]) -> None:
        """Has `call` called whenever a place gets free."""
        self._on_free.append(call)

    @property
    def emptying(self) -> bool:
        """Whether places that get free are kept for work that needs all of them."""
        return self._emptying

    @emptying.setter
    def emptying(self, wanted: bool) -> None:
        self._emptying = wanted
        self._tell()

    def reserve(self, most: int) -> int:
        """Keeps free places for a claim, and returns how many; `settle` must follow, before the next."""
        assert not self._reserved
        self._reserved = max(min(self.free, most), 0)
        return self._reserved

    def settle(self, taken: int) -> None:
        """So many of the reserved places are taken; the others are anybody's."""
        assert taken <= self._reserved
        self._taken += taken
        self._reserved = 0
        self._tell()

    def give(self, places: int = 1) -> None:
        """Gives places back."""
        self._taken -= places
        self._tell()
        for call in self._on_free:
            call()

    @asynccontextmanager
    async def one(self, patience_s: float = 0.25) -> AsyncIterator[None]:
        """A place for the time of the block; raises NoRoom if none gets free within a moment."""
        try:
            async with asyncio.timeout(patience_s):
                while self._emptying or self.free <= self._reserved:
                    await self._freed.wait()
        except TimeoutError:
            raise NoRoom from None
        self._taken += 1
        try:
            yield
        finally:
            self.give()

    def _tell(self) -> None:
        self._freed.set()  # wakes those in line
        self._freed.clear()
