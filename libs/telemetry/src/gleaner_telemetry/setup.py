"""Traces, metrics and logs of the whole process, set up once by its `main`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc.aio
from opentelemetry import trace

from gleaner_telemetry.logs import log_to_stderr
from gleaner_telemetry.settings import OtelSettings


@contextmanager
def installed(service: str, settings: OtelSettings) -> Iterator[None]:
    """The process logs as JSON and, where it is configured, exports traces and metrics until the end of the block,
    which flushes them. Once a process. Raises CannotBeScraped.
    """
    log_to_stderr(service, settings.log_level)
    with ExitStack() as stack:
        if settings.traces or settings.pushed or settings.scraped:
            from gleaner_telemetry.exporting import export

            export(stack, service, settings)
        yield


def client_interceptors() -> list[grpc.aio.ClientInterceptor]:
    """What a channel needs to make spans of its calls and carry the trace on; nothing while traces are off."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return []
    from opentelemetry.instrumentation.grpc import aio_client_interceptors

    interceptors: list[grpc.aio.ClientInterceptor] = aio_client_interceptors()  # type: ignore[no-untyped-call]
    return interceptors
