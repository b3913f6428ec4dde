"""The whole suite on one machine: a Postgres, the migrations, and every service as a process of its own.

Used by `gleaner up`, the demo, and the tests that need real processes. Nothing of it outlives this process: services
and Postgres are children that the kernel ends with it (guard.py).
"""

import asyncio
import contextlib
import signal
import sysconfig
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from gleaner_stack.ports import LOOPBACK, PortTaken, free_ports, refuse_taken
from gleaner_stack.postgres import EmbeddedPostgres
from gleaner_stack.processes import Log, Service, ServiceProcess, StackError

SCRIPTS = Path(sysconfig.get_path("scripts"))
COMMANDS: Mapping[str, Sequence[str]] = {
    "migrate": [str(SCRIPTS / "gleaner-migrate")],
    "api": [str(SCRIPTS / "gleaner-api")],
    "worker": [str(SCRIPTS / "gleaner-worker")],
    "bbox-worker": [str(SCRIPTS / "gleaner-bbox-worker")],
    "reaper": [str(SCRIPTS / "gleaner-reaper"), "--loop"],
}
TRIES = 3  # a service that ended as often before it served will not do better


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What to run, and where.

    `database_url`: somebody else's Postgres; without it one is started, with its data in `data` (None: thrown away).
    `port`: the api's, 0 for a free one. `environment`: settings for every service. `patience`: seconds until all serve;
    `grace`: seconds that each service gets to end.
    """

    database_url: str | None = None
    data: Path | None = None
    bindir: Path | None = None
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    bbox_workers: int = 1
    reapers: int = 1
    port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Sequence[str]] = field(default_factory=lambda: COMMANDS)
    patience: float = 60.0
    grace: float = 30.0


class Stack:
    """The running suite, inside the block of an async `with`.

    `processes` by name: `api`, `worker-1` …, `bbox-worker-1` …, `reaper-1` …. `postgres` is None if the database is
    somebody else's.
    """

    def __init__(self, options: StackOptions, log: Log) -> None:
        self._options = options
        self._log = log
        self._exits = contextlib.AsyncExitStack()
        self.processes: dict[str, ServiceProcess] = {}
        self.postgres: EmbeddedPostgres | None = None
        self.database_url = ""
        self.api_address = ""
        self.clean = True  # whether every service ended by itself when it was asked to

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as exits:
            self._plan_port()
            self.database_url = await self._database(exits)
            await self._migrate()
            group = await exits.enter_async_context(_group())
            exits.push_async_callback(self._stop)
            self.processes = {service.name: ServiceProcess(service, self._log) for service in self._services()}
            for process in self.processes.values():
                group.create_task(process.run())
            if self.postgres:
                watch = group.create_task(self._watch(self.postgres))
                exits.callback(watch.cancel)
            await self.serving()
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        return await self._exits.__aexit__(*error)  # type: ignore[arg-type]

    async def serving(self) -> None:
        """Return when every service reports SERVING; raises `StackError` if one cannot be got there."""
        waits = {name: asyncio.create_task(process.serving()) for name, process in self.processes.items()}
        starts = {name: process.starts for name, process in self.processes.items()}
        try:
            async with asyncio.timeout(self._options.patience):
                while late := [name for name, wait in waits.items() if not wait.done()]:
                    await asyncio.wait(waits.values(), timeout=0.1)
                    for name in late:
                        if self.processes[name].starts > starts[name] + TRIES:
                            raise StackError(f"{name} ends again and again; see the log above")
        except TimeoutError:
            raise StackError(f"not serving after {self._options.patience:g} s: {', '.join(late)}") from None
        finally:
            for wait in waits.values():
                wait.cancel()

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one service's process, kill -9 unless told otherwise; returns the process id."""
        return self.processes[name].signal(number)

    def kill_all(self) -> None:
        """End all services now; what is left to do is done by the end of the block."""
        for process in self.processes.values():
            process.kill()

    def _plan_port(self) -> None:
        port = self._options.port or free_ports(1)[0]
        try:
            refuse_taken(port)
        except PortTaken as error:
            raise StackError(f"{error}; choose another one with --port") from error
        self.api_address = f"{LOOPBACK}:{port}"

    async def _database(self, exits: contextlib.AsyncExitStack) -> str:
        if self._options.database_url:
            return self._options.database_url
        options = self._options
        postgres = EmbeddedPostgres(options.data, options.postgres_settings, bindir=options.bindir)
        self.postgres = await exits.enter_async_context(postgres)
        self._log("postgres", f"ready in {postgres.data_dir}")
        return postgres.url

    async def _migrate(self) -> None:
        environment = {"GLEANER_DATABASE_URL": self.database_url}
        migration = Service("migrate", self._options.commands["migrate"], environment=environment)
        if await ServiceProcess(migration, self._log).run_once() != 0:
            raise StackError("the database could not be brought up to date; see the log above")

    def _services(self) -> list[Service]:
        """All services with their addresses, which stay the same however often one is started again."""
        options = self._options
        ports = iter(free_ports(options.workers + options.bbox_workers))
        workers = [f"{LOOPBACK}:{next(ports)}" for _ in range(options.workers)]
        bbox_workers = [f"{LOOPBACK}:{next(ports)}" for _ in range(options.bbox_workers)]
        shared = {
            "GLEANER_DATABASE_URL": self.database_url,
            "GLEANER_WORKER_ADDRESSES": ",".join(workers),
            "GLEANER_BBOX_WORKER_ADDRESSES": ",".join(bbox_workers),
            **options.environment,
        }

        def service(kind: str, number: int | None, address: str | None) -> Service:
            name = f"{kind}-{number}" if number else kind
            listen = {"GLEANER_LISTEN": address} if address else {}
            return Service(name, options.commands[kind], address, shared | listen)

        return [
            *(service("worker", number, address) for number, address in enumerate(workers, 1)),
            *(service("bbox-worker", number, address) for number, address in enumerate(bbox_workers, 1)),
            *(service("reaper", number, None) for number in range(1, options.reapers + 1)),
            service("api", None, self.api_address),
        ]

    async def _watch(self, postgres: EmbeddedPostgres) -> None:
        """Start our Postgres again if it crashes; one that was stopped on purpose stays down."""
        while True:
            await asyncio.sleep(0.5)
            if postgres.crashed:
                self._log("postgres", "ended unexpectedly; starting it again")
                await postgres.start_async()
                self._log("postgres", "ready again")

    async def _stop(self) -> None:
        """End all services: first who takes in work, then who does it."""
        first = [process for name, process in self.processes.items() if name == "api"]
        rest = [process for name, process in self.processes.items() if name != "api"]
        for processes in (first, rest):
            ended = await asyncio.gather(*(process.stop(self._options.grace) for process in processes))
            self.clean = self.clean and all(ended)


@contextlib.asynccontextmanager
async def _group() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that lets a single error through as it is: those of the block are its user's, not ours to wrap."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise
