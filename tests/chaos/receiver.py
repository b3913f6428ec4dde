"""A receiver of webhooks that behaves as badly as it is told to, and writes down what it got."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from support.history import Received

_OK = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
_FAILED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Mood(StrEnum):
    """What it does with a webhook."""

    TAKES = "takes"
    FAILS = "fails"
    SAYS_NOTHING = "says nothing"
    HANGS_UP = "hangs up"
    ANSWERS_TWICE = "answers twice"


class Receiver:
    """`received`: everything that was heard to the end, whatever was answered."""

    def __init__(self) -> None:
        self.mood = Mood.TAKES
        self.received: list[Received] = []
        self.answered: dict[Mood, int] = dict.fromkeys(Mood, 0)
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """It listens on loopback within the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._hear(reader)
                mood = self.mood
                self.answered[mood] += 1
                if mood is Mood.SAYS_NOTHING:
                    await reader.read()  # until the sender gives up
                elif mood is not Mood.HANGS_UP:
                    writer.write({Mood.FAILS: _FAILED, Mood.ANSWERS_TWICE: _OK + _FAILED}.get(mood, _OK))
                    await writer.drain()
        finally:
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields["content-length"]))
        job = json.loads(body)["data"]["job"]["name"].removeprefix("jobs/")
        self.received.append(Received(fields["webhook-id"], job, hashlib.sha256(body).hexdigest()))
