"""Logs by OTLP: the same facts as on stderr, as the SDK's records."""

import logging

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider

from gleaner_telemetry.logs import facts

_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class Exported(logging.Handler):
    """Hands records to the SDK, which adds trace and span. What the SDK itself logs is left out: it would go round.

    The SDK's own handler would send exceptions with their text.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the record for export."""
        if record.name.startswith(("opentelemetry", "grpc")):
            return
        try:
            attributes = {
                key: value if isinstance(value, str | int | float | bool) else str(value)
                for key, value in facts(record).items()
            }
            self._provider.get_logger(record.name).emit(
                LogRecord(
                    timestamp=int(record.created * 1e9),
                    severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.INFO),
                    severity_text=record.levelname,
                    body=record.getMessage(),
                    attributes=attributes,
                )
            )
        except Exception:
            self.handleError(record)
