import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from gleaner_telemetry.sampling import Following


def link(flags: int) -> Link:
    return Link(SpanContext(1, 2, True, TraceFlags(flags)))


def is_kept(sampler: Sampler, *links: Link, kind: SpanKind = SpanKind.CONSUMER, parent: int | None = None) -> bool:
    context = Context()
    if parent is not None:
        remote = trace.NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(parent)))
        context = trace.set_span_in_context(remote, context)
    tracer = TracerProvider(sampler=Following(sampler)).get_tracer("t")
    return tracer.start_span("s", context, kind, links=links).is_recording()


@pytest.mark.parametrize("root", [ALWAYS_ON, ALWAYS_OFF])
def test_a_retry_is_kept_if_its_submit_is(root: Sampler) -> None:
    assert is_kept(ParentBased(root), link(1))
    assert not is_kept(ParentBased(root), link(0))


def test_a_child_is_kept_if_its_parent_is_whatever_it_is_linked_to() -> None:
    assert not is_kept(ParentBased(ALWAYS_ON), link(1), parent=0)
    assert is_kept(ParentBased(ALWAYS_OFF), link(0), parent=1)


def test_a_sampler_that_asks_nobody_is_not_overruled() -> None:
    assert not is_kept(ALWAYS_OFF, link(1))
    assert is_kept(ALWAYS_ON, link(0))


def test_a_call_of_nobody_is_no_trace() -> None:
    assert not is_kept(ParentBased(ALWAYS_ON), kind=SpanKind.CLIENT)
    assert is_kept(ParentBased(ALWAYS_ON), kind=SpanKind.INTERNAL)
    assert is_kept(ParentBased(ALWAYS_ON), kind=SpanKind.CLIENT, parent=1)
    assert is_kept(ParentBased(ALWAYS_ON), link(1), kind=SpanKind.CLIENT)
