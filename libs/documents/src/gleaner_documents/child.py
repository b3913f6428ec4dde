"""A child process that reads documents: what it is told, what it answers, and how it ends.

It is a fresh interpreter (gRPC and fork do not mix) that speaks frames over its standard input and output: a JSON
header and a body. Nothing it says is unpickled, for a hostile document may have taken it over. It ends with its
parent, and by itself when it takes too much memory.
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
from pathlib import Path
from typing import BinaryIO

from gleaner.internal.v1 import pages_pb2
from gleaner_core.errors import DocumentError
from gleaner_documents import artefact
from gleaner_documents.reading import OcrMode, check_now, read_now
from gleaner_documents.settings import ReaderSettings
from gleaner_documents.wire import FRAME, TOO_MUCH_MEMORY, Header, packed

_WATCH_EVERY_S = 0.05
_ADDRESS_SPACE_MB = 4096  # beyond the memory limit: threads and mapped models take addresses, not memory
_PR_SET_PDEATHSIG = 1


def main(parent: int, settings: ReaderSettings) -> None:
    """Answer until the parent says no more."""
    _end_with(parent)
    _limit(settings)
    requests, answers = _streams()
    threading.Thread(target=_watch, args=(parent, settings.memory_limit_mb), daemon=True).start()
    while (request := _next(requests)) is not None:
        header, content = request
        _say(answers, *_answer(header, content, settings, answers))


def _answer(header: Header, content: bytes, settings: ReaderSettings, answers: BinaryIO) -> tuple[Header, bytes]:
    try:
        if header["ask"] == "check":
            return {"pages": check_now(content, header["media_type"], settings=settings)}, b""
        outcome = read_now(
            header["name"],
            content,
            media_type=header["media_type"],
            ocr=OcrMode(header["ocr"]),
            max_pages=header["max_pages"],
            settings=settings,
            on_page=lambda number: _say(answers, {"page": number}),
        )
    except DocumentError as error:
        return {"error": type(error).__name__, "message": str(error)}, b""
    read: pages_pb2.ReadDocuments = artefact.to_pb([outcome.document])
    problems = [[p.reason, p.message, p.page] for p in outcome.problems]
    told = {"ocr_pages": outcome.ocr_pages, "problems": problems, "memory_mb": _memory_mb()}
    return told, read.SerializeToString()


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Our own ends of the pipes; what a library prints goes to standard error instead."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, answers


def _next(requests: BinaryIO) -> tuple[Header, bytes] | None:
    lengths = requests.read(FRAME.size)
    if len(lengths) < FRAME.size:
        return None
    head, body = FRAME.unpack(lengths)
    return json.loads(requests.read(head)), requests.read(body)


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


def _limit(settings: ReaderSettings) -> None:
    addresses = (settings.memory_limit_mb + _ADDRESS_SPACE_MB) * 2**20
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


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(int(sys.argv[1]), ReaderSettings.model_validate_json(sys.argv[2]))
