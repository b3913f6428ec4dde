"""The one Postgres of a run: settings of a normal server, nothing careless, and what a measure costs it."""

import asyncio
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg

from bench.queue.programs import cpu_of, parent_of
from gleaner_stack.postgres import EmbeddedPostgres

SETTINGS = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "512MB", "max_connections": "300"}


class Server:
    """An embedded Postgres with fsync, and a connection to each of its databases."""

    def __init__(self, bindir: Path | None = None) -> None:
        self._postgres = EmbeddedPostgres(settings=SETTINGS, bindir=bindir)
        self._loop = asyncio.new_event_loop()
        self._connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

    def __enter__(self) -> Self:
        self._postgres.start()
        self.url = self._postgres.url
        self.version = str(self.fetch(self.url, "SHOW server_version")[0][0])
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.terminate()
        self._loop.close()
        self._postgres.close()

    def create(self, name: str) -> str:
        """The address of a new, empty database."""
        self.execute(self.url, f"CREATE DATABASE {name}")
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def fetch(self, url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        return self._loop.run_until_complete(self._connection(url).fetch(statement, *arguments))

    def execute(self, url: str, *statements: str) -> None:
        for statement in statements:
            self._loop.run_until_complete(self._connection(url).execute(statement))

    def wal(self) -> int:
        """Bytes of write-ahead log written so far."""
        return int(self.fetch(self.url, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")[0][0])

    def cpu(self) -> float:
        """Seconds of CPU that the server's processes have used, those that are gone included."""
        postmaster = self._postgres.pid
        running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return cpu_of(postmaster, with_gone=True) + sum(cpu_of(pid) for pid in running if parent_of(pid) == postmaster)

    def _connection(self, url: str) -> "asyncpg.Connection[asyncpg.Record]":
        if (known := self._connections.get(url)) is None or known.is_closed():
            known = self._connections[url] = self._loop.run_until_complete(asyncpg.connect(url, statement_cache_size=0))
        return known
