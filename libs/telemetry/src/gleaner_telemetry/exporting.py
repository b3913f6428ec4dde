"""The SDK and its OTLP exporters. Imported only where something is exported: it takes a fifth of a second."""

import logging
from contextlib import ExitStack
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gleaner_core.version import VERSION
from gleaner_telemetry.discreet import Discreet
from gleaner_telemetry.metering import export_metrics
from gleaner_telemetry.sampling import Following
from gleaner_telemetry.settings import OtelSettings


def export(stack: ExitStack, service: str, settings: OtelSettings) -> None:
    """Traces and metrics go where `settings` say until `stack` unwinds, which flushes them."""
    resource = _resource(service, settings)
    if settings.logs:
        _export_logs(stack, resource)
    if settings.traces:
        tracers = TracerProvider(resource=resource)  # with the sampler of OTEL_TRACES_SAMPLER
        tracers.sampler = Following(tracers.sampler)
        tracers.add_span_processor(BatchSpanProcessor(Discreet(OTLPSpanExporter())))
        trace.set_tracer_provider(tracers)
        stack.callback(tracers.shutdown)
    if settings.pushed or settings.scraped:
        export_metrics(stack, resource, settings)


def _resource(service: str, settings: OtelSettings) -> Resource:
    """This process, by the conventions; what OTEL_RESOURCE_ATTRIBUTES says wins. Without an instance the series of two
    replicas would be one.
    """
    ours = {"service.namespace": "gleaner", "service.version": VERSION, "service.instance.id": str(uuid4())}
    return Resource(ours).merge(Resource.create({"service.name": settings.service_name or f"gleaner-{service}"}))


def _export_logs(stack: ExitStack, resource: Resource) -> None:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from gleaner_telemetry.exported_logs import Exported

    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    handler = Exported(loggers)
    logging.getLogger().addHandler(handler)
    stack.callback(loggers.shutdown)
    stack.callback(logging.getLogger().removeHandler, handler)
