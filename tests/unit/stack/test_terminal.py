"""What the terminal shows of the services' logs."""

import json

import pytest

from gleaner_stack.terminal import TerminalLog, readable


def test_a_line_of_json_is_shown_as_a_sentence() -> None:
    line = {"time": "2026-01-01T00:00:00Z", "level": "INFO", "service": "api", "logger": "x", "message": "ready"}

    assert readable(json.dumps(line)) == "ready"
    assert readable(json.dumps(line | {"level": "ERROR", "job": "j1"})) == "ERROR ready job=j1"


@pytest.mark.parametrize("line", ["plain", "{broken", "[1]", "7", '{"class": "stale", "count": 2}', ""])
def test_every_other_line_is_shown_as_it_is(line: str) -> None:
    assert readable(line) == line


def test_each_line_of_an_exception_stands_behind_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalLog()("api", json.dumps({"level": "ERROR", "message": "failed", "exception": "frame\nValueError: x"}))

    assert capsys.readouterr().out.splitlines() == [
        "api           | ERROR failed",
        "api           | frame",
        "api           | ValueError: x",
    ]
