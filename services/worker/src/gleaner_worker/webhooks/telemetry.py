"""Spans and metrics of webhooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry import trace

from gleaner_repo import ClaimedDelivery, Content
from gleaner_telemetry import metrics, names, parent


class Instruments:
    """What is counted of deliveries."""

    def __init__(self) -> None:
        self._tries = metrics.WEBHOOK_TRIES.make()
        self._ages = metrics.WEBHOOK_AGE.make()
        self._durations = metrics.WEBHOOK_DURATION.make()

    def tried(self, outcome: str, error: str | None, seconds: float) -> None:
        """A try ended."""
        self._tries.add(1, {names.OUTCOME: outcome, names.ERROR_TYPE: error or ""})
        self._durations.record(seconds, {names.OUTCOME: outcome})

    def put_off(self, outcome: str) -> None:
        """A delivery was not tried."""
        self._tries.add(1, {names.OUTCOME: outcome, names.ERROR_TYPE: ""})

    def ended(self, outcome: str, age: timedelta) -> None:
        """A delivery was delivered or given up."""
        self._ages.record(age.total_seconds(), {names.OUTCOME: outcome})


@contextmanager
def send_span(delivery: ClaimedDelivery, content: Content) -> Iterator[trace.Span]:
    """A span for a try, in the trace of the job's submit: what receivers do belongs to it, too, whichever try it is."""
    with trace.get_tracer("gleaner.webhooks").start_as_current_span(
        f"send {content.event.type}",
        context=parent(content.trace_context or ""),
        kind=trace.SpanKind.PRODUCER,
        attributes={
            names.JOB: str(delivery.job_id),
            names.TENANT: delivery.tenant_id,
            names.ATTEMPT: delivery.attempt,
            "messaging.message.id": str(delivery.event_id),
        },
    ) as span:
        yield span
