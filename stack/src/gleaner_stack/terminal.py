"""The services' logs on one terminal, and a stack that runs until somebody says stop."""

import asyncio
import itertools
import json
import os
import signal
import sys

from gleaner_stack.binaries import PostgresError
from gleaner_stack.processes import Log, StackError
from gleaner_stack.supervisor import Stack, StackOptions

WIDTH = 13  # of the names
KNOWN = {"time", "service", "logger"}  # told by the prefix, or of no use to who reads along
COLOURS = ("36", "32", "33", "35", "34", "96", "92", "93", "95", "94")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TerminalLog:
    """Prints each line behind its service's name, in a colour of its own if a terminal reads along."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._colours = itertools.cycle(COLOURS)
        self._colour_of: dict[str, str] = {}

    def __call__(self, name: str, line: str) -> None:
        """Print one line."""
        prefix = f"{name:<{WIDTH}} |"
        if self._coloured:
            colour = self._colour_of.setdefault(name, next(self._colours))
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        sys.stdout.write("".join(f"{prefix} {part}\n" for part in readable(line).splitlines() or [""]))
        sys.stdout.flush()


def readable(line: str) -> str:
    """A line of our services' JSON logs for people; every other line as it is."""
    try:
        record = json.loads(line)
        level, message = record.pop("level"), record.pop("message")
    except (ValueError, KeyError, AttributeError, TypeError):
        return line
    exception = record.pop("exception", "")
    facts = [f"{key}={value}" for key, value in record.items() if key not in KNOWN]
    head = "" if level == "INFO" else f"{level} "
    return " ".join([f"{head}{message}", *facts]) + (f"\n{exception}" if exception else "")


async def run_stack(options: StackOptions, log: Log) -> int:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; returns the exit status.

    0: everything ended cleanly; 1: it could not start, or something had to be killed. A second signal kills at once.
    """
    stack = Stack(options, log)
    stop = asyncio.Event()
    starting = asyncio.current_task()

    def asked_to_stop() -> None:
        if stop.is_set():
            stack.kill_all()
            return
        stop.set()
        log("gleaner", "ending everything; once more to end it at once")
        if starting:
            starting.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, asked_to_stop)
    try:
        async with stack:
            starting = None
            log("gleaner", f"ready: {stack.api_address}")
            await stop.wait()
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    except (StackError, PostgresError) as error:
        log("gleaner", str(error))
        return 1
    return 0 if stack.clean else 1
