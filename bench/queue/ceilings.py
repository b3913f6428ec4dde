"""What the machine allows: a bare gRPC echo, our own statements by bare asyncpg, an insert by pgbench."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import grpc.aio

from bench.queue.adapters.stopwatch import PAD, arguments, quantiles, run, tell
from bench.queue.measures import Figures
from bench.queue.programs import answer, module
from gleaner_core.ids import uuid7
from gleaner_repo.jobs import EPOCH, STATEMENTS, SUBMIT_NEW

COMMAND = module("bench.queue.ceilings")
OUTSTANDING = 64
_LEASE = timedelta(seconds=15)
_HOLDER = uuid4()

_INSERT = """
CREATE TABLE IF NOT EXISTS limit_of_inserts (id bigserial PRIMARY KEY, payload bytea NOT NULL);
TRUNCATE limit_of_inserts;
"""


def echo(seconds: float) -> Figures:
    """Unary calls of 1 KB a second, 64 outstanding, that return what they are given."""
    return answer(COMMAND, "echo", {"seconds": seconds}, {})


def statements(url: str, kind: str, jobs: int, connections: int, batch: int) -> Figures:
    """Jobs a second by our own statements, prepared, with nothing around them. `kind`: submit or finish."""
    options = {"url": url, "kind": kind, "jobs": jobs, "connections": connections, "batch": batch}
    return answer(COMMAND, "statements", options, {})


def pgbench(url: str, seconds: int, clients: int = 16) -> Figures | None:
    """Single-row inserts a second; None if there is no pgbench here."""
    program = shutil.which("pgbench") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), None)
    if program is None:
        return None
    asyncio.run(_execute(url, _INSERT))
    where = urlsplit(url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"INSERT INTO limit_of_inserts (payload) VALUES (decode(repeat('ab', {len(PAD)}), 'hex'));\n")
        script.flush()
        flags = ["-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds), "-f", script.name]
        to = ["-h", str(where.hostname), "-p", str(where.port), "-U", str(where.username), where.path.lstrip("/")]
        ended = subprocess.run(
            [program, *flags, *to], env={"PGPASSWORD": str(where.password)}, capture_output=True, text=True, check=True
        )
    line = next(line for line in ended.stdout.splitlines() if line.startswith("tps"))
    return {"rate": float(line.split()[2])}


async def _main(mode: str, options: dict[str, Any]) -> None:
    if mode == "serve":
        await _serve()
    elif mode == "echo":
        await _echo(options["seconds"])
    else:
        await _statements(**options)


async def _serve() -> None:
    async def same(request: bytes, _: object) -> bytes:
        return request

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(same)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


async def _echo(seconds: float) -> None:
    server = await asyncio.create_subprocess_exec(*COMMAND, "serve", "{}", stdout=asyncio.subprocess.PIPE)
    assert server.stdout
    took: list[float] = []
    try:
        port = int(await server.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/bench.Echo/Echo")
            message, end = b"x" * 1024, time.perf_counter() + seconds

            async def caller() -> None:
                while (asked := time.perf_counter()) < end:
                    await call(message)
                    took.append(time.perf_counter() - asked)

            begun = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(OUTSTANDING)))
            tell(rate=len(took) / (time.perf_counter() - begun), **quantiles(took))
    finally:
        server.kill()
        await server.wait()


async def _statements(url: str, kind: str, jobs: int, connections: int, batch: int) -> None:
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
    each = max(jobs // connections // batch, 1)
    work = _submit if kind == "submit" else _finish
    if kind == "finish":
        await _fill(pool, each * batch * connections)
    begun = time.perf_counter()
    done = await asyncio.gather(*(work(pool, each, batch) for _ in range(connections)))
    tell(rate=sum(done) / (time.perf_counter() - begun))
    await pool.close()


async def _fill(pool: "asyncpg.Pool[asyncpg.Record]", jobs: int) -> None:
    await _submit(pool, max(jobs // 1000, 1), min(jobs, 1000))


async def _submit(pool: "asyncpg.Pool[asyncpg.Record]", calls: int, batch: int) -> int:
    async with pool.acquire() as connection:
        submit = await connection.prepare(SUBMIT_NEW)
        same: tuple[list[Any], ...] = (
            [b"f" * 32] * batch,
            [PAD.encode()] * batch,
            [b""] * batch,
            [None] * batch,
            [None] * batch,
            [],
            [],
        )
        for _ in range(calls):
            keys = [str(uuid4()) for _ in range(batch)]
            await submit.fetch([uuid7() for _ in keys], ["default"] * batch, keys, *same)
    return calls * batch


async def _finish(pool: "asyncpg.Pool[asyncpg.Record]", calls: int, batch: int) -> int:
    done = 0
    async with pool.acquire() as connection:
        claim = await connection.prepare(STATEMENTS["mark_running"])
        finish = await connection.prepare(STATEMENTS["mark_succeeded"])
        for _ in range(calls):
            rows = await claim.fetch(batch, _LEASE, 1, _HOLDER, EPOCH)
            ended = await finish.fetch(
                [row["id"] for row in rows], [row["lease_token"] for row in rows], [b""] * len(rows)
            )
            done += len(ended)
    return done


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


if __name__ == "__main__":
    run(_main(*arguments()))
