"""Reading documents in child processes: a hostile one kills a child, not the service."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from types import TracebackType
from typing import Any, Self

from gleaner.internal.v1 import pages_pb2
from gleaner_core import errors
from gleaner_documents import artefact
from gleaner_documents.reading import OcrMode, OnPage, PageProblem, ReadOutcome, ignored
from gleaner_documents.settings import ReaderSettings
from gleaner_documents.wire import FRAME, TOO_MUCH_MEMORY, Header, packed

_ERRORS = {kind.__name__: kind for kind in errors.DocumentError.__subclasses__()}
_WORN = 0.75  # a child that keeps more than this of its memory limit is replaced after its document


class PageReader:
    """Reads documents in `settings.children` child processes, each one document at a time; others wait their turn.

    Children start when they are first needed and stay, with their models loaded. One that dies, takes too long or
    loses its caller is replaced; `restarts` counts how often.
    """

    def __init__(self, settings: ReaderSettings | None = None) -> None:
        self._settings = settings or ReaderSettings()
        self._children = [_Child(self._settings) for _ in range(self._settings.children)]
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        for one in reversed(self._children):
            self._idle.put_nowait(one)

    @property
    def restarts(self) -> int:
        """How many children were replaced so far."""
        return sum(max(one.starts - 1, 0) for one in self._children)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self._children:
            await one.end()

    async def read(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str = "",
        ocr: OcrMode = OcrMode.AUTO,
        max_pages: int | None = None,
        on_page: OnPage = ignored,
    ) -> ReadOutcome:
        """The pages of a document; `on_page` hears the number of each when it has been read.

        Raises a DocumentError, ChildDied or WorkTimeout. Cancelling ends the child that works on it.
        """
        asked = {"ask": "read", "name": name, "media_type": media_type, "ocr": ocr, "max_pages": max_pages}
        header, body = await self._ask(asked, content, on_page)
        [document] = artefact.from_pb(pages_pb2.ReadDocuments.FromString(body))
        problems = tuple(PageProblem(*problem) for problem in header["problems"])
        return ReadOutcome(document, header["ocr_pages"], problems)

    async def check(self, content: bytes, media_type: str = "") -> int:
        """How many pages the document has. Raises what `read` would raise before the first page."""
        header, _ = await self._ask({"ask": "check", "media_type": media_type}, content, ignored)
        return int(header["pages"])

    async def _ask(self, header: Header, content: bytes, on_page: OnPage) -> tuple[Header, bytes]:
        if len(content) > self._settings.max_document_bytes:
            most = self._settings.max_document_bytes
            raise errors.DocumentTooLarge(f"the document has {len(content):,} bytes; at most {most:,} are read")
        one = await self._idle.get()
        try:
            return await one.ask(header, content, on_page)
        finally:
            self._idle.put_nowait(one)


class _Child:
    """One child process, started at the first question and anew after each death."""

    def __init__(self, settings: ReaderSettings) -> None:
        self._settings = settings
        self._process: Process | None = None
        self.starts = 0

    async def ask(self, header: Header, content: bytes, on_page: OnPage) -> tuple[Header, bytes]:
        """The answer to a question. However this ends without one, the process ends with it."""
        answered = False
        try:
            answer, body = await self._answer(header, content, on_page)
            answered = answer.get("memory_mb", 0) < _WORN * self._settings.memory_limit_mb
        finally:
            if not answered:
                await self.end()
        if "error" in answer:
            raise _ERRORS[answer["error"]](answer["message"])
        return answer, body

    async def end(self) -> None:
        """The process is gone; may be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _answer(self, header: Header, content: bytes, on_page: OnPage) -> tuple[Header, bytes]:
        try:
            async with asyncio.timeout(self._settings.document_timeout_s):
                process = await self._alive()
                _send(process, header, content)
                return await self._next_answer(process, on_page)
        except TimeoutError:
            raise errors.WorkTimeout("reading the document took too long") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise errors.ChildDied(await self._how_it_died()) from None

    async def _next_answer(self, process: Process, on_page: OnPage) -> tuple[Header, bytes]:
        """The answer; before it a note comes for each page, and none may be long in coming."""
        while True:
            async with asyncio.timeout(self._settings.page_timeout_s):
                header, body = await _received(process)
            if "page" not in header:
                return header, body
            on_page(header["page"])

    async def _alive(self) -> Process:
        if self._process is None or _is_dead(self._process):
            threads = str(self._settings.ocr_threads)
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gleaner_documents.child"),
                *(str(os.getpid()), self._settings.model_dump_json()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"},
            )
            self.starts += 1
        return self._process

    async def _how_it_died(self) -> str:
        if self._process is None:
            return "the child process did not start"
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        if code == TOO_MUCH_MEMORY:
            return f"reading the document took more than {self._settings.memory_limit_mb} MiB of memory"
        return f"the child process that read the document died ({code})"


def _is_dead(process: Process) -> bool:
    """Whether it has ended, known at once; the event loop hears of it a moment later."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _send(process: Process, header: Header, content: bytes) -> None:
    # Not awaited: if the child dies over it, that is seen where the answer is awaited.
    assert process.stdin is not None
    process.stdin.write(packed(header, len(content)))
    process.stdin.write(content)


async def _received(process: Process) -> tuple[Header, bytes]:
    assert process.stdout is not None
    head, body = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
    header: Any = json.loads(await process.stdout.readexactly(head))
    return header, await process.stdout.readexactly(body)
