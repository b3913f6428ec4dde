"""The caller's trace goes with its calls, if the caller uses OpenTelemetry; else nothing of it is even imported."""

import sys

import grpc


def _in_use() -> bool:
    return "opentelemetry.trace" in sys.modules


def interceptors(target: str) -> list[grpc.aio.ClientInterceptor]:
    """What a channel to `target` needs to make spans of its calls, in the caller's trace or a new one."""
    if not _in_use():
        return []
    from gleaner_telemetry import calls

    return calls.interceptors(target)


def carried() -> tuple[tuple[str, str], ...]:
    """The caller's context as metadata, for streams."""
    if not _in_use():
        return ()
    from gleaner_telemetry import headers

    return tuple(headers().items())
