"""A receiver of OTLP/gRPC as a process of its own: keeps what it gets, and tells it to whoever asks.

`python -m support.otlp_receiver` prints where it listens. `/support.Received/Traces` and `…/Logs` answer with a stream
of all that came, and then of what comes.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc.aio
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from support.spans import Seen, seen

_COLLECTOR = "opentelemetry.proto.collector"
_LARGE = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class _Kept:
    """Serialised requests of one kind, in the order they came."""

    def __init__(self) -> None:
        self._all: list[bytes] = []
        self._news = asyncio.Condition()

    async def take(self, request: bytes) -> None:
        async with self._news:
            self._all.append(request)
            self._news.notify_all()

    async def tell(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        told = 0
        while True:
            async with self._news:
                await self._news.wait_for(lambda: len(self._all) > told)  # noqa: B023 - waited for at once
            for message in self._all[told:]:
                told += 1
                yield message


async def _serve() -> None:
    server = grpc.aio.server(options=_LARGE)
    stories: dict[str, Any] = {}
    for name, service, answer in (
        ("Traces", "trace.v1.TraceService", trace_pb.ExportTraceServiceResponse()),
        ("Logs", "logs.v1.LogsService", logs_pb.ExportLogsServiceResponse()),
        ("Metrics", "metrics.v1.MetricsService", metrics_pb.ExportMetricsServiceResponse()),
    ):
        kept = _Kept()
        export: Any = grpc.unary_unary_rpc_method_handler(_taking(kept, answer.SerializeToString()))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"{_COLLECTOR}.{service}", {"Export": export}),)
        )
        stories[name] = grpc.unary_stream_rpc_method_handler(kept.tell)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("support.Received", stories),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


def _taking(kept: _Kept, answer: bytes) -> Any:
    async def export(request: bytes, context: Any) -> bytes:
        await kept.take(request)
        return answer

    return export


class OtlpReceiver:
    """The process, as tests see it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.endpoint = f"http://{address}"

    async def spans(self, until: Callable[[list[Seen]], object], patience: float = 60.0) -> list[Seen]:
        """All spans that came, once `until` is content with them."""
        found: list[Seen] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                async for message in self._told("Traces"):
                    found += seen(trace_pb.ExportTraceServiceRequest.FromString(message))
                    if until(found):
                        return found
        raise AssertionError(f"not content with {sorted((span.service, span.name) for span in found)}")

    async def logs(self, patience: float = 60.0) -> AsyncGenerator[tuple[str, LogRecord], None]:
        """All that was logged, and what is from here on, each with its service; for so many seconds."""
        async with asyncio.timeout(patience):
            async for message in self._told("Logs"):
                for group in logs_pb.ExportLogsServiceRequest.FromString(message).resource_logs:
                    who = {pair.key: pair.value.string_value for pair in group.resource.attributes}
                    for scope in group.scope_logs:
                        for record in scope.log_records:
                            yield who["service.name"], record

    async def _told(self, what: str) -> AsyncIterator[bytes]:
        async with grpc.aio.insecure_channel(self.address, options=_LARGE) as channel:
            ask: Any = channel.unary_stream(f"/support.Received/{what}")
            async for message in ask(b""):
                yield message


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[OtlpReceiver]:
    """A receiver for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.otlp_receiver"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        assert process.stdout
        yield OtlpReceiver((await process.stdout.readline()).decode().strip())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
