"""The W3C context (`traceparent`, `tracestate`, `baggage`): in and out of calls, and kept with a job between the
processes that work on it.

https://www.w3.org/TR/trace-context/ https://www.w3.org/TR/baggage/ What is malformed or too long counts as not sent.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

_W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
# Most of what the recommendations ask to pass on: nobody can make a row long by a header.
_LONGEST = {"traceparent": 55, "tracestate": 512, "baggage": 8192}

# Repeats at WARNING what a caller sent that is no baggage.
logging.getLogger("opentelemetry.baggage").setLevel(logging.ERROR)


def tracing() -> bool:
    """Whether spans go anywhere."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def headers() -> dict[str, str]:
    """The present context as headers of a call; those that would be empty or too long are not there."""
    if not get_current():
        return {}
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return {name: text for name in _LONGEST if (text := carrier.get(name)) and len(text) <= _LONGEST[name]}


def context_from(carrier: Mapping[str, str]) -> Context:
    """The context that a call's metadata or headers carry; an empty one if they carry none."""
    fits = {name: text for name, longest in _LONGEST.items() if (text := carrier.get(name)) and len(text) <= longest}
    return _W3C.extract(fits, Context()) if fits else Context()


@contextmanager
def within(context: Context) -> Iterator[None]:
    """In the block the context is the present one. A span started there hands on its baggage; one that is only started
    with `context=` has no more of it than the trace.
    """
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def kept() -> str | None:
    """The present context as a text to store: the three headers, a line each; None if there is nothing to keep."""
    found = headers()
    return "\n".join(found.get(name, "") for name in _LONGEST).rstrip("\n") or None


def restored(text: str | None) -> Context:
    """The context that was kept; an empty one if there is none, or it is malformed."""
    return context_from(dict(zip(_LONGEST, (text or "").split("\n"), strict=False)))


def kept_headers(text: str | None) -> dict[str, str]:
    """What was kept as headers again; none of what is malformed."""
    if not text:
        return {}
    with within(restored(text)):
        return headers()


def followed(
    text: str | None, attributes: Mapping[str, AttributeValue], *, first: bool
) -> tuple[Context, list[trace.Link]]:
    """Where a span belongs that follows the one that was kept: linked to it, and if it is the `first` to do so, its
    child. Later ones begin traces of their own; while nothing is traced they, too, pass on what was kept.
    """
    context = restored(text)
    origin = trace.get_current_span(context).get_span_context()
    if not origin.is_valid:
        return context, []
    links = [trace.Link(origin, dict(attributes))]
    return (context if first or not tracing() else trace.set_span_in_context(trace.INVALID_SPAN, context)), links
