"""Spans of calls to other services, and the context that goes with them, by the conventions for gRPC.

https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from gleaner_telemetry import names
from gleaner_telemetry.propagation import headers
from gleaner_telemetry.spans import failed, span

_tracer = trace.get_tracer("gleaner.rpc")


def interceptors(target: str) -> list[grpc.aio.ClientInterceptor]:
    """What a channel to `target` needs to make a span of every call and carry the context on."""
    return [_Calls(target)]


def place_of(target: str) -> tuple[str, int | None]:
    """Host and port of a gRPC target; of one that names several (`ipv4:a:1,b:2`) or no host, the target as it is."""
    where = urlsplit(target if "://" in target else f"//{target}")
    place = urlsplit(f"//{(where.netloc or where.path).lstrip('/')}")  # dns:///worker:50052 has no authority
    try:
        return place.hostname or target, place.port
    except ValueError:
        return target, None


class _Calls(grpc.aio.UnaryUnaryClientInterceptor):
    """A span for each call with one answer, all its tries included. Streams have none: they may last for hours."""

    def __init__(self, target: str) -> None:
        host, port = place_of(target)
        self._attributes: dict[str, str | int] = {names.RPC_SYSTEM: "grpc", "server.address": host}
        if port:
            self._attributes["server.port"] = port

    async def intercept_unary_unary(
        self, continuation: Callable[..., Awaitable[Any]], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        method: Any = client_call_details.method
        name = (method.decode() if isinstance(method, bytes) else str(method)).removeprefix("/")
        attributes = self._attributes | {names.RPC_METHOD: name}
        with span(_tracer, name, kind=SpanKind.CLIENT, attributes=attributes) as made:
            call = await continuation(_carrying(client_call_details), request)
            if not made.is_recording():
                return call
            try:
                code = await call.code()
            except asyncio.CancelledError:
                call.cancel()  # nobody else would: the caller's own call is not made yet
                raise
            made.set_attribute(names.RPC_STATUS, code.name)
            if code is not grpc.StatusCode.OK:
                failed(made, code.name)
            return call


def _carrying(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    context = headers()
    given = [(key, value) for key, value in details.metadata or () if key not in context]
    return grpc.aio.ClientCallDetails(
        details.method,
        details.timeout,
        grpc.aio.Metadata(*given, *context.items()),
        details.credentials,
        details.wait_for_ready,
    )
