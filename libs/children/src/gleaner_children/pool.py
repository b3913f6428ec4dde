"""The parent's side: children that answer questions, one at a time each, and are ended when they do not."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from gleaner_children.wire import FRAME, LONGEST_BODY, LONGEST_HEADER, TOO_MUCH_MEMORY, Header, packed
from gleaner_core.errors import ChildDied, WorkError, WorkTimeout

log = logging.getLogger(__name__)

OnNote = Callable[[Header], None]

_WORN = 0.75  # a child that keeps more than this of its memory limit is replaced after its answer
_BUFFER = 2**20
_LAST_BREATH_S = 2


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may take for one answer; one that takes more is ended. `silence` is up to a note or the answer."""

    memory_mb: int
    timeout: timedelta
    silence: timedelta | None = None
    threads: int = 1


class ChildPool:
    """Children that run `module`, which calls `serve`; whoever asks while all are busy waits their turn.

    Inside its context they are started before anybody asks, and end with it. One that dies, takes too much or loses
    its caller is replaced at the next question; `restarts` counts how often. `work` is what they do, for messages:
    `reading the document`. `arguments` are the module's, and no secrets: the machine's users can see them.
    """

    def __init__(
        self, module: str, limits: ChildLimits, *, work: str, children: int = 1, arguments: Sequence[str] = ()
    ) -> None:
        self._children = [_Child(module, limits, work, arguments) for _ in range(children)]
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()  # the same few serve: the others' memory stays idle
        for one in reversed(self._children):
            self._idle.put_nowait(one)
        self._asked = 0

    @property
    def restarts(self) -> int:
        """How many children were replaced so far."""
        return sum(max(one.starts - 1, 0) for one in self._children)

    @property
    def busy(self) -> int:
        """How many children work on an answer."""
        return len(self._children) - self._idle.qsize()

    @property
    def waiting(self) -> int:
        """How many questions wait for a child."""
        return max(self._asked - self.busy, 0)

    async def __aenter__(self) -> Self:
        for one in self._children:  # they import what they need while the service goes on starting
            await one.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self._children:
            await one.end()

    async def ask(self, header: Header, body: bytes = b"", on_note: OnNote = lambda note: None) -> tuple[Header, bytes]:
        """A child's answer; `on_note` hears what it says on the way.

        Raises the WorkError that the child raised, ChildDied or WorkTimeout. Cancelling ends the child.
        """
        self._asked += 1
        try:
            one = await self._idle.get()
            try:
                return await one.ask(header, body, on_note)
            finally:
                self._idle.put_nowait(one)
        finally:
            self._asked -= 1


class _Child:
    """One child process, started anew after each death."""

    def __init__(self, module: str, limits: ChildLimits, work: str, arguments: Sequence[str]) -> None:
        self._module = module
        self._limits = limits
        self._work = work
        self._arguments = arguments
        self._process: Process | None = None
        self.starts = 0

    async def start(self) -> Process:
        """The process, which runs, though it may not be ready yet."""
        if self._process and _is_dead(self._process):
            await self.end()
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", self._module),
                *(str(os.getpid()), str(self._limits.memory_mb), *self._arguments),
                stdin=PIPE,
                stdout=PIPE,
                limit=_BUFFER,
                env=os.environ | {"OMP_NUM_THREADS": str(self._limits.threads), "OPENBLAS_NUM_THREADS": "1"},
            )
            self.starts += 1
        return self._process

    async def end(self) -> None:
        """The process is gone; may be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def ask(self, header: Header, body: bytes, on_note: OnNote) -> tuple[Header, bytes]:
        """The answer to a question. However this ends without one, the process ends with it."""
        fit = False
        try:
            told, answer = await self._told(header, body, on_note)
            fit = "bug" not in told and told.get("memory_mb", 0) < _WORN * self._limits.memory_mb
        finally:
            if not fit:
                await self.end()
        if "answer" in told:
            return told["answer"], answer
        if told.get("error") in _ERRORS:
            raise _ERRORS[told["error"]](told["message"])
        log.error("%s failed with %s", self._work, told.get("bug"), extra={"trace": told.get("trace")})
        raise ChildDied(f"{self._work} failed")

    async def _told(self, header: Header, body: bytes, on_note: OnNote) -> tuple[Header, bytes]:
        try:
            async with asyncio.timeout(self._limits.timeout.total_seconds()):
                process = await self.start()
                _send(process, header, body)
                return await self._past_notes(process, on_note)
        except TimeoutError:
            raise WorkTimeout(f"{self._work} took too long") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ChildDied(await self._how_it_died()) from None

    async def _past_notes(self, process: Process, on_note: OnNote) -> tuple[Header, bytes]:
        silence = self._limits.silence
        while True:
            async with asyncio.timeout(silence.total_seconds() if silence else None):
                header, body = await _received(process)
            if "note" not in header:
                return header, body
            on_note(header["note"])

    async def _how_it_died(self) -> str:
        if self._process is None:
            return "the child process did not start"
        code = None
        with contextlib.suppress(TimeoutError):  # it may live on, if it only closed its output
            async with asyncio.timeout(_LAST_BREATH_S):  # killed at once it would be reaped twice, and its code lost
                code = await self._process.wait()
        if code == TOO_MUCH_MEMORY:
            return f"{self._work} took more than {self._limits.memory_mb} MiB of memory"
        return f"the child process died ({code}) while {self._work}"


def _is_dead(process: Process) -> bool:
    """Whether it has ended, or is about to: known at once; the event loop hears of it a moment later."""
    assert process.stdin is not None
    if process.stdin.is_closing():  # it closed its end, and is no zombie yet
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _send(process: Process, header: Header, body: bytes) -> None:
    # Not awaited: if the child dies over it, that is seen where the answer is awaited.
    assert process.stdin is not None
    if process.stdin.is_closing():  # uvloop raises RuntimeError for that, which may mean anything
        raise BrokenPipeError
    process.stdin.write(packed(header, len(body)))
    process.stdin.write(body)


async def _received(process: Process) -> tuple[Header, bytes]:
    """The next frame. A child that a document has taken over may say anything, but not at any length."""
    assert process.stdout is not None
    head, body = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
    if head > LONGEST_HEADER or body > LONGEST_BODY:
        raise ChildDied("the child process answered at too great a length")
    try:
        header: Any = json.loads(await process.stdout.readexactly(head))
    except ValueError:
        raise ChildDied("the child process answered nonsense") from None
    return header, await process.stdout.readexactly(body)


def _below(kind: type[WorkError]) -> Iterator[type[WorkError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


_ERRORS = {kind.__name__: kind for kind in _below(WorkError)}
