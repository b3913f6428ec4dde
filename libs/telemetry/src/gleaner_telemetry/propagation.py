"""The trace as a string: W3C `traceparent`, kept with a job between the processes that work on it.

https://www.w3.org/TR/trace-context/
"""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def traceparent() -> str:
    """The present span as a `traceparent`; empty if there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


def context_from(carrier: Mapping[str, str]) -> Context:
    """The context that a call's metadata or headers carry; an empty one if they carry none."""
    return _W3C.extract(carrier, Context())


def parent(traceparent: str) -> Context:
    """The context to start a child of `traceparent` in; an empty one if it is empty or malformed."""
    return context_from({"traceparent": traceparent})


def links(traceparent: str) -> list[trace.Link]:
    """A link to `traceparent`, for a span that follows it without being its child; none if it is empty."""
    span = trace.get_current_span(parent(traceparent)).get_span_context()
    return [trace.Link(span)] if span.is_valid else []
