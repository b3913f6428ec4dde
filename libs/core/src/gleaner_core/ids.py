"""Ids: UUIDv7 (RFC 9562, section 5.7), made by whoever asks the database, so that a repeated statement repeats them."""

import os
import time
from uuid import UUID

_A_LOT = 256
_chance: list[int] = []
os.register_at_fork(after_in_child=_chance.clear)  # else both would make the same ids


def uuid7() -> UUID:
    """A UUID whose first 48 bits are the time in milliseconds: ids made later sort later."""
    try:  # not by looking first: another thread may take the last one in between
        chance = _chance.pop()
    except IndexError:  # many at once: whenever the kernel is asked, another thread gets the interpreter
        drawn = os.urandom(10 * _A_LOT)
        chance, *more = (int.from_bytes(drawn[at : at + 10], "big") for at in range(0, len(drawn), 10))
        _chance.extend(more)
    value = (time.time_ns() // 1_000_000 << 80) | chance
    value = (value & ~(0xF << 76)) | (0x7 << 76)  # version
    value = (value & ~(0x3 << 62)) | (0x2 << 62)  # variant
    return UUID(int=value)
