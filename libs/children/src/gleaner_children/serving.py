"""The child's side: what it is asked, what it answers, and how it ends.

A child is a fresh interpreter (gRPC and fork do not mix) that speaks frames over its standard input and output.
Nothing it says is unpickled, for a hostile document may have taken it over. It ends with its parent, and by itself
when it takes too much memory.
"""

import ctypes
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gleaner_children.wire import FRAME, TOO_MUCH_MEMORY, Header, packed
from gleaner_core.errors import WorkError

Note = Callable[[Header], None]
Answer = Callable[[Header, bytes, Note], tuple[Header, bytes]]

_WATCH_EVERY_S = 0.05
_ADDRESS_SPACE_MB = 4096  # beyond the memory limit: threads and mapped models take addresses, not memory
_PR_SET_PDEATHSIG = 1


def arguments() -> list[str]:
    """What the pool was told to tell the module."""
    return sys.argv[3:]


def serve(answer: Answer) -> None:
    """Give answers until the parent asks no more. A WorkError is an answer, too; after any other error it ends."""
    parent, memory_limit_mb = int(sys.argv[1]), int(sys.argv[2])
    _end_with(parent)
    _limit(memory_limit_mb)
    logging.basicConfig(level=logging.WARNING)
    requests, answers = _streams()
    threading.Thread(target=_watch, args=(parent, memory_limit_mb), daemon=True).start()
    while _answered(answer, requests, answers):
        pass


def _answered(answer: Answer, requests: BinaryIO, answers: BinaryIO) -> bool:
    """Whether there was a question, and more may follow."""
    lengths = requests.read(FRAME.size)
    if len(lengths) < FRAME.size:
        return False
    head, body = FRAME.unpack(lengths)
    try:
        told, content = answer(
            json.loads(requests.read(head)), requests.read(body), lambda note: _say(answers, {"note": note})
        )
    except WorkError as error:
        _say(answers, {"error": type(error).__name__, "message": str(error), "memory_mb": _memory_mb()})
        return True
    except Exception as error:  # the parent logs where it was, not its text: that may be the document's
        trace = "".join(traceback.format_tb(error.__traceback__))
        _say(answers, {"bug": type(error).__name__, "trace": trace})
        return False
    _say(answers, {"answer": told, "memory_mb": _memory_mb()}, content)
    return True


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Our own ends of the pipes; what a library prints goes to standard error instead."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, answers


def _say(answers: BinaryIO, header: Header, body: bytes = b"") -> None:
    answers.write(packed(header, len(body)))
    answers.write(body)
    answers.flush()


def _end_with(parent: int) -> None:
    """Have the kernel kill us when the parent dies; it may have died before we asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _limit(memory_limit_mb: int) -> None:
    addresses = (memory_limit_mb + _ADDRESS_SPACE_MB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no document in a core dump


def _watch(parent: int, memory_limit_mb: int) -> None:
    """End the process when its parent is gone (where the kernel does not) or it has too much memory."""
    while True:
        if os.getppid() != parent:
            os._exit(0)
        if _memory_mb() > memory_limit_mb:
            os._exit(TOO_MUCH_MEMORY)
        time.sleep(_WATCH_EVERY_S)


def _memory_mb() -> int:
    """Resident memory; the highest so far where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return pages * resource.getpagesize() // 2**20
