"""Spans of webhooks: what is told, by the conventions for messaging, and each POST, by those for HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from gleaner_repo import ClaimedDelivery, Content
from gleaner_telemetry import failed, followed, names, span
from gleaner_worker.webhooks.posting import Answered, Unanswered

_tracer = trace.get_tracer("gleaner.webhooks")


@contextmanager
def send_span(delivery: ClaimedDelivery, content: Content) -> Iterator[Span]:
    """A span for a try. The first one is in the trace of the job's submit; each later one begins its own, linked to the
    submit: it may be days later.
    """
    context, links = followed(content.trace_context, {names.ATTEMPT: delivery.attempt}, first=delivery.attempt == 1)
    with span(
        _tracer,
        f"send {content.event.type}",
        context=context,
        kind=SpanKind.PRODUCER,
        links=links,
        attributes={
            names.SYSTEM: "gleaner",
            names.DESTINATION: content.event.type,
            names.OPERATION: "send",
            names.OPERATION_NAME: "send",
            names.MESSAGE: str(delivery.event_id),
            names.JOB: str(delivery.job_id),
            names.TENANT: delivery.tenant_id,
            names.ATTEMPT: delivery.attempt,
        },
    ) as made:
        yield made


@contextmanager
def post_span(delivery: ClaimedDelivery, size: int) -> Iterator[Span]:
    """A span for the request. Of the URL only the place is told: a path may be as good as a password."""
    url = urlsplit(delivery.url)
    place = url.hostname or ""
    attributes: dict[str, str | int] = {
        "http.request.method": "POST",
        "http.request.body.size": size,
        "server.address": place,
        "server.port": _port(delivery.url),
        "url.scheme": url.scheme,
        "url.full": f"{url.scheme}://{place}:{_port(delivery.url)}/REDACTED",
    }
    if delivery.attempt > 1:
        attributes["http.request.resend_count"] = delivery.attempt - 1
    with span(_tracer, "POST", kind=SpanKind.CLIENT, attributes=attributes) as made:
        yield made


def answered(made: Span, answer: Answered | Unanswered) -> None:
    """The span says what came of the request."""
    if isinstance(answer, Unanswered):
        failed(made, answer.reason)
        return
    made.set_attribute("http.response.status_code", answer.status)
    if answer.status >= 400:
        failed(made, str(answer.status))


def _port(url: str) -> int:
    parsed = urlsplit(url)
    try:
        return parsed.port or {"http": 80}.get(parsed.scheme, 443)
    except ValueError:  # no port at all: the poster refuses it
        return 0
