"""The SDK and its OTLP exporters. Imported only where something is exported: it takes a fifth of a second."""

from contextlib import ExitStack

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gleaner_telemetry.settings import OtelSettings


def export(stack: ExitStack, service: str, settings: OtelSettings) -> None:
    """Traces and metrics go where `settings` say until `stack` unwinds, which flushes them."""
    resource = Resource.create(
        {"service.name": settings.service_name or f"gleaner-{service}", "service.namespace": "gleaner"}
    )
    if settings.traces:
        tracers = TracerProvider(resource=resource)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        stack.callback(tracers.shutdown)
    if settings.metrics:
        meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
        metrics.set_meter_provider(meters)
        stack.callback(meters.shutdown)
