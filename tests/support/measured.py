"""What was measured, for tests of a part in this process: instruments made within it belong to the test alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from gleaner_telemetry import metrics
from gleaner_telemetry.metrics import Metric


class Measured:
    """Everything measured so far."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def of(self, metric: Metric) -> dict[tuple[str, ...], Any]:
        """The metric's values by its labels' values, in the list's order; of a histogram how many, and their sum."""
        return {
            tuple(str((point.attributes or {}).get(label, "")) for label in metric.labels): (
                (point.count, point.sum) if isinstance(point, HistogramDataPoint) else point.value
            )
            for point in self._points(metric.name)
        }

    def _points(self, name: str) -> Iterator[Any]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        yield from metric.data.data_points


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    """What is measured from here on, by instruments that are made from here on."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr("gleaner_telemetry.stands_on.measuring", lambda: True)
    monkeypatch.setattr(metrics, "_meter", lambda: provider.get_meter("test"))
    yield Measured(reader)
    provider.shutdown()
