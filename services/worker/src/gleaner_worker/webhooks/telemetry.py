"""Spans and metrics of webhooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry import metrics, trace

from gleaner_repo import ClaimedDelivery, Content
from gleaner_telemetry import names, parent

_AGES_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0)


class Instruments:
    """What is counted of deliveries."""

    def __init__(self) -> None:
        meter = metrics.get_meter("gleaner.webhooks")
        self._tries = meter.create_counter(
            names.DELIVERIES, unit="{try}", description="Tries of deliveries, and those put off, by outcome and error."
        )
        self._ages = meter.create_histogram(
            names.DELIVERY_AGE,
            unit="s",
            description="Age of deliveries that were delivered or given up, from the move they tell of.",
            explicit_bucket_boundaries_advisory=_AGES_S,
        )
        self._durations = meter.create_histogram(
            names.DELIVERY_DURATION,
            unit="s",
            description="Duration of tries, by outcome.",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )

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
