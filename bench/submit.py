"""Submits a second through gRPC, beside a bare grpc.aio echo of the same bytes: python -m bench.submit

The server under test, the echo and the caller are processes of their own; Postgres writes to the disk as it does in
production. Rounds take turns, so that what else the machine does falls on all alike, and the median round counts.

  echo    the request's bytes there and back, by a server without anything of ours
  same    SubmitJob with a request id each and one small document, the same each time: its bytes are stored once
  new     SubmitJob with a small document of its own each: looked at by a child process, then stored
  batch   BatchSubmitJobs of 100 such requests with the same document, 4 calls outstanding; counted in jobs
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio

from gleaner.v1 import jobs_pb2, schemas_pb2

ECHO = "/bench.Echo/Echo"
SUBMIT = "/gleaner.v1.JobService/SubmitJob"
BATCH = "/gleaner.v1.JobService/BatchSubmitJobs"
JOBS_A_BATCH, BATCHES_OUTSTANDING = 100, 4
KINDS = ("echo", "same", "new", "batch")
OPTIONS = [("grpc.max_send_message_length", 40 << 20), ("grpc.max_receive_message_length", 40 << 20)]
API = "from gleaner_api.main import run; run()"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Round:
    """What one round of one kind showed."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float


def main() -> None:
    options = _options()
    if options.role == "echo":
        asyncio.run(_echo())
    elif options.role == "caller":
        asyncio.run(_call(options.kind, options.address, options.outstanding, options.seconds))
    else:
        asyncio.run(_measure(options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind")
    parser.add_argument("--outstanding", type=int, default=64, help="calls under way at any time")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--smoke", action="store_true", help="one short round each, to see that it runs")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="", help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.smoke:
        options.seconds, options.rounds = 0.5, 1
    return options


async def _measure(options: argparse.Namespace) -> None:
    kinds = options.kinds.split(",")
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(_process("-m", "bench.submit", "--role", "echo"))
        api = await stack.enter_async_context(_api())
        rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
        for kind in kinds:  # once for the caches: plans, verdicts, documents
            await _round(kind, echo if kind == "echo" else api, options.outstanding, 0.3)
        for _ in range(options.rounds):
            for kind in kinds:
                server = echo if kind == "echo" else api
                rounds[kind].append(await _round(kind, server, options.outstanding, options.seconds))
    _report(rounds, as_json=options.json)


async def _round(kind: str, server: "_Server", outstanding: int, seconds: float) -> Round:
    before = server.cpu_s()
    caller = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.submit", "--role", "caller", "--kind", kind, "--address", server.address,
        "--outstanding", str(outstanding), "--seconds", str(seconds), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await caller.communicate()
    if caller.returncode:
        raise SystemExit(f"the caller of {kind} failed")
    seen = json.loads(told)
    jobs = seen["calls"] * (JOBS_A_BATCH if kind == "batch" else 1)
    cpu = server.cpu_s() - before
    return Round(jobs / seen["seconds"], seen["p50_ms"], seen["p99_ms"], cpu / jobs * 1e6)


def _report(rounds: dict[str, list[Round]], *, as_json: bool) -> None:
    middle = {kind: _median(found) for kind, found in rounds.items()}
    if as_json:
        print(json.dumps({kind: vars(found) for kind, found in middle.items()}))
        return
    base = middle["echo"].rate if "echo" in middle else float("nan")
    print("| kind | a second [rounds] | of the echo | p50 ms | p99 ms | server CPU us |")
    print("|---|---|---|---|---|---|")
    for kind, found in middle.items():
        rates = " ".join(f"{one.rate:.0f}" for one in rounds[kind])
        share = f"{found.rate / base:.2f}"
        print(
            f"| {kind} | {found.rate:.0f} [{rates}] | {share} | {found.p50_ms:.1f} | {found.p99_ms:.1f} | "
            f"{found.server_us:.0f} |"
        )


def _median(found: list[Round]) -> Round:
    return Round(*(statistics.median(values) for values in zip(*(vars(one).values() for one in found), strict=True)))


class _Server:
    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.address = address
        self._pid = process.pid

    def cpu_s(self) -> float:
        """What the process has used until now, its children not counted."""
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@asynccontextmanager
async def _process(*arguments: str, **environment: str) -> AsyncIterator[_Server]:
    """A server that tells on stdout or stderr, in JSON, where it listens and then that it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr
        address = ""
        async for text in process.stderr:
            line = json.loads(text)
            address = line.get("address", address)
            if line["message"] == "ready":
                break
        reading = asyncio.create_task(process.stderr.read())
        yield _Server(process, address)
        process.terminate()
        await process.wait()
        await reading
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _api() -> AsyncIterator[_Server]:
    from gleaner_repo.migrate import migrate
    from gleaner_stack.postgres import EmbeddedPostgres

    async with EmbeddedPostgres() as postgres:
        await migrate(postgres.url)
        async with _process(
            "-c", API, GLEANER_DATABASE_URL=postgres.url, GLEANER_LISTEN="127.0.0.1:0", GLEANER_WORKER_ADDRESSES="",
            GLEANER_MAX_DOCUMENT_RPCS="64",
        ) as api:  # fmt: skip
            yield api


async def _echo() -> None:
    async def answer(request: bytes, context: Any) -> bytes:
        return request

    handler = grpc.method_handlers_generic_handler("bench.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(answer)})
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"message": "ready", "address": f"127.0.0.1:{port}"}), file=sys.stderr, flush=True)
    await server.wait_for_termination()


async def _call(kind: str, address: str, outstanding: int, seconds: float) -> None:
    path = {"echo": ECHO, "batch": BATCH}.get(kind, SUBMIT)
    requests = _requests(kind)
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        call: Any = channel.unary_unary(path)
        took: list[float] = []
        await call(next(requests))
        begun = time.perf_counter()

        async def caller() -> None:
            while (at := time.perf_counter()) - begun < seconds:
                await call(next(requests))
                took.append(time.perf_counter() - at)

        count = BATCHES_OUTSTANDING if kind == "batch" else outstanding
        await asyncio.gather(*(caller() for _ in range(count)))
        elapsed = time.perf_counter() - begun
    took.sort()
    print(
        json.dumps(
            {
                "calls": len(took),
                "seconds": elapsed,
                "p50_ms": took[len(took) // 2] * 1e3,
                "p99_ms": took[len(took) * 99 // 100] * 1e3,
            }
        )
    )


def _requests(kind: str) -> Iterator[bytes]:
    """Serialised requests. Fields of a message may follow in any order, so the id is put behind what never changes."""
    for number in count():
        unique = f"% {uuid4()}\n".encode() if kind == "new" or number == 0 else b""
        if unique:
            fixed = jobs_pb2.SubmitJobRequest(request=_extraction(unique)).SerializeToString()
        if kind == "batch":
            batch = b"".join(_field(1, fixed + _field(2, str(uuid4()).encode())) for _ in range(JOBS_A_BATCH))
            yield batch
        else:
            yield fixed + _field(2, str(uuid4()).encode())


def _extraction(unique: bytes) -> Any:
    from gleaner.v1.extraction_pb2 import ExtractionRequest

    field = schemas_pb2.Field(name="number", type=schemas_pb2.FIELD_TYPE_STRING)
    group = schemas_pb2.FieldGroup(name="head", fields=[field])
    schema = schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="invoice", field_groups=[group])])
    request = ExtractionRequest(schema=schema)
    request.documents.add(name="invoice.pdf", content=_a_pdf() + unique)
    return request


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _a_pdf() -> bytes:
    """One page with one line of text."""
    text = b"BT /F1 12 Tf 72 700 Td (Invoice no. 4711) Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start)
    return bytes(out)


if __name__ == "__main__":
    main()
