"""OpenTelemetry set-up, names of spans and metrics, the form of logs."""

from gleaner_telemetry.logs import about
from gleaner_telemetry.propagation import context_from, links, parent, traceparent
from gleaner_telemetry.settings import CannotBeScraped, OtelSettings
from gleaner_telemetry.setup import client_interceptors, installed

__all__ = [
    "CannotBeScraped",
    "OtelSettings",
    "about",
    "client_interceptors",
    "context_from",
    "installed",
    "links",
    "parent",
    "traceparent",
]
