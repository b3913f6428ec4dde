"""What telemetry reads from the environment."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CannotBeScraped(Exception):
    """The address of the endpoint for scrapes is taken or is not ours."""


class OtelSettings(BaseSettings):
    """Where traces, metrics and logs go, and how much is logged.

    Everything else (headers, certificates, sampler, resource, batch sizes) is read by OpenTelemetry itself from its
    standard `OTEL_*` variables.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    disabled: bool = Field(
        default=False, validation_alias="OTEL_SDK_DISABLED", description="Turns traces and metrics off."
    )
    endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/gRPC endpoint of traces, metrics and logs; empty: off.",
    )
    service_name: str = Field(
        default="",
        validation_alias="OTEL_SERVICE_NAME",
        description="Name in traces and metrics; empty: `gleaner-` and which.",
    )
    traces_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="OTLP/gRPC endpoint of traces alone.",
    )
    metrics_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        description="OTLP/gRPC endpoint of metrics alone.",
    )
    traces_exporter: str = Field(
        default="otlp", validation_alias="OTEL_TRACES_EXPORTER", description="`otlp`, or `none` for no traces."
    )
    metrics_exporter: str = Field(
        default="otlp",
        validation_alias="OTEL_METRICS_EXPORTER",
        description="`otlp`, `prometheus` (an endpoint to be scraped), both with a comma, or `none` for no metrics.",
    )
    prometheus_host: str = Field(
        default="localhost",
        validation_alias="OTEL_EXPORTER_PROMETHEUS_HOST",
        description="Where the Prometheus endpoint listens; 0.0.0.0 in a pod.",
    )
    prometheus_port: int = Field(
        default=9464,
        ge=0,
        le=65535,
        validation_alias="OTEL_EXPORTER_PROMETHEUS_PORT",
        description="Its port; 0 takes a free one, which the log tells.",
    )
    logs_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        description="OTLP/gRPC endpoint of logs alone.",
    )
    logs_exporter: str = Field(
        default="none",
        validation_alias="OTEL_LOGS_EXPORTER",
        description="`otlp` exports logs, too; they are written to stderr all the same.",
    )
    trace_statements: bool = Field(
        default=False,
        validation_alias="GLEANER_TRACE_STATEMENTS",
        description="Whether each statement in a trace has a span of its own, by its name.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="GLEANER_LOG_LEVEL", description="Least level that is logged."
    )

    @property
    def traces(self) -> bool:
        """Whether spans are exported."""
        return not self.disabled and self.traces_exporter != "none" and bool(self.endpoint or self.traces_endpoint)

    @property
    def pushed(self) -> bool:
        """Whether metrics are sent by OTLP."""
        return self._metrics_go_by("otlp") and bool(self.endpoint or self.metrics_endpoint)

    @property
    def scraped(self) -> bool:
        """Whether metrics wait at an endpoint to be scraped."""
        return self._metrics_go_by("prometheus")

    @property
    def logs(self) -> bool:
        """Whether logs are exported."""
        return not self.disabled and self.logs_exporter == "otlp" and bool(self.endpoint or self.logs_endpoint)

    def _metrics_go_by(self, way: str) -> bool:
        return not self.disabled and way in {each.strip() for each in self.metrics_exporter.split(",")}
