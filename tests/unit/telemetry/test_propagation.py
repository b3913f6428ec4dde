import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from gleaner_telemetry import context_from, followed, headers, kept, restored, span, within

TRACE = "0af7651916cd43dd8448eb211c80319c"
REMOTE = f"00-{TRACE}-b7ad6b7169203331-01"
CALL = {"traceparent": REMOTE, "tracestate": "rojo=00f067aa0ba902b7", "baggage": "customer=acme,tier=gold"}


def passed_on(context: Context) -> dict[str, str]:
    with within(context):
        return headers()


def test_without_a_span_nothing_is_passed_on_or_kept() -> None:
    assert headers() == {}
    assert kept() is None


def test_a_context_is_kept_as_text_and_comes_back_whole() -> None:
    with within(context_from(CALL)):
        text = kept()

    assert passed_on(restored(text)) == CALL


def test_a_span_of_ours_stands_between_the_caller_and_what_is_kept() -> None:
    with span(TracerProvider().get_tracer("t"), "submit", context=context_from(CALL)) as submit:
        context = restored(kept())

    assert trace.get_current_span(context).get_span_context().span_id == submit.get_span_context().span_id
    assert passed_on(context).keys() == CALL.keys()


def test_what_was_kept_before_there_was_more_than_a_traceparent_is_still_read() -> None:
    assert passed_on(restored(REMOTE)) == {"traceparent": REMOTE}


@pytest.mark.parametrize(
    "sent",
    [
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"},
        {"traceparent": REMOTE + "x" * 9000},
        {"baggage": "no baggage at all"},
        {"baggage": "a=" + "b" * 9000},
        {"tracestate": "alone=1"},
    ],
)
def test_what_is_malformed_or_too_long_counts_as_not_sent(sent: dict[str, str]) -> None:
    assert passed_on(context_from(sent)) == {}


def test_a_broken_tracestate_does_not_cost_the_trace() -> None:
    assert passed_on(context_from({"traceparent": REMOTE, "tracestate": "a" * 600})) == {"traceparent": REMOTE}


@pytest.mark.parametrize("text", [None, "", "\n\n\n\n", "x\ny\nz", "\x00", REMOTE[:-1]])
def test_a_kept_text_that_is_none_is_an_empty_context(text: str | None) -> None:
    assert passed_on(restored(text)) == {}
    assert followed(text, {}, first=True)[1] == []


def test_who_follows_is_linked_with_the_attempt() -> None:
    context, [link] = followed("\n".join(CALL.values()), {"gleaner.attempt": 2}, first=True)

    assert trace.format_trace_id(link.context.trace_id) == TRACE
    assert link.attributes == {"gleaner.attempt": 2}
    assert baggage.get_all(context) == {"customer": "acme", "tier": "gold"}


def test_while_nothing_is_traced_later_attempts_pass_the_callers_context_on_too() -> None:
    context, _ = followed("\n".join(CALL.values()), {}, first=False)

    assert passed_on(context) == CALL
