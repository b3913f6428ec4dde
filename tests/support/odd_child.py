"""A child of a ChildPool that does what it is told, however unwise."""

import os
import time

from gleaner_children import Header, Note, arguments, serve
from gleaner_core.errors import DocumentDamaged


def answer(header: Header, body: bytes, note: Note) -> tuple[Header, bytes]:
    """Does what `header["do"]` says."""
    match header["do"]:
        case "echo":
            print("a library that prints")  # noqa: T201
            return {"pid": os.getpid(), "arguments": arguments()}, body
        case "compute":
            note({"began": True})
            while True:
                pass
        case "dawdle":
            note({"began": True})
            time.sleep(60)
        case "refuse":
            raise DocumentDamaged("refused")
        case "stumble":
            raise KeyError("what the document says")
        case "grow":
            _kept.append(b"x" * header["mb"] * 2**20)
            time.sleep(header["stay_s"])
            return {"pid": os.getpid()}, b""
        case "babble":
            os.write(_ANSWERS, b"\xff" * 100)
            time.sleep(60)
    raise AssertionError(header)


_kept: list[bytes] = []
_ANSWERS = 4  # the copy of standard output that only answers go to

if __name__ == "__main__":
    serve(answer)
