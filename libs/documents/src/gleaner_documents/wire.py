"""What a service and its child processes say to each other: frames of a JSON header and a body."""

import json
import struct
from typing import Any

Header = dict[str, Any]

FRAME = struct.Struct("!II")  # bytes of the header, bytes of the body
TOO_MUCH_MEMORY = 77  # exit code of a child


def packed(header: Header, body: int) -> bytes:
    """The beginning of a frame; `body` bytes follow it."""
    head = json.dumps(header).encode()
    return FRAME.pack(len(head), body) + head
