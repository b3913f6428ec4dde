"""OpenTelemetry set-up, names of spans and metrics, the form of logs."""

from gleaner_telemetry.call_durations import measuring_interceptors
from gleaner_telemetry.logs import about
from gleaner_telemetry.propagation import context_from, followed, headers, kept, kept_headers, restored, tracing, within
from gleaner_telemetry.settings import CannotBeScraped, OtelSettings
from gleaner_telemetry.setup import client_interceptors, installed
from gleaner_telemetry.spans import failed, span
from gleaner_telemetry.stands_on import DatabaseMetrics, measuring, observe_children, watch_event_loop

__all__ = [
    "CannotBeScraped",
    "DatabaseMetrics",
    "OtelSettings",
    "about",
    "client_interceptors",
    "context_from",
    "failed",
    "followed",
    "headers",
    "installed",
    "kept",
    "kept_headers",
    "measuring",
    "measuring_interceptors",
    "observe_children",
    "restored",
    "span",
    "tracing",
    "watch_event_loop",
    "within",
]
