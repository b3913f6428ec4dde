"""A Postgres of our own: made, started, stopped and thrown away without anybody's help.

The server is a child of this process and dies with it (guard.py), so nothing is left running after a kill -9.
It listens on loopback only and asks for a password, which is kept in the data directory: others on the machine
cannot reach the data through the port.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from gleaner_stack.binaries import Account, PostgresError, account, embedded, environment, make_passable, run
from gleaner_stack.guard import guarded
from gleaner_stack.ports import LOOPBACK, PortTaken, free_ports, refuse_taken
from gleaner_stack.scratch import Scratch

__all__ = ["EmbeddedPostgres", "PostgresError"]

USER = "gleaner"
PASSWORD = "gleaner.password"  # noqa: S105  the file's name
LOG = "gleaner.log"
POLL = 0.01
DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may be too long, and its default place is not ours to write
    "log_min_messages": "warning",
}


class EmbeddedPostgres:
    """A Postgres server on 127.0.0.1; as a context manager, sync or async, it runs inside the block.

    `data_dir` is made if need be and kept; None means a temporary one, removed at the end. `settings` are those of
    postgresql.conf. `port` 0 takes a free one and keeps it. `bindir`: another Postgres's programs than the wheel's.

    The server dies with the *thread* that started it (Linux ties the death signal to threads): start it in one that
    lives as long as it is needed, the main thread or the event loop's.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        bindir: Path | None = None,
        patience: float = 60.0,
    ) -> None:
        self._keep = data_dir is not None
        self._scratch: Scratch | None = None
        self._data = data_dir.absolute() if data_dir else None
        self._settings = DEFAULTS | dict(settings or {})
        self._port = port
        self._bindir = bindir
        self._patience = patience
        self._runner: Account | None = None
        self._password = ""
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the database `postgres`, as a superuser."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/postgres?sslmode=disable"

    @property
    def pid(self) -> int:
        """Process id of the server, which is started and not stopped."""
        if self._server is None:
            raise PostgresError("this Postgres is not running")
        return self._server.pid

    @property
    def data_dir(self) -> Path:
        """Where the data is; of a temporary one only until `close`."""
        if self._data is None:
            raise PostgresError("this Postgres has no data yet")
        return self._data

    @property
    def crashed(self) -> bool:
        """Whether the server ended without being stopped."""
        return self._server is not None and self._server.poll() is not None

    def start(self) -> None:
        """Make the cluster if there is none, start the server, and return when it takes connections."""
        self._prepare()
        self._launch()
        self._wait_ready()

    async def start_async(self) -> None:
        """As `start`, while the event loop goes on."""
        await _to_its_end(self._prepare)
        self._launch()  # not in the other thread: the server would die with it
        await _to_its_end(self._wait_ready)

    def stop(self) -> None:
        """End the server (fast shutdown, then harder), keeping data and port for another start. May be called twice."""
        if self._server is not None:
            _end(self._server)
            self._server = None

    def kill(self) -> int:
        """Kill the server with -9, as a crash would; returns its process id when it is gone."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        return self._server.pid

    def close(self) -> None:
        """Stop the server and remove temporary data."""
        self.stop()
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = self._data = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start_async()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await _to_its_end(self.close)

    def _prepare(self) -> None:
        self._runner = account()
        self._bindir = self._bindir or embedded(self._runner)
        if self._data is None:
            self._scratch = Scratch()
            self._data = self._scratch.path / "postgres"
        _own(self._data, self._runner)
        if (self._data / "PG_VERSION").exists():
            self._check_version()
            self._password = (self._data / PASSWORD).read_text()
        else:
            self._initdb()

    def _initdb(self) -> None:
        assert self._bindir is not None
        self._password = secrets.token_hex(16)
        with tempfile.NamedTemporaryFile("w", prefix="gleaner-") as pwfile:
            pwfile.write(self._password)
            pwfile.flush()
            if self._runner:
                os.chown(pwfile.name, self._runner.uid, self._runner.gid)
            command: list[str | Path] = [self._bindir / "initdb", "-D", self.data_dir, "-U", USER]
            command += [f"--pwfile={pwfile.name}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            command += ["--no-instructions"]
            if not self._keep or self._settings.get("fsync") == "off":
                command += ["--no-sync"]
            made = run(command, self._runner)
        if made.returncode != 0:
            raise PostgresError(f"initdb failed in {self._data}:\n{made.stderr.strip()}")
        password = self.data_dir / PASSWORD
        password.touch(mode=0o600)
        password.write_text(self._password)

    def _check_version(self) -> None:
        """Refuse data of another major version before Postgres does so with less to say."""
        assert self._bindir is not None
        data = (self.data_dir / "PG_VERSION").read_text().strip()
        program = run([self._bindir / "postgres", "--version"], self._runner).stdout.split()[2]
        if program.split(".")[0] != data:
            raise PostgresError(f"{self._data} holds data of Postgres {data}, but {self._bindir} is {program}")
        if not (self.data_dir / PASSWORD).exists():
            raise PostgresError(f"{self._data} was not made by gleaner; choose another directory")

    def _launch(self) -> None:
        assert self._bindir is not None
        self._port = self._port or free_ports(1)[0]
        try:
            refuse_taken(self._port)
        except PortTaken as error:
            raise PostgresError(str(error)) from error
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        postgres = [str(self._bindir / "postgres"), "-D", str(self._data), "-p", str(self._port), *options]
        who = {"uid": self._runner.uid, "gid": self._runner.gid} if self._runner else {}
        with (self.data_dir / LOG).open("wb") as log:
            self._server = subprocess.Popen(  # noqa: S603
                guarded(postgres, signal.SIGQUIT, **who),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # ctrl-C is for us: the server ends after those who use it
            )

    def _wait_ready(self) -> None:
        assert self._server is not None
        pid_file = self.data_dir / "postmaster.pid"
        give_up = time.monotonic() + self._patience
        while not _is_ready(pid_file, self._server.pid):
            if self._server.poll() is not None:
                raise PostgresError(f"Postgres did not start in {self._data}:\n{self._log_tail()}")
            if time.monotonic() > give_up:
                raise PostgresError(f"Postgres not ready after {self._patience:.0f} s:\n{self._log_tail()}")
            time.sleep(POLL)

    def _log_tail(self) -> str:
        lines = (self.data_dir / LOG).read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:])


async def _to_its_end(work: Callable[[], None]) -> None:
    """Run `work` in a thread; a cancellation waits for it, so that nothing goes on behind our back."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _own(data: Path, runner: Account | None) -> None:
    """Make the data directory, and make sure that whoever runs Postgres can use it."""
    try:
        if runner:
            make_passable(data.parent)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if runner and data.stat().st_uid != runner.uid and not any(data.iterdir()):
            os.chown(data, runner.uid, runner.gid)
    except OSError as error:
        raise PostgresError(f"cannot use {data} for Postgres's data: {error.strerror}") from error
    reachable = run(["test", "-w", data], runner).returncode == 0
    if not reachable:
        who = f"user {runner.name}, who runs Postgres for root," if runner else "this user"
        raise PostgresError(f"{who} cannot write {data}; choose a directory that is not inside somebody's home")


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Whether the server says so in its own file, as pg_ctl asks: line 1 its pid, line 8 its state."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _end(server: subprocess.Popen[bytes]) -> None:
    for step, patience in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        server.send_signal(step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(patience)
            return
