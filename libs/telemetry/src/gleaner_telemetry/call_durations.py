"""How long calls to other services take, and how they end.

https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio

from gleaner_telemetry import names
from gleaner_telemetry.metrics import RPC_CLIENT_DURATION
from gleaner_telemetry.stands_on import measuring


def measuring_interceptors() -> list[grpc.aio.ClientInterceptor]:
    """What a channel needs to measure its calls; nothing while metrics are off."""
    return [_Measured()] if measuring() else []


class _Measured(grpc.aio.UnaryUnaryClientInterceptor):
    """Measures calls with one answer, all their tries included: what our services call of each other."""

    def __init__(self) -> None:
        self._durations = RPC_CLIENT_DURATION.make()

    async def intercept_unary_unary(
        self, continuation: Callable[..., Awaitable[Any]], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        method: Any = client_call_details.method
        name = (method.decode() if isinstance(method, bytes) else str(method)).removeprefix("/")
        began = time.perf_counter()
        code = "CANCELLED"
        try:
            call = await continuation(client_call_details, request)
            try:
                code = (await call.code()).name
            except asyncio.CancelledError:
                call.cancel()  # nobody else would: the caller's own call is not made yet
                raise
            return call
        finally:
            self._durations.record(
                time.perf_counter() - began,
                {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: name, names.RPC_STATUS: code},
            )
