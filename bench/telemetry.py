"""What telemetry costs: CPU a job with nothing exported, and with traces and metrics: python -m bench.telemetry

Suites of real processes stand side by side, alike but for their telemetry, each with a Postgres of its own; one takes
its round of jobs while the others idle. Counted is the CPU of api, worker and bbox worker with all their children; the
receiver, which is a process of this program, Postgres and the caller are not. Rounds take turns and are short, so that
what else the machine does falls on all alike: each is compared with the round without telemetry just before it, and the
median of these ratios counts, with its quartiles.

  off     no endpoint: the SDK is not even loaded
  on      every trace, and metrics every ten seconds, by OTLP to a local receiver
  traces  every trace, and no metrics
  tenth   the same as on, but one trace of ten is kept (OTEL_TRACES_SAMPLER=parentbased_traceidratio)

A job is the sample invoice, a PDF with a text layer: values and boxes without OCR or a model, the least a job can be.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc.aio

from gleaner_client import GleanerClient
from gleaner_client.schema_files import load_schema
from gleaner_stack.supervisor import Stack, StackOptions

SAMPLES = Path(__file__).parents[1] / "samples"
TICKS = os.sysconf("SC_CLK_TCK")
SERVICES = ("api", "worker-1", "bbox-worker-1")
TENTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10, help="jobs of a round")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each suite")
    parser.add_argument("--outstanding", type=int, default=4, help="jobs under way at any time")
    parser.add_argument("--kinds", default="on,traces,tenth", help="which suites beside off, with commas")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--smoke", action="store_true", help="one short round each, to see that it runs")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.smoke:
        options.jobs, options.rounds, options.kinds = 2, 1, "on"
    asyncio.run(_receive() if options.role == "receiver" else _measure(options))


async def _measure(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as exits:
        told = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": await exits.enter_async_context(_receiver()),
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        }
        environments: dict[str, Mapping[str, str]] = {
            "off": {},
            "on": told,
            "traces": told | {"OTEL_METRICS_EXPORTER": "none"},
            "tenth": told | TENTH,
        }
        suites = {
            kind: await exits.enter_async_context(_Suite(environments[kind], options.outstanding))
            for kind in ("off", *options.kinds.split(","))
        }
        rounds: dict[str, list[float]] = {kind: [] for kind in suites}
        for suite in suites.values():
            await suite.round(options.outstanding)  # for the caches, and the children's imports
        for _ in range(options.rounds):
            for kind, suite in suites.items():
                rounds[kind].append(await suite.round(options.jobs))
    _report(rounds, as_json=options.json)


def _report(rounds: dict[str, list[float]], *, as_json: bool) -> None:
    middle = {kind: statistics.median(found) for kind, found in rounds.items()}
    more = {kind: _quartiles(found, rounds["off"]) for kind, found in rounds.items() if kind != "off"}
    if as_json:
        print(json.dumps({"cpu_ms": middle, "more": more, "load": os.getloadavg()[0]}))
        return
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| telemetry | CPU ms a job, median [least .. most] | against off, median [quartiles] |")
    print("|---|---|---|")
    for kind, found in rounds.items():
        low, half, high = more.get(kind, (0, 0, 0))
        told = f"{half:+.1%} [{low:+.1%} .. {high:+.1%}]" if kind in more else ""
        print(f"| {kind} | {middle[kind]:.1f} [{min(found):.1f} .. {max(found):.1f}] | {told} |")


def _quartiles(found: list[float], off: list[float]) -> tuple[float, ...]:
    """How much more a round took than the one without telemetry beside it."""
    ratios = [each / beside - 1 for each, beside in zip(found, off, strict=True)]
    return tuple(statistics.quantiles(ratios, n=4)) if len(ratios) > 1 else (ratios[0],) * 3


class _Suite:
    """A suite of its own, and a client that keeps so many jobs under way."""

    def __init__(self, environment: Mapping[str, str], outstanding: int) -> None:
        self._stack = Stack(StackOptions(environment=environment, reapers=0), lambda name, line: None)
        self._outstanding = outstanding
        self._exits = AsyncExitStack()
        self._schema = load_schema(SAMPLES / "invoice.schema.json")

    async def __aenter__(self) -> Self:
        await self._exits.enter_async_context(self._stack)
        self._client = await self._exits.enter_async_context(GleanerClient(self._stack.api_address))
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        return await self._exits.__aexit__(*error)  # type: ignore[arg-type]

    async def round(self, jobs: int) -> float:
        """CPU of the services for each of so many jobs, in milliseconds."""
        before = self._cpu_s()
        left = iter(range(jobs))

        async def caller() -> None:
            for _ in left:
                await self._client.submit_and_wait([SAMPLES / "invoice.pdf"], self._schema)

        await asyncio.gather(*(caller() for _ in range(self._outstanding)))
        return (self._cpu_s() - before) / jobs * 1e3

    def _cpu_s(self) -> float:
        return sum(_cpu_of_tree(self._stack.processes[name].pid) for name in SERVICES)


def _cpu_of_tree(root: int) -> float:
    """Seconds of CPU of a process and all below it; those that are gone are in their parents' figures."""
    fields = Path(f"/proc/{root}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    below = [int(pid) for task in Path(f"/proc/{root}/task").glob("*/children") for pid in task.read_text().split()]
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS + sum(map(_cpu_of_tree, below))


@asynccontextmanager
async def _receiver() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.telemetry", "--role", "receiver"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def _receive() -> None:
    """Takes whatever is exported and makes nothing of it: an empty answer is every export's good one."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(_take)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Anything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


async def _take(request: bytes, context: Any) -> bytes:
    return b""


if __name__ == "__main__":
    main()
