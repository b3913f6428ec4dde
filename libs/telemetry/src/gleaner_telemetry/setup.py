"""Traces, metrics and logs of the whole process, set up once by its `main`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc.aio

from gleaner_telemetry.logs import levels_by_signal, log_to_stderr
from gleaner_telemetry.propagation import tracing
from gleaner_telemetry.settings import OtelSettings


@contextmanager
def installed(service: str, settings: OtelSettings) -> Iterator[None]:
    """The process logs as JSON and, where it is configured, exports traces, metrics and logs until the end of the
    block, which flushes them. Once a process. Raises CannotBeScraped.
    """
    log_to_stderr(service, settings.log_level)
    with ExitStack() as stack:
        stack.enter_context(levels_by_signal(settings.log_level))
        if settings.traces or settings.pushed or settings.scraped or settings.logs:
            from gleaner_telemetry.exporting import export

            export(stack, service, settings)
        yield


def client_interceptors(target: str) -> list[grpc.aio.ClientInterceptor]:
    """What a channel needs to make spans of its calls and carry the trace on; nothing while traces are off."""
    if not tracing():
        return []
    from gleaner_telemetry.calls import interceptors

    return interceptors(target)
