"""What a service and its child processes say to each other: frames of a JSON header and a body.

The service asks; the child sends any number of `{"note": …}`, then one of these:
`{"answer": …, "memory_mb": …}`,
`{"error": class, "message": …, "memory_mb": …}` for a WorkError,
`{"bug": class, "trace": …}` for any other, after which it ends.
"""

import json
import struct
from typing import Any

Header = dict[str, Any]

FRAME = struct.Struct("!II")  # bytes of the header, bytes of the body
LONGEST_HEADER = 2**24
LONGEST_BODY = 2**28
TOO_MUCH_MEMORY = 77  # exit code of a child


def packed(header: Header, body: int) -> bytes:
    """The beginning of a frame; `body` bytes follow it."""
    head = json.dumps(header).encode()
    return FRAME.pack(len(head), body) + head
