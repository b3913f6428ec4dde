"""A TCP proxy in front of Postgres that can be cut, and mended: outages and lost answers on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 65536


class Proxy:
    """Passes bytes on until it is cut. `url` is the database's, by way of the proxy."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._open = True
        self._swallow_answers = False
        self._frozen: set[asyncio.Task[None]] = set()
        self._asked: bytes | None = None
        self._told: bytes | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """The proxy listens within the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        host = self._target.netloc.rpartition("@")[0]
        self.url = self._target._replace(netloc=f"{host}@127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks, and none is let through until `mend`."""
        self._open = False
        for pipe in self._pipes:
            pipe.cancel()

    def mend(self) -> None:
        """Connections are let through again."""
        self._open = True
        self._swallow_answers = False
        self._asked = self._told = None

    def swallow_answers(self, *, asked: bytes | None = None, told: bytes | None = None) -> None:
        """From here on the server gets what is sent, and nobody gets its answers. With `asked`: from the statement on
        that carries these bytes; with `told`: from the answer on that does."""
        self._asked, self._told = asked, told
        self._swallow_answers = asked is None and told is None

    def freeze(self) -> None:
        """The connections that are open stay open and pass nothing on any more; new ones do."""
        self._frozen = set(self._pipes)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        pipes = [
            asyncio.create_task(self._pipe(reader, back, answers=False)),
            asyncio.create_task(self._pipe(there, writer, answers=True)),
        ]
        for pipe in pipes:
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        writer.transport.abort()
        back.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if asyncio.current_task() in self._frozen:
                    continue
                fatal = self._told if answers else self._asked
                self._swallow_answers = self._swallow_answers or (fatal is not None and fatal in data)
                if answers and self._swallow_answers:
                    continue
                writer.write(data)
                await writer.drain()
