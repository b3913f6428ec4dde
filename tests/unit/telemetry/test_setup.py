import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gleaner_telemetry import OtelSettings, client_interceptors

PROGRAM = """
from opentelemetry import metrics, trace
from gleaner_telemetry.metrics import RPC_SERVER_DURATION
from gleaner_telemetry import OtelSettings, client_interceptors, installed
with installed("worker", OtelSettings()):
    with trace.get_tracer("t").start_as_current_span("a-span"):
        metrics.get_meter("t").create_counter("a-counter").add(1)
        RPC_SERVER_DURATION.make().record(0.1)
    assert client_interceptors("dns:///worker:50052")
"""


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.received: list[object] = []

    def Export(self, request: object, context: grpc.ServicerContext) -> object:
        self.received.append(request)
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            return trace_service_pb2.ExportTraceServiceResponse()
        return metrics_service_pb2.ExportMetricsServiceResponse()


def exemplars(collector: Collector, name: str) -> list[Exemplar]:
    return [
        exemplar
        for request in collector.received
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.histogram.data_points
        for exemplar in point.exemplars
    ]


def spans(collector: Collector) -> list[Span]:
    return [
        span
        for request in collector.received
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_spans_and_metrics_are_flushed_at_the_end_of_a_short_program() -> None:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"},
            check=True,
            timeout=30,
        )
    finally:
        server.stop(0)

    [exemplar] = exemplars(collector, "rpc.server.call.duration")
    assert exemplar.span_id.hex() in {span.span_id.hex() for span in spans(collector)}
    sent = " ".join(str(message) for message in collector.received)
    assert "a-span" in sent
    assert "a-counter" in sent
    assert "gleaner-worker" in sent


def test_without_an_endpoint_nothing_of_the_sdk_is_loaded() -> None:
    program = (
        "import sys, json; from gleaner_telemetry import *\n"
        "with installed('api', OtelSettings()): pass\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('opentelemetry.sdk') or 'exporter' in m]))"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, check=True, capture_output=True, timeout=30)

    assert json.loads(done.stdout) == []
    assert client_interceptors("worker:50052") == []


@pytest.mark.parametrize(
    ("variables", "traces", "pushed", "scraped"),
    [
        ({}, False, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, True, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_SDK_DISABLED": "true"}, False, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_METRICS_EXPORTER": "none"}, True, False, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4317"}, False, True, False),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, False, False, True),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_SDK_DISABLED": "true"}, False, False, False),
        (
            {"OTEL_METRICS_EXPORTER": "otlp, prometheus", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"},
            True,
            True,
            True,
        ),
    ],
)
def test_the_standard_variables_decide(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], traces: bool, pushed: bool, scraped: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    settings = OtelSettings()

    assert (settings.traces, settings.pushed, settings.scraped) == (traces, pushed, scraped)
