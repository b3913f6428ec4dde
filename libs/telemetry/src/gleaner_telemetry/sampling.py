"""Which traces are kept, beyond what OTEL_TRACES_SAMPLER says of each new one."""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class Following(Sampler):
    """A trace that goes on with another one (a retry, linked to the submit) is kept if that one is; a call or a
    statement of nobody (an offer between two jobs) is no trace. About everything else `configured` decides.
    """

    def __init__(self, configured: Sampler) -> None:
        self._configured = configured
        self._by_parent = isinstance(configured, ParentBased)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Whether the span is recorded."""
        if not trace.get_current_span(parent_context).get_span_context().is_valid:
            if links and self._by_parent:
                sampled = any(link.context.trace_flags.sampled for link in links)
                return SamplingResult(Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP, attributes)
            if kind is SpanKind.CLIENT and not links:
                return SamplingResult(Decision.DROP)
        return self._configured.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        """What it is, for people."""
        return f"Following{{{self._configured.get_description()}}}"
