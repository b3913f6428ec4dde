"""Spans of our own: like OpenTelemetry's, but that an exception's text, which may quote a document, is never told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gleaner_telemetry import names
from gleaner_telemetry.propagation import within


@contextmanager
def span(
    tracer: Tracer,
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    context: Context | None = None,
    links: Sequence[trace.Link] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """A span around the block. An exception is told by its class; a cancelled block is no error."""
    with (
        within(context) if context is not None else nullcontext(),
        tracer.start_as_current_span(
            name,
            kind=kind,
            links=links,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as made,
    ):
        try:
            yield made
        except Exception as error:
            failed(made, type(error).__name__)
            raise


def failed(made: Span, kind: str) -> None:
    """The span is told as one of an error of that kind."""
    made.set_attribute(names.ERROR_TYPE, kind)
    made.set_status(StatusCode.ERROR)
