"""Metrics for a Prometheus that scrapes: OpenTelemetry's own reader, and the exemplars that it leaves out."""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import HistogramDataPoint, MetricReader, MetricsData
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from gleaner_telemetry.settings import CannotBeScraped


class ScrapedReader(PrometheusMetricReader):
    """Hands the metrics to a registry, and remembers them as they were collected last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.collected: MetricsData | None = None
        super().__init__(scope_info_enabled=False, registry=registry)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **more: object) -> None:
        self.collected = metrics_data
        super()._receive_metrics(metrics_data, timeout_millis, **more)


class _WithExemplars(Collector):
    """The families of a registry; each bucket of a histogram with the newest exemplar that fell into it."""

    def __init__(self, registry: CollectorRegistry, reader: ScrapedReader) -> None:
        self._registry = registry
        self._reader = reader

    def collect(self) -> Iterator[Family]:
        """The families, collected now."""
        families = list(self._registry.collect())
        points = dict(_points(self._reader.collected)) if self._reader.collected else {}
        for family in families:
            if isinstance(family, HistogramMetricFamily):
                name = family.name.removesuffix(f"_{family.unit}")
                family.samples = [_with_exemplar(name, sample, points) for sample in family.samples]
            yield family


Key = tuple[str, frozenset[tuple[str, str]]]


def _points(collected: MetricsData) -> Iterator[tuple[Key, HistogramDataPoint]]:
    """The points of histograms that have exemplars, by name and labels as Prometheus has them."""
    for resource in collected.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    if isinstance(point, HistogramDataPoint) and point.exemplars:
                        yield _key(metric.name, point.attributes or {}), point


def _key(name: str, labels: Mapping[str, object]) -> Key:
    told = ((_plain(label), str(value)) for label, value in labels.items())
    return _plain(name), frozenset((label, value) for label, value in told if value)


def _plain(name: str) -> str:
    return re.sub("[^a-zA-Z0-9]+", "_", name)


def _with_exemplar(name: str, sample: Sample, points: Mapping[Key, HistogramDataPoint]) -> Sample:
    labels = dict(sample.labels)
    bound = labels.pop("le", None)
    point = points.get(_key(name, labels))
    if bound is None or point is None:
        return sample
    bounds = (-math.inf, *point.explicit_bounds, math.inf)
    below = bounds[bisect_left(bounds, float(bound)) - 1]
    fitting = [one for one in point.exemplars if below < one.value <= float(bound) and one.trace_id and one.span_id]
    if not fitting:
        return sample
    newest = max(fitting, key=lambda one: one.time_unix_nano)
    trace = {"trace_id": format_trace_id(newest.trace_id or 0), "span_id": format_span_id(newest.span_id or 0)}
    return sample._replace(exemplar=Exemplar(trace, newest.value, newest.time_unix_nano / 1e9))


def exposed() -> tuple[MetricReader, CollectorRegistry]:
    """A reader for the meter provider, and the registry whose content is to be served."""
    plain, served = CollectorRegistry(), CollectorRegistry()
    reader = ScrapedReader(plain)
    served.register(_WithExemplars(plain, reader))
    return reader, served


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Serves the registry on a thread; returns the port and what ends it. Raises CannotBeScraped."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise CannotBeScraped(
            f"cannot listen on {host}:{port} for scrapes: set OTEL_EXPORTER_PROMETHEUS_PORT"
        ) from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, end
