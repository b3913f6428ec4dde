"""Spans of our own: like OpenTelemetry's, but that an exception's text, which may quote a document, is never told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gleaner_telemetry import names
from gleaner_telemetry.propagation import tracing, within


def span(
    tracer: Tracer,
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    context: Context | None = None,
    links: Sequence[trace.Link] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
    error_is_told: bool = True,
) -> AbstractContextManager[Span]:
    """A span around the block. An exception is told by its class, unless the block does so itself; a cancelled block is
    no error. While nothing is traced it costs nothing, and the present context is handed on as it is.
    """
    if type(tracer) is trace.ProxyTracer and not tracing():
        return _within_quietly(context) if context else _NOTHING
    return _span(tracer, name, kind, context, links, attributes, error_is_told)


_NOTHING = nullcontext(trace.INVALID_SPAN)


@contextmanager
def _within_quietly(context: Context) -> Iterator[Span]:
    with within(context):
        yield trace.INVALID_SPAN


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    context: Context | None,
    links: Sequence[trace.Link],
    attributes: Mapping[str, AttributeValue] | None,
    error_is_told: bool,
) -> Iterator[Span]:
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
            if error_is_told:
                failed(made, type(error).__name__)
            raise


def failed(made: Span, kind: str) -> None:
    """The span is told as one of an error of that kind."""
    made.set_attribute(names.ERROR_TYPE, kind)
    made.set_status(StatusCode.ERROR)
