"""OpenTelemetry set-up, names of spans and metrics, the form of logs."""
