"""Adapters and servers as processes of their own, and the CPU they use."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program ended without an answer."""


def module(name: str, python: Path | None = None) -> list[str]:
    """The command of a module of this repository."""
    return [str(python or sys.executable), "-m", name]


def answer(
    command: Sequence[str], mode: str, options: Mapping[str, Any], env: Mapping[str, str], patience: float = 120
) -> dict[str, Any]:
    """Runs a program to its end and returns what it told. Raises Failed."""
    try:
        ended = subprocess.run(
            [*command, mode, json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            env={**os.environ, **env},
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{mode}: no answer within {patience:.0f} s") from None
    told = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode or (mode != "install" and not told):
        raise Failed(f"{mode} ended with {ended.returncode}: {ended.stderr.strip()[-1500:]}")
    found: dict[str, Any] = json.loads(told[-1]) if told else {}
    return found


class Worker:
    """A running worker: when its first job began, how many have."""

    def __init__(self, command: Sequence[str], options: Mapping[str, Any], env: Mapping[str, str], log: Path) -> None:
        self.first: float | None = None
        self.count = 0
        self.address = ""
        self._ready = threading.Event()
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [*command, "work", json.dumps(options)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **env},
                cwd=ROOT,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def wait_ready(self, patience: float = 20) -> None:
        if not self._ready.wait(patience) or not self.alive:
            raise Failed(f"the worker did not start within {patience:.0f} s")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def cpu(self) -> float:
        return cpu_of(self._process.pid)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal and waits; a worker that takes longer than 10 s is killed."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "READY":
                self.address = rest
                self._ready.set()
            elif word == "S":
                self.first = float(rest)
            elif word == "H":
                self.count = int(rest)


class Service:
    """A service of the suite on a free port; its log is kept, the address read from it."""

    def __init__(self, name: str, env: Mapping[str, str], log: Path) -> None:
        code = f"from {name}.main import run; run()"
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "GLEANER_LISTEN": "127.0.0.1:0", **env},
            cwd=ROOT,
        )
        self._address = ""
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._log.close()

    @property
    def address(self) -> str:
        """Where it listens, as soon as it does."""
        if not self._listening.wait(30):
            raise Failed("the service does not listen")
        return self._address

    @property
    def cpu(self) -> float:
        return cpu_of(self._process.pid)

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._log.write(line)
            if not self._address and '"listening"' in line:
                self._address = json.loads(line)["address"]
                self._listening.set()


def cpu_of(pid: int, *, with_gone: bool = False) -> float:
    """Seconds of CPU that a process has used; on request with its children that are gone."""
    fields = _stat(pid)
    return sum(int(ticks) for ticks in fields[11 : 15 if with_gone else 13]) / _TICKS


def parent_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def busy() -> float:
    """Seconds of CPU that the whole machine has used since it started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
