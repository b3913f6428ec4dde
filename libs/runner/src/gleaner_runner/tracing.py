"""Spans of a job's way through a leg, by the conventions for messaging: claimed is received, run is processed, its end
is settled. docs/adr/0009 says what is a child, what a link, and why.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from gleaner_repo import ClaimedJob
from gleaner_telemetry import followed, names, restored, span, tracing

_tracer = trace.get_tracer("gleaner.runner")
_LEGS = {1: "extraction", 2: "refinement"}


@dataclass(slots=True)
class ClaimTimes:
    """When the statement that claimed a job was sent and answered, in nanoseconds of Unix time; it claimed `count`."""

    asked: int = field(default_factory=time.time_ns)
    answered: int = 0
    count: int = 0

    def was_answered(self, count: int) -> None:
        """The statement has claimed `count` jobs, just now."""
        self.answered, self.count = time.time_ns(), count


def run_span(job: ClaimedJob, claim: ClaimTimes) -> AbstractContextManager[Span]:
    """A span for the run of a job, below one for its claim. The first run is in the submit's trace; each later one
    begins its own, linked to the submit.
    """
    if tracing():
        return _run_span(job, claim)
    # Nothing is traced here; what was kept goes on to whom the run calls.
    return span(_tracer, f"run {_LEGS[job.leg]}", context=restored(job.trace_context))


@contextmanager
def _run_span(job: ClaimedJob, claim: ClaimTimes) -> Iterator[Span]:
    counts = {names.ATTEMPT: job.attempt, names.LAPSES: job.lapses, names.SERIES: job.series}
    context, links = followed(job.trace_context, counts, first=counts == _FIRST)
    about = _about(job) | counts
    received = _tracer.start_span(
        f"claim {_LEGS[job.leg]}",
        context=context,
        kind=SpanKind.CLIENT,
        links=links,
        start_time=claim.asked,
        attributes=about | {names.OPERATION: "receive", names.OPERATION_NAME: "claim", names.BATCH: claim.count},
    )
    received.end(claim.answered)
    with span(
        _tracer,
        f"run {_LEGS[job.leg]}",
        context=trace.set_span_in_context(received, context),
        kind=SpanKind.CONSUMER,
        links=links,
        attributes=about | {names.OPERATION: "process", names.OPERATION_NAME: "run"},
    ) as made:
        yield made


def settle_span(job: ClaimedJob, move: str) -> AbstractContextManager[object]:
    """A span for writing down how a run ended, all tries included."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    return span(
        _tracer,
        f"{move} {_LEGS[job.leg]}",
        kind=SpanKind.CLIENT,
        attributes=_about(job) | {names.OPERATION: "settle", names.OPERATION_NAME: move},
    )


_FIRST = {names.ATTEMPT: 1, names.LAPSES: 0, names.SERIES: 1}


def _about(job: ClaimedJob) -> dict[str, str | int]:
    return {
        names.SYSTEM: "gleaner",
        names.DESTINATION: _LEGS[job.leg],
        names.MESSAGE: str(job.id),
        names.TENANT: job.tenant_id,
    }
