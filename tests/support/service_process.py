"""A server of the suite as a real process, watched through what it logs."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any


class ServiceProcess:
    """The process, and the lines of its log that were not waited for yet."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.address = ""
        self.lines: list[dict[str, Any]] = []

    async def logged(self, message: str, patience: float = 20.0) -> dict[str, Any]:
        """The next line with this message. Fails if the process ends, or takes too long, without it."""
        assert self._process.stderr
        async with asyncio.timeout(patience):
            async for text in self._process.stderr:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = {"message": text.decode()}
                self.lines.append(line)
                if line["message"] == message:
                    return line  # type: ignore[no-any-return]
        raise AssertionError(f"ended without {message!r}: {self.lines}")

    async def say(self, line: str) -> None:
        """Writes a line to its stdin."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal."""
        self._process.send_signal(number)

    async def ended(self, patience: float = 20.0) -> int:
        """Its exit code, once it has ended; what it still logged is in `lines`."""
        assert self._process.stderr
        async with asyncio.timeout(patience):
            rest = await self._process.stderr.read()
            for text in rest.splitlines():
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.lines.append({"message": text.decode()})
            return await self._process.wait()

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def running(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, listening: bool = True, **more: str
) -> AsyncIterator[ServiceProcess]:
    """`python ARGUMENTS` on a free port of loopback, once it listens; killed at the end of the block if need be."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GLEANER_LISTEN": "127.0.0.1:0", **(environment or {}), **more},
    )
    service = ServiceProcess(process)
    try:
        if listening:
            service.address = (await service.logged("listening"))["address"]
        yield service
    finally:
        service.kill()
        await process.communicate()
