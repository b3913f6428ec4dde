from contextlib import suppress

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from gleaner_telemetry import span
from gleaner_telemetry.discreet import Discreet

SECRET = "a line of the document"


class Library(Exception):
    """An error of a library that likes to quote."""


def exported(*, careless: bool) -> ReadableSpan:
    out = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Discreet(out)))
    tracer = provider.get_tracer("t")
    with suppress(Library):
        if careless:
            with tracer.start_as_current_span("s", kind=SpanKind.CLIENT, attributes={"kept": 1}) as made:
                made.set_status(Status(StatusCode.ERROR, SECRET))
                raise Library(SECRET)
        with span(tracer, "s", kind=SpanKind.CLIENT, attributes={"kept": 1}):
            raise Library(SECRET)
    [told] = out.get_finished_spans()
    return told


def test_of_an_exception_that_a_library_writes_into_a_span_the_class_goes_out_alone() -> None:
    told = exported(careless=True)

    assert SECRET not in told.to_json()
    [event] = told.events
    assert event.attributes and str(event.attributes["exception.type"]).endswith("Library")
    assert (told.name, told.kind, told.status.status_code) == ("s", SpanKind.CLIENT, StatusCode.ERROR)
    assert told.attributes == {"kept": 1}


def test_a_span_of_ours_says_the_class_by_the_conventions() -> None:
    told = exported(careless=False)

    assert SECRET not in told.to_json()
    assert told.attributes == {"kept": 1, "error.type": "Library"}
    assert told.status.status_code is StatusCode.ERROR
