"""A child of a ChildPool that does what it is told, however unwise."""

import contextlib
import os
import threading
import time
from pathlib import Path

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
        case "hang up":
            _close_all_like(0)
            threading.Thread(target=time.sleep, args=[60]).start()
            return {"pid": os.getpid()}, b""
        case "babble":
            os.write(_ANSWERS, b"\xff" * 100)
            time.sleep(60)
    raise AssertionError(header)


def _close_all_like(fd: int) -> None:
    """Copies too: the module's own, and one that uvloop leaves in its children."""
    stream = os.fstat(fd).st_ino
    for one in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # the one that the list was read from
            if os.fstat(int(one.name)).st_ino == stream:
                os.close(int(one.name))


_kept: list[bytes] = []
_ANSWERS = 4  # the copy of standard output that only answers go to

if __name__ == "__main__":
    serve(answer)
