from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from gleaner_telemetry import context_from, links, parent, traceparent

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_without_a_span_there_is_no_traceparent() -> None:
    assert traceparent() == ""


def test_a_trace_goes_into_a_string_and_comes_back() -> None:
    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("submit") as submit:
        kept = traceparent()

    with tracer.start_as_current_span("run", context=parent(kept)) as run:
        assert run.get_span_context().trace_id == submit.get_span_context().trace_id


def test_while_traces_are_off_the_callers_trace_is_passed_on() -> None:
    with trace.use_span(trace.get_current_span(context_from({"traceparent": REMOTE}))):
        assert traceparent() == REMOTE


def test_a_link_points_to_the_trace_and_an_empty_one_to_nothing() -> None:
    [link] = links(REMOTE)

    assert trace.format_trace_id(link.context.trace_id) == REMOTE.split("-")[1]
    assert links("") == []
    assert links("nonsense") == []
