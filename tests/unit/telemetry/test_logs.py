import io
import json
import logging
import os
import signal
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from gleaner_core.errors import Unavailable
from gleaner_telemetry import about
from gleaner_telemetry.logs import levels_by_signal, log_to


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log_to(stream, "worker", "INFO")
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_json_with_what_it_is_about(lines: io.StringIO) -> None:
    with about(tenant="acme", job="jobs/1", attempt=2):
        logging.getLogger("x").info("run %s", "begins", extra={"pages": 3})

    line = json.loads(lines.getvalue())
    assert line.items() >= {
        "level": "INFO", "service": "worker", "logger": "x", "message": "run begins",
        "tenant": "acme", "job": "jobs/1", "attempt": 2, "pages": 3,
    }.items()  # fmt: skip
    assert "trace_id" not in line


def test_facts_end_with_their_block_and_nest(lines: io.StringIO) -> None:
    with about(tenant="acme"):
        with about(job="jobs/1"):
            pass
        logging.getLogger("x").info("after")
    logging.getLogger("x").info("outside")

    inner, outer = (json.loads(line) for line in lines.getvalue().splitlines())
    assert inner["tenant"] == "acme"
    assert "job" not in inner
    assert "tenant" not in outer


def test_a_line_names_the_span_it_was_written_in(lines: io.StringIO) -> None:
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        logging.getLogger("x").info("within")

    line = json.loads(lines.getvalue())
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"


def test_an_exception_keeps_its_trace_and_loses_the_text_that_a_library_gave_it(lines: io.StringIO) -> None:
    try:
        try:
            int("a line of the document")
        except ValueError as error:
            raise KeyError("another line of it") from error
    except KeyError:
        logging.getLogger("x").exception("failed")

    text = json.loads(lines.getvalue())["exception"]
    assert text.count("test_logs.py") == 2
    assert text.index("builtins.ValueError") < text.index("builtins.KeyError")
    assert text.endswith("builtins.KeyError")
    assert "invalid literal" not in text


def test_an_exception_of_ours_says_what_it_has_to_say_in_short(lines: io.StringIO) -> None:
    try:
        raise Unavailable("x" * 10_000)
    except Unavailable:
        logging.getLogger("x").exception("failed")

    text = json.loads(lines.getvalue())["exception"]
    assert "gleaner_core.errors.Unavailable: xxx" in text
    assert len(text) < 1000


def test_what_is_below_the_level_is_not_written(lines: io.StringIO) -> None:
    logging.getLogger("x").debug("detail")

    assert lines.getvalue() == ""


def test_a_signal_turns_debug_on_and_another_off_again(lines: io.StringIO) -> None:
    ours, foreign = logging.getLogger("gleaner_x.y"), logging.getLogger("openai._base_client")
    with levels_by_signal("INFO"):
        os.kill(os.getpid(), signal.SIGUSR1)
        ours.debug("on")
        foreign.debug("Request options: a line of the document")
        os.kill(os.getpid(), signal.SIGUSR2)
        ours.debug("off")

    said = [json.loads(line)["message"] for line in lines.getvalue().splitlines()]
    assert said == ["the log level is now DEBUG", "on", "the log level is now INFO"]


def test_of_libraries_nothing_below_info_is_written_for_they_quote_what_they_send(lines: io.StringIO) -> None:
    log_to(lines, "worker", "DEBUG")
    logging.getLogger("openai._base_client").debug("Request options: a line of the document")
    logging.getLogger("gleaner_x.y").debug("ours")

    assert [json.loads(line)["message"] for line in lines.getvalue().splitlines()] == ["ours"]
