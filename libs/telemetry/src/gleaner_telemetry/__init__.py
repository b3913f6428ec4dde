"""OpenTelemetry set-up, names of spans and metrics, the form of logs."""

from gleaner_telemetry.logs import about
from gleaner_telemetry.propagation import context_from, followed, headers, kept, restored, tracing, within
from gleaner_telemetry.settings import CannotBeScraped, OtelSettings
from gleaner_telemetry.setup import client_interceptors, installed
from gleaner_telemetry.spans import failed, span

__all__ = [
    "CannotBeScraped",
    "OtelSettings",
    "about",
    "client_interceptors",
    "context_from",
    "failed",
    "followed",
    "headers",
    "installed",
    "kept",
    "restored",
    "span",
    "tracing",
    "within",
]
