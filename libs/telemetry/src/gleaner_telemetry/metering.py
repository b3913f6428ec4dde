"""The SDK's meters and their two ways out, pushed by OTLP or scraped. Imported only where one is used."""

import logging
from contextlib import ExitStack

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource

from gleaner_telemetry.settings import OtelSettings

_log = logging.getLogger(__name__)


def export_metrics(stack: ExitStack, resource: Resource, settings: OtelSettings) -> None:
    """Metrics go where `settings` say until `stack` unwinds, which flushes them. Raises CannotBeScraped."""
    readers = []
    if settings.pushed:
        readers.append(_pushing())
    if settings.scraped:
        readers.append(_scraped(stack, settings))
    meters = MeterProvider(readers, resource=resource)
    metrics.set_meter_provider(meters)
    stack.callback(meters.shutdown)


def _pushing() -> MetricReader:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(OTLPMetricExporter())


def _scraped(stack: ExitStack, settings: OtelSettings) -> MetricReader:
    from gleaner_telemetry.exposition import exposed, serve_metrics

    reader, registry = exposed()
    port, end = serve_metrics(registry, settings.prometheus_host, settings.prometheus_port)
    stack.callback(end)
    _log.info("listening for scrapes", extra={"address": f"{settings.prometheus_host}:{port}", "port": port})
    return reader
