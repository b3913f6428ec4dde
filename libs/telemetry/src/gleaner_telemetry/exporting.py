"""The SDK and its OTLP exporters. Imported only where something is exported: it takes a fifth of a second."""

from contextlib import ExitStack
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gleaner_core.version import VERSION
from gleaner_telemetry.metering import export_metrics
from gleaner_telemetry.settings import OtelSettings


def export(stack: ExitStack, service: str, settings: OtelSettings) -> None:
    """Traces and metrics go where `settings` say until `stack` unwinds, which flushes them."""
    resource = Resource.create(
        {
            "service.name": settings.service_name or f"gleaner-{service}",
            "service.namespace": "gleaner",
            "service.version": VERSION,
            "service.instance.id": str(uuid4()),  # else the series of two replicas would be one
        }
    )
    if settings.traces:
        tracers = TracerProvider(resource=resource)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        stack.callback(tracers.shutdown)
    if settings.pushed or settings.scraped:
        export_metrics(stack, resource, settings)
