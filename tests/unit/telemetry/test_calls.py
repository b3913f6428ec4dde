import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from gleaner_telemetry import calls, context_from, within

CALL = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage": "customer=acme"}
ECHO, REFUSE, HANG = ("/test.Service/Echo", "/test.Service/Refuse", "/test.Service/Hang")


class Server:
    """Says what metadata it was sent, refuses, or hangs until it is cancelled."""

    def __init__(self) -> None:
        self.hanging, self.cancelled = asyncio.Event(), asyncio.Event()
        self.address = ""

    async def echo(self, request: bytes, context: Any) -> bytes:
        return str(dict(context.invocation_metadata())).encode()

    async def refuse(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "what a document says")
        raise AssertionError

    async def hang(self, request: bytes, context: Any) -> bytes:
        self.hanging.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served, listening = Server(), grpc.aio.server()
    methods = {name.title(): getattr(served, name) for name in ("echo", "refuse", "hang")}
    handlers: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
    listening.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    served.address = f"127.0.0.1:{listening.add_insecure_port('127.0.0.1:0')}"
    await listening.start()
    yield served
    await listening.stop(0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    out, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(out))
    monkeypatch.setattr(calls, "_tracer", provider.get_tracer("t"))
    return out


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(
        server.address, interceptors=calls.interceptors(f"dns:///{server.address}")
    ) as opened:
        yield opened


def only(spans: Sequence[ReadableSpan]) -> tuple[ReadableSpan, dict[str, Any]]:
    [span] = spans
    return span, dict(span.attributes or {})


async def test_a_call_is_a_span_by_the_conventions_and_carries_the_context_on(
    channel: Any, server: Server, told: InMemorySpanExporter
) -> None:
    with within(context_from(CALL)):
        got: bytes = await channel.unary_unary(ECHO)(b"", metadata=(("mine", "kept"), ("traceparent", "another's")))
    span, attributes = only(told.get_finished_spans())

    host, port = server.address.split(":")
    assert (span.name, span.kind) == ("test.Service/Echo", SpanKind.CLIENT)
    assert attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "test.Service/Echo",
        "rpc.response.status_code": "OK",
        "server.address": host,
        "server.port": int(port),
    }
    context = span.get_span_context()
    assert context
    assert f"'00-0af7651916cd43dd8448eb211c80319c-{context.span_id:016x}-01'" in got.decode()
    assert "'customer=acme'" in got.decode()
    assert "'kept'" in got.decode()
    assert "another" not in got.decode()


async def test_a_refusal_is_told_by_its_status_and_not_by_its_text(channel: Any, told: InMemorySpanExporter) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await channel.unary_unary(REFUSE)(b"")
    span, attributes = only(told.get_finished_spans())

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert (attributes["rpc.response.status_code"], attributes["error.type"]) == ("NOT_FOUND", "NOT_FOUND")
    assert "document" not in span.to_json()


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server(
    channel: Any, server: Server, told: InMemorySpanExporter
) -> None:
    async def asking() -> None:
        await channel.unary_unary(HANG)(b"")

    task = asyncio.create_task(asking())
    await server.hanging.wait()
    task.cancel()

    async with asyncio.timeout(10):
        await server.cancelled.wait()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("worker:50052", ("worker", 50052)),
        ("dns:///worker:50052", ("worker", 50052)),
        ("dns:///worker", ("worker", None)),
        ("[::1]:50052", ("::1", 50052)),
        ("ipv4:10.0.0.1:50052,10.0.0.2:50052", ("ipv4:10.0.0.1:50052,10.0.0.2:50052", None)),
    ],
)
def test_a_target_names_whom_it_calls(target: str, place: tuple[str, int | None]) -> None:
    made: Any = calls.interceptors(target)[0]
    attributes = made._attributes

    assert (attributes["server.address"], attributes.get("server.port")) == place
