"""The last gate before spans leave the process: of exceptions the class goes out, the text and the trace do not."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

_TEXTS = frozenset({"exception.message", "exception.stacktrace"})


class Discreet(SpanExporter):
    """Exports by `inner` what may be told: libraries that make spans write into them what a document said."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans on."""
        return self._inner.export([_told(span) for span in spans])

    def shutdown(self) -> None:
        """Nothing is exported any more."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all that was given is out."""
        return self._inner.force_flush(timeout_millis)


def _told(span: ReadableSpan) -> ReadableSpan:
    if not span.status.description and not any(event.name == "exception" for event in span.events):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_silenced(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _silenced(event: Event) -> Event:
    kept = {key: value for key, value in (event.attributes or {}).items() if key not in _TEXTS}
    return Event(event.name, kept, event.timestamp)
