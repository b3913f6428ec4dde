"""A real PgBouncer before a test's Postgres."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gleaner_stack.binaries import account
from gleaner_stack.guard import guarded
from gleaner_stack.ports import LOOPBACK, free_ports
from support.needs import program

_CONFIG = """\
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = {loopback}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {connections}
max_client_conn = 500
server_connect_timeout = 2
server_login_retry = 1
query_wait_timeout = 10
"""


class PgBouncer:
    """A running PgBouncer, which leads to any database of its server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def url(self, database_url: str) -> str:
        """The way to that database through this pooler."""
        parts = urlsplit(database_url)
        credentials = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{credentials}@{LOOPBACK}:{self._port}").geturl()


@contextmanager
def pgbouncer(server_url: str, *, connections: int = 4, mode: str = "transaction") -> Iterator[PgBouncer]:
    """PgBouncer with so many connections a database to the server at that address, while the block lasts."""
    executable = program("pgbouncer")
    server = urlsplit(server_url)
    [port] = free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="gleaner-pgbouncer-"))
    try:
        (folder / "pgbouncer.ini").write_text(
            _CONFIG.format(
                host=server.hostname,
                server_port=server.port,
                loopback=LOOPBACK,
                port=port,
                folder=folder,
                connections=connections,
                mode=mode,
            )
        )
        (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
        who: dict[str, int] = {}
        if runner := account():  # it refuses to run as root
            who = {"uid": runner.uid, "gid": runner.gid}
            for path in (folder, *folder.iterdir()):
                os.chown(path, runner.uid, runner.gid)
        process = subprocess.Popen(
            guarded([str(executable), "-q", str(folder / "pgbouncer.ini")], signal.SIGKILL, **who),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
            cwd="/",
        )
        try:
            _wait(process, port, folder / "log")
            yield PgBouncer(port)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path, patience: float = 10.0) -> None:
    give_up = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"PgBouncer did not start: {log.read_text(errors='replace')}") from None
            time.sleep(0.02)
        else:
            return
