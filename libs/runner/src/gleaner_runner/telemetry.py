"""Spans and metrics of the loop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, trace

from gleaner_repo import ClaimedJob
from gleaner_telemetry import links, names, parent

_LEGS = {1: "extraction", 2: "refinement"}


class Instruments:
    """What the loop counts, with the leg on every figure."""

    def __init__(self, leg: int) -> None:
        meter = metrics.get_meter("gleaner.runner")
        self._leg = {names.LEG: _LEGS[leg]}
        self._claimed = meter.create_counter(names.CLAIMS, unit="{job}", description="Jobs claimed.")
        self._polls = meter.create_counter(names.POLLS, unit="{poll}", description="Looks for work, by what was found.")
        self._runs = meter.create_histogram(
            names.RUN_DURATION,
            unit="s",
            description="Duration of runs, by the move that ended them.",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )
        self._renewals = meter.create_counter(
            names.RENEWALS, unit="{lease}", description="Leases asked for, by answer."
        )
        self._rescues = meter.create_counter(
            names.RESCUES, unit="{job}", description="Lapsed leases taken back, by move."
        )
        self._races = meter.create_counter(names.LOST_RACES, unit="{job}", description="Endings that came too late.")

    def claimed(self, count: int) -> None:
        """A look for work found `count` jobs."""
        self._polls.add(1, self._leg | {"gleaner.found": count > 0})
        if count:
            self._claimed.add(count, self._leg)

    def ran(self, move: str, seconds: float) -> None:
        """A run ended."""
        self._runs.record(seconds, self._leg | {names.MOVE: move})

    def renewed(self, kept: int, lost: int, unknown: int) -> None:
        """The database answered a renewal."""
        for answer, count in (("kept", kept), ("lost", lost), ("unknown", unknown)):
            if count:
                self._renewals.add(count, self._leg | {"gleaner.answer": answer})

    def rescued(self, by_move: Mapping[str, int]) -> None:
        """Lapsed leases were taken back."""
        for move, count in by_move.items():
            if count:
                self._rescues.add(count, {names.MOVE: move})

    def lost_race(self, move: str) -> None:
        """An ending came too late."""
        self._races.add(1, self._leg | {names.MOVE: move})


@contextmanager
def run_span(job: ClaimedJob) -> Iterator[trace.Span]:
    """A span for a run of the job: a child of its submit the first time, else a trace of its own with a link to it."""
    first = job.attempt == 1 and job.lapses == 0 and job.series == 1
    submit = job.trace_context or ""
    with trace.get_tracer("gleaner.runner").start_as_current_span(
        f"run {_LEGS[job.leg]}",
        context=parent(submit) if first else None,
        kind=trace.SpanKind.CONSUMER,
        links=[] if first else links(submit),
        attributes={
            names.JOB: str(job.id),
            names.TENANT: job.tenant_id,
            names.LEG: _LEGS[job.leg],
            names.ATTEMPT: job.attempt,
        },
    ) as span:
        yield span
