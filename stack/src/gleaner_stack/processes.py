"""One service as a child process: its log line by line, started again when it dies, ended in time."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gleaner_stack.guard import guarded

Log = Callable[[str, str], object]  # name of the service, one line

QUIET = {"PYTHONUNBUFFERED": "1", "GRPC_VERBOSITY": "ERROR"}  # gRPC's own lines about forks and goodbyes say nothing
FIRST_DELAY = 0.5
LAST_DELAY = 10.0
STEADY = 30.0  # who ran that long starts again with the first delay
LINE = 64 * 1024
# gRPC waits a second before it tries again, by default; a service on its way up answers sooner.
EAGER = [(f"grpc.{bound}_reconnect_backoff_ms", 100) for bound in ("initial", "min", "max")]


class StackError(Exception):
    """The stack cannot run; the text says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """What to run. `address`: where it answers to gRPC health, None if it does not."""

    name: str
    command: Sequence[str]
    address: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class ServiceProcess:
    """A service that runs from `run` until `stop`, in as many processes, one after the other, as that takes."""

    def __init__(self, service: Service, log: Log) -> None:
        self.service = service
        self.starts = 0
        self._log = log
        self._child: Process | None = None
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def pid(self) -> int:
        """Process id of the service at this moment."""
        if self._child is None or self._child.returncode is not None:
            raise StackError(f"{self.service.name} is not running")
        return self._child.pid

    async def run(self) -> None:
        """Run the service until `stop`; whenever it ends by itself it is started again, after a while."""
        clock = asyncio.get_running_loop().time
        delay = FIRST_DELAY
        try:
            while not self._stopping.is_set():
                begun = clock()
                ending = await self.run_once()
                if self._stopping.is_set():
                    break
                if clock() - begun > STEADY:
                    delay = FIRST_DELAY
                self._log(self.service.name, f"{_in_words(ending)}; starting it again in {delay:g} s")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                delay = min(delay * 2, LAST_DELAY)
        finally:
            self._over.set()

    async def serving(self) -> None:
        """Return when the service reports SERVING; at once for one that does not answer to gRPC."""
        if self.service.address is None:
            return
        async with grpc.aio.insecure_channel(self.service.address, options=EAGER) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while not await _is_serving(health):  # noqa: ASYNC110  another process's state is no event of ours
                await asyncio.sleep(0.05)

    def signal(self, number: int = signal.SIGKILL) -> int:
        """Send a signal to the service's own process (not to its children); returns the process id."""
        pid = self.pid
        os.kill(pid, number)
        return pid

    async def stop(self, grace: float) -> bool:
        """End the service: with SIGTERM, and after `grace` seconds with SIGKILL; its orphans too.

        Returns whether it ended by itself.
        """
        self._stopping.set()
        self._send(signal.SIGTERM)
        in_time = True
        try:
            await asyncio.wait_for(self._over.wait(), grace)
        except TimeoutError:
            in_time = False
            self._log(self.service.name, f"did not end within {grace:g} s: killed")
        self.kill()
        await self._over.wait()
        return in_time

    def kill(self) -> None:
        """End the service and all its children now, without another start."""
        self._stopping.set()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)

    async def run_once(self) -> int:
        """Run the service to its end; returns its exit status, or the signal that ended it as a negative number."""
        reading, writing = os.pipe()  # our own: asyncio's PIPE would have `wait` wait for all who hold its other end
        try:
            child = await asyncio.create_subprocess_exec(
                *guarded(list(self.service.command), signal.SIGKILL),
                env={**QUIET, **os.environ, **self.service.environment},
                stdin=DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,  # ctrl-C is for us, who then end everything in order
            )
        finally:
            os.close(writing)
        self._child = child
        self.starts += 1
        if self._stopping.is_set():  # told so while it was being started
            self._send(signal.SIGTERM)
        try:
            async with asyncio.TaskGroup() as group:
                forwarding = group.create_task(self._forward(reading))
                await child.wait()
                # Children that outlive it hold the pipe open: they are not waited for.
                await asyncio.wait({forwarding}, timeout=0.5)
                forwarding.cancel()
        finally:
            if child.returncode is None:
                child.kill()
        return await child.wait()

    async def _forward(self, reading: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=LINE)
        pipe = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb"))
        try:
            async for line in _lines(stream):
                self._log(self.service.name, line)
        finally:
            pipe[0].close()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines without their ends, cut at `LINE` bytes: StreamReader's own iterator gives up at a long one."""
    rest = b""
    while chunk := await stream.read(LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
        if len(rest) >= LINE:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")


async def _is_serving(health: health_pb2_grpc.HealthStub) -> bool:
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _in_words(ending: int) -> str:
    return f"ended with status {ending}" if ending >= 0 else f"was ended by {signal.Signals(-ending).name}"
