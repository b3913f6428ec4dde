"""Every series that the suite can export, as Prometheus has it: found by exporting each metric of the list once."""

from collections.abc import Mapping
from functools import cache

from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gleaner_telemetry.exposition import exposed
from gleaner_telemetry.metrics import METRICS, Gauge, Histogram


@cache
def series() -> Mapping[str, frozenset[str]]:
    """The labels of every series by its name; `le` is among those of buckets."""
    reader, registry = exposed()
    meter = MeterProvider([reader]).get_meter("all")
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "some")
        if isinstance(metric, Histogram):
            meter.create_histogram(metric.name, metric.unit, metric.description).record(1, labels)
        elif isinstance(metric, Gauge):
            meter.create_gauge(metric.name, metric.unit, metric.description).set(1, labels)
        else:
            meter.create_counter(metric.name, metric.unit, metric.description).add(1, labels)
    page: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return {sample.name: frozenset(sample.labels) for sample in samples(page.decode())}


def samples(page: str) -> list[Sample]:
    """What an OpenMetrics page says."""
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    return [sample for family in families for sample in family.samples]
