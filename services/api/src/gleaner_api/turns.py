"""One at a time for each key, so that who comes second finds the work of the first done."""

import asyncio
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Turns:
    """A lock a key, there for as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def at(self, key: Hashable) -> asyncio.Lock:
        """The key's lock."""
        return self._locks.setdefault(key, asyncio.Lock())
