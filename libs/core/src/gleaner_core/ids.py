"""Ids: UUIDv7 (RFC 9562, section 5.7), made by whoever asks the database, so that a repeated statement repeats them."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A UUID whose first 48 bits are the time in milliseconds: ids made later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)  # version
    value = (value & ~(0x3 << 62)) | (0x2 << 62)  # variant
    return UUID(int=value)
