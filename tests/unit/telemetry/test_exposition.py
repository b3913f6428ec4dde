"""Metrics that wait to be scraped."""

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.samples import Sample

from gleaner_telemetry import CannotBeScraped
from gleaner_telemetry.exposition import exposed, serve_metrics
from support.metric_series import samples, series

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


class Scraped:
    """A meter, and the page that a Prometheus would get."""

    def __init__(self, stack: ExitStack) -> None:
        reader, registry = exposed()
        provider = MeterProvider([reader])
        stack.callback(provider.shutdown)
        self.port, end = serve_metrics(registry, "127.0.0.1", 0)
        stack.callback(end)
        self.meter = provider.get_meter("test")

    def samples(self) -> list[Sample]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics", headers=OPEN_METRICS)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return samples(answer.read().decode())


@pytest.fixture
def scraped() -> Iterator[Scraped]:
    with ExitStack() as stack:
        yield Scraped(stack)


def test_a_bucket_carries_the_trace_of_what_fell_into_it(scraped: Scraped) -> None:
    durations = scraped.meter.create_histogram("a.call.duration", "s", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    with TracerProvider().get_tracer("test").start_as_current_span("call") as span:
        durations.record(1.5, {"rpc.method": "A/B", "rpc.status": ""})
    durations.record(0.5, {"rpc.method": "A/B", "rpc.status": ""})

    buckets = {one.labels["le"]: one for one in scraped.samples() if one.name == "a_call_duration_seconds_bucket"}
    exemplar = buckets["2.0"].exemplar
    assert exemplar is not None
    assert exemplar.labels["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert exemplar.labels["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert exemplar.value == 1.5
    assert buckets["1.0"].exemplar is None  # recorded outside any trace
    assert buckets["+Inf"].exemplar is None


def test_series_of_one_metric_keep_their_exemplars_apart(scraped: Scraped) -> None:
    durations = scraped.meter.create_histogram("a.duration", "s", explicit_bucket_boundaries_advisory=[1.0])
    with TracerProvider().get_tracer("test").start_as_current_span("call"):
        durations.record(0.5, {"kind": "traced"})
    durations.record(0.5, {"kind": "plain"})

    with_exemplar = {one.labels["kind"] for one in scraped.samples() if one.exemplar}
    assert with_exemplar == {"traced"}


def test_a_port_that_is_taken_is_told_as_such(scraped: Scraped) -> None:
    _, registry = exposed()
    with pytest.raises(CannotBeScraped, match="OTEL_EXPORTER_PROMETHEUS_PORT"):
        serve_metrics(registry, "127.0.0.1", scraped.port)


def test_names_and_units_are_those_that_prometheus_expects() -> None:
    assert {
        "rpc_server_call_duration_seconds_bucket",
        "gleaner_claims_total",
        "gleaner_queue_depth",
        "gleaner_queue_oldest_age_seconds",
        "gleaner_model_cost_total",
    } <= set(series())
