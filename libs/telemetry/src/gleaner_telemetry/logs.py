"""Logs: one JSON object a line on stderr, with the trace and the job they belong to.

Document content is never logged: callers log reasons, names and counts. Of an exception that is not ours the class and
the trace are logged and its text is not, for libraries like to quote their input.
"""

import json
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace

_log = logging.getLogger(__name__)
_about: ContextVar[dict[str, str | int]] = ContextVar("about", default={})  # noqa: B039 - never changed in place
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = "gleaner_"
_LONGEST_TEXT = 300


@contextmanager
def about(**facts: str | int) -> Iterator[None]:
    """Everything logged within carries `facts`: `job`, `tenant`, `attempt`, `leg`, `correlation`."""
    token = _about.set(_about.get() | facts)
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what was passed as `extra` stands beside the message."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
            line["span_id"] = trace.format_span_id(span.span_id)
        return json.dumps(line | facts(record), default=str, ensure_ascii=False)


def facts(record: logging.LogRecord) -> dict[str, object]:
    """What a record says besides its message: what it is about, what was passed as `extra`, and of an exception what
    may be told."""
    told: dict[str, object] = dict(_about.get())
    told |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1]:
        told["exception"] = _described(record.exc_info[1])
    return told


def log_to(stream: TextIO, service: str, level: str) -> None:
    """The process logs to `stream` from here on, and nowhere else."""
    sink = logging.StreamHandler(stream)
    sink.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [sink]
    set_level(level)
    logging.captureWarnings(True)
    # Says in an INFO line of its own what each failed export says already.
    logging.getLogger("opentelemetry").setLevel(max(logging.WARNING, root.level))


def set_level(level: str) -> None:
    """The least level that is logged. Of libraries nothing below INFO is: some write requests, documents and all, at
    DEBUG.
    """
    root = logging.getLogger()
    root.setLevel(max(logging.getLevelNamesMapping()[level], logging.INFO))
    for package in {name.partition(".")[0] for name in root.manager.loggerDict if name.startswith(_OURS)}:
        logging.getLogger(package).setLevel(level)


@contextmanager
def levels_by_signal(level: str) -> Iterator[None]:
    """Within the block SIGUSR1 has the process log at DEBUG, and SIGUSR2 at `level` again."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal arrives
        return
    wanted = {signal.SIGUSR1: "DEBUG", signal.SIGUSR2: level}

    def change(number: int, _: object) -> None:
        set_level(wanted[signal.Signals(number)])
        _log.warning("the log level is now %s", wanted[signal.Signals(number)])

    before = {number: signal.signal(number, change) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_to_stderr(service: str, level: str) -> None:
    """The process logs to stderr from here on."""
    log_to(sys.stderr, service, level)


def _described(error: BaseException, told: frozenset[int] = frozenset()) -> str:
    """The trace, after those of what led to it; texts only of exceptions of our own."""
    told |= {id(error)}
    led = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    sources = [*(error.exceptions if isinstance(error, BaseExceptionGroup) else ()), *([led] if led else ())]
    before = "".join(f"{_described(source, told)}\nled to:\n" for source in sources if id(source) not in told)
    frames = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error)
    text = f": {str(error)[:_LONGEST_TEXT]}" if kind.__module__.startswith(_OURS) else ""
    return f"{before}{frames}{kind.__module__}.{kind.__qualname__}{text}"
